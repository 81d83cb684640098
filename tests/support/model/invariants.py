"""What has to hold of the job table at every moment, beside a model of it or on its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from contract.jobs.job import ACTIVE, MOVES, TERMINAL, JobState
from contract.store.keys import digest
from tests.support.model.model import MOST_CALLS, RETENTION_MS, JobModel, ModelJob
from tests.support.model.table import Look

_OWNER = r"owner:[0-9a-f]{20}"
_KNOWN_KEYS = re.compile(  # docs/reference/redis-keys.md
    rf"job:[^:]+(:events)?|queued|waiting|running|deadlines|parked|backlogs|unrung|{_OWNER}:(jobs|active|parked|running|kept|awaited|marks|uploads|sessions|sessions_in_use|streams)"
    rf"|{_OWNER}:latest:[0-9a-f]{{20}}|{_OWNER}:spent:[0-9]+|{_OWNER}:upload:[0-9a-f]{{64}}|{_OWNER}:uploads_gone:[0-9]+|deleted:[^:]+|deleting|damaged|taken:[^:]+|webhooks|mail:[^:]+|memo:[^:]+:[0-9a-f]{20}"
    r"|idem:[0-9a-f]{20}:[0-9a-f]{20}|image:img_[0-9a-f]{12}|bells(:[1-9])?|gate:[0-9a-f]{20}(:calls|:waiters|:[0-9a-f]{20}(:waiters|:[0-9a-f]{20})?)?"
    r"|presence(:[^:]+)?|gateway_contact|breakers|live|kept|uploads|journal|served|workers|slots|versions|durations:[^:]+|contact|lock:sweeper|suspect:[^:]+"
)


def check_table(look: Look, model: JobModel) -> None:
    """Compare all that is in Redis with what has to be there."""
    unknown = [name for name in look.keys if not _KNOWN_KEYS.fullmatch(name)]
    assert not unknown, f"keys that no page tells of: {unknown}"
    stored = {name.split(":")[1] for name in look.keys if name.startswith("job:")}
    assert stored == set(model.jobs)
    told = look.journal()
    assert {job_id: told[job_id] for job_id in stored} == {
        job_id: look.fields(f"job:{job_id}")["state"] for job_id in stored
    }
    _check_indexes(look, model.jobs.values())
    _check_owners(look, model)
    _check_bytes(look, model)
    for job in model.jobs.values():
        _check_job(look, job)
        check_story(look.story(job.id), job.endings)
    _check_keys(look, model)
    _check_bells(look, model)


def _check_indexes(look: Look, jobs: Iterable[ModelJob]) -> None:
    """Each job stands in those indexes that fit its state, and nobody else does."""
    queued = [job for job in jobs if job.state is JobState.QUEUED]
    active = [job for job in jobs if job.state in ACTIVE]
    wanted = {
        "queued": {job.id: job.order for job in queued if job.is_ready},
        "waiting": {job.id: job.not_before for job in queued if job.is_waiting},
        "running": {job.id: job.lease_until for job in jobs if job.state is JobState.RUNNING},
        "deadlines": {job.id: job.deadline for job in queued},
        "parked": {job.id: job.order for job in queued if job.is_parked},
    }
    for owner in {job.owner for job in jobs}:
        mine = [job for job in active if job.owner == owner]
        wanted[f"owner:{digest(owner)}:active"] = {job.id: job.created_at for job in mine}
        wanted[f"owner:{digest(owner)}:parked"] = {job.id: job.order for job in mine if job.is_parked}
    for name, members in wanted.items():
        assert look.scores(name) == members, name


def _check_owners(look: Look, model: JobModel) -> None:
    """Each owner's books are right, and nobody is parked who could be ready."""
    owners = {job.owner for job in model.jobs.values()}
    for owner in owners:
        running = {job.id for job in model.of(owner) if job.state is JobState.RUNNING}
        assert set(look.keys.get(f"owner:{digest(owner)}:running", [])) == running
        assert not (parked := model.parked(owner)) or not model.has_room(owner, parked[0].most_running)
    assert set(look.scores("backlogs")) == {digest(job.owner) for job in model.parked()}
    spent = {f"owner:{digest(owner)}:spent:{day}": str(known[0]) for (owner, day), known in model.spent.items()}
    assert {name: look.keys[name] for name in look.keys if ":spent:" in name} == spent
    assert look.scores("webhooks") == model.webhooks
    assert {name.split(":")[1] for name in look.keys if name.startswith("deleted:")} == set(model.deleted)


