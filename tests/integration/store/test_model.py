"""Whatever comes in whatever order: the job table on a real Redis does what a model of plain dicts does.

Time stands still until the machine moves it (`tests/support/model/table.py`); the rules are in
`worker_machine.py` and `queue_machine.py` beside it, what must hold after each step in `invariants.py`.
"""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from contract.errors.exceptions import Unavailable
from tests.support.model.model import MOST_READY
from tests.support.model.table import JobTable
from tests.support.model.worker_machine import JobMachine
from tests.support.stack.redis_server import RealRedis

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(600)]  # shrinking an example takes its time

SEEN = frozenset(
    (
        *("lost", "job_not_found", "idempotency_key_reused", "replayed", "too_many_jobs", "Redis killed"),
        *("queued", "running", "succeeded", "failed", "cancelled", "expired"),
        *("cancelled when queued", "cancelled when running", "deleted when queued", "deleted when running"),
        *("deleted when cancelled", "budget_spent", "parked", "forgotten", "answers lost"),
    )
)
BROKEN = {
    "an image needs no fence": ("if not holds(id, fence) then return 'lost' end\nif redis", "if redis"),
    "a cancelled job keeps its lease": ("{QUEUED, WAITING, RUNNING, DEADLINES}", "{QUEUED, WAITING, DEADLINES}"),
    "a running job is not cancelled": (
        "if job.ended_at then return job.state",
        "if job.state ~= 'queued' then return job.state",
    ),
    "what is over is cancelled": (
        "if job.ended_at then return job.state",
        "if false then return job.state",
    ),
    "anybody may cancel": ("job.owner_digest ~= owner) then return false", "false) then return false"),
    "a repeated call counts twice": ("if redis.call('HEXISTS', key, field) == 1 then return 'ok' end", ""),
    "every fence holds": ("job.state == 'running' and job.fence == fence", "job.state == 'running'"),
    "the fence of a job that is over holds": ("job.state == 'running' and job.fence == fence", "job.fence == fence"),
    "a waiting job is claimed": ("or tonumber(job.not_before or 0) > now then return {} end", "then return {} end"),
    "the time to run begins anew": ("if not job.started_at then deadline =", "if true then deadline ="),
    "a job given back keeps its lease": ("  redis.call('ZREM', RUNNING, id)\n", ""),
    "nobody rings for a job given back": ("if wait == 0 then ring(id, bell) end", ""),
    "lost bells stay lost": ("return rung == 0 or (", "return rung == 0 or false and ("),
    "living leases are judged": ("'-inf', now, 'LIMIT', 0, most", "'-inf', now + 9000, 'LIMIT', 0, most"),
    "two sweep at a time": ("if not may_sweep(worker) then return {{}, {}} end", ""),
    "a parked job is claimed": ("if redis.call('ZSCORE', PARKED, id) then return {} end", ""),
    "the end of a job admits nobody": ("local admitted = admit(owner)", "local admitted = {}"),
    "the journal leaves out who goes back": ("tell(id, event)\njournal(id, note)", "tell(id, event)"),
    "the cap on running jobs is forgotten": (" and (most == 0 or playing < most)", ""),
    "what was spent beyond a reservation counts only at the end": ("charge(id, false)", ""),
    "what calls may have cost is forgotten": ("UNBILLED[call.outcome] and 0 or price", "0"),
    "a reservation stays": ("cost - job.reserved))", "cost))"),
    "a deleted job's images keep their owner": ("redis.call('DEL', image_key(image.id))", ""),
    "an end that is not answered is another one's": ("before.ended_by == writing", "false"),
    "a cancel that is not answered came too late": ("if job.cancel == call .. ' running' then", "if false then"),
    "a release that is not answered is another one's": ("redis.call('HGET', key, 'released') == writing", "false"),
    "a deleted job keeps its key": ("if idempotency then redis.call('DEL', idempotency) end", ""),
    "an ended job counts as a live one": ("if job.bytes then count_bytes(LIVE, job.owner_digest, -job.bytes) end", ""),
    "a forgotten job is still counted": ("count_bytes(COUNTED_IN[what], owner, -bytes)", ""),
    "a key is forgotten": ("redis.call('HSET', idem_key, 'id', id, 'digest', digest)", ""),
}

FEWER = {"local READY = 10": f"local READY = {MOST_READY}"}  # a limit that small numbers of jobs reach


def how(**more: object) -> settings:
    calm = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
    standard = settings(
        max_examples=170,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        print_blob=True,
        suppress_health_check=calm,
    )
    return settings(standard, **more)  # type: ignore[arg-type]


def run(table: JobTable, settings: settings, tally: Counter[str]) -> None:
    run_state_machine_as_test(lambda: JobMachine(table, tally), settings=settings)  # type: ignore[arg-type]


def test_the_table_does_what_the_model_does(own_redis: RealRedis) -> None:
    tally: Counter[str] = Counter()
    with JobTable(own_redis, FEWER) as table:
        run(table, how(), tally)
    print(tally)
    assert SEEN - (+tally).keys() == set()


@pytest.mark.parametrize(("old", "new"), BROKEN.values(), ids=BROKEN)
def test_the_machine_finds_what_is_broken(own_redis: RealRedis, old: str, new: str) -> None:
    scripts = [file.read_text() for file in Path(str(files("contract.store") / "lua")).rglob("*.lua")]
    assert sum(script.count(old) for script in scripts) == 1, "this line is written in another way now"
    with JobTable(own_redis, {**FEWER, old: new}) as table, pytest.raises((AssertionError, Unavailable)):
        run(table, how(phases=[Phase.generate], report_multiple_bugs=False), Counter())