def _check_bytes(look: Look, model: JobModel) -> None:
    """What is counted of each owner is the sum of what there is, and each ended job stands in one line."""
    live, kept = Counter[str](), Counter[str]()
    for job in model.jobs.values():
        if job.state in ACTIVE:
            live[digest(job.owner)] += int(look.fields(f"job:{job.id}")["bytes"])
    lines = [(name, name.split(":")) for name in look.keys if re.fullmatch(rf"{_OWNER}:(kept|awaited|marks)", name)]
    for name, (_, owner, what) in lines:
        (live if what == "awaited" else kept)[owner] += sum(int(entry.split()[1]) for entry in look.fields(name))
    for name, counts in (("live", live), ("kept", kept)):
        found = look.scores(name)
        assert found.pop("*", 0) == sum(found.values())
        assert found == counts, name
    ended = {job.id for job in model.jobs.values() if job.state in TERMINAL}
    stands = [entry.split()[0] for name, (*_, what) in lines if what != "marks" for entry in look.fields(name)]
    assert ended == set(stands) & set(model.jobs)
    assert len(stands) == len(set(stands))


def _check_job(look: Look, job: ModelJob) -> None:
    """A job's hash says what it has to, and counts what is in it."""
    found = look.fields(f"job:{job.id}")
    wanted = {
        "state": job.state,
        "fence": job.fence,
        "deadline": job.deadline,
        "not_before": job.not_before,
        "crashes": job.crashes,
        "calls": len(job.attempts),
        "images": len(job.images),
        **{f"attempt:{number}": call.model_dump_json() for number, call in job.attempts.items()},
        **({} if job.reserved is None else {"reserved": job.reserved}),
        **{f"image:{index}": text for index, text in job.images.items()},
    }
    numbered = {name for name in found if name.startswith(("attempt:", "image:", "reserved"))}
    assert {name: found.get(name) for name in wanted.keys() | numbered} == {n: str(v) for n, v in wanted.items()}
    assert len(job.attempts) <= MOST_CALLS
    assert ("started_at" in found, "ended_at" in found) == (job.is_started, job.state in TERMINAL)
    assert look.story(job.id).count("running") == job.fence  # it grows by one with each claim


def check_story(told: list[str], endings: list[JobState]) -> None:
    """A job's story has legal moves only, and one end at most, after which nothing is told."""
    moves = [
        JobState.QUEUED if kind == "waiting" else JobState(kind) for kind in told if kind in {*JobState, "waiting"}
    ]
    # A queued job that has images from an earlier run and whose time is over has succeeded in part.
    assert moves[0] is JobState.QUEUED
    assert all(later in MOVES[earlier] for earlier, later in pairwise(moves)), told
    assert [state for state in moves if state in TERMINAL] == endings
    assert not endings or told[-1] == endings[0]


def _check_keys(look: Look, model: JobModel) -> None:
    """Each idempotency key names its job, and each owner's list those that are known."""
    wanted = {f"idem:{digest(owner)}:{digest(key)}": known[0] for (owner, key), known in model.keys.items()}
    assert {name: look.fields(name)["id"] for name in look.keys if name.startswith("idem:")} == wanted
    for job in model.jobs.values():
        if job.created_at + RETENTION_MS > model.now:
            assert job.id in look.scores(f"owner:{digest(job.owner)}:jobs")
    kept = [job_id for name in look.keys if re.fullmatch(rf"{_OWNER}:jobs", name) for job_id in look.scores(name)]
    assert not set(kept) & set(model.deleted)


def _check_bells(look: Look, model: JobModel) -> None:
    """Whoever became ready had its bell rung, in its own list."""
    lists = look.bells()
    for job in model.jobs.values():
        assert job.id in lists.get(job.bells, ()) or not (job.is_ready and job.has_bell), f"nobody rang for {job.id}"


def check_gate(look: Look, model: JobModel, gate: str, places: int) -> None:
    """No more calls go through a gate than it has places, those kept for jobs it woke among them."""
    live = 0
    for call, until in look.scores(f"gate:{gate}:calls").items():
        job_id, _, rest = call.partition(":")
        is_kept = not rest
        live += until > model.now and (is_kept or model.held(job_id, int(rest.split(":")[0])) is not None)
    assert live <= places
