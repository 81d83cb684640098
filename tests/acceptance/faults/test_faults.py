"""What dies, freezes, fills up or goes wrong under real workers: jobs are finished once, whole, and paid for once.

Leases last 5 s here, the least that is allowed. Workers that are to die or freeze do so at a failpoint.
"""

from __future__ import annotations

import asyncio
import calendar
import datetime as dates
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from simulator.catalogue.script import Step

from contract.artifacts.local_directory.marker import MARKER
from contract.errors.exceptions import Refused, Unavailable
from contract.jobs.job import Job, JobEvent, JobState, Outcome
from contract.redis.client import open_redis
from producer.client.client import Darkroom
from tests.support.process.mounts import mounting
from tests.support.process.waiting import frozen, until
from tests.support.process.wrong_clock import shifted
from tests.support.stack.stack import Process, Stack
from worker.failpoint import NAMES

pytestmark = pytest.mark.real_redis

ROOT = Path(__file__).parents[3]
DELIVERED, LOST = Outcome.DELIVERED, Outcome.LOST
# What a job of one image has cost when its worker was killed at a place: claims, calls on record, calls made.
COSTS = {
    "after_claim": (2, [DELIVERED], 1),
    "before_call_count": (2, [DELIVERED], 1),
    "after_call_count": (2, [LOST, DELIVERED], 1),
    "after_response": (2, [LOST, DELIVERED], 2),
    "before_write": (2, [DELIVERED, DELIVERED], 2),
    "after_tmp_write": (2, [DELIVERED, DELIVERED], 2),
    "after_image_link": (2, [DELIVERED, DELIVERED], 2),
    "after_sidecar": (2, [DELIVERED], 1),
    "after_report": (2, [DELIVERED], 1),
    "after_commit_before_ack": (1, [DELIVERED], 1),
}
UNTOUCHED = (1, [DELIVERED], 1)
DURABLE_ROUNDS = 20  # about 0.6 s each: 50 take half a minute
IDEMPOTENT_ROUNDS, CALLERS = 10, 50


@pytest.fixture
def stack(stack: Stack) -> Stack:
    """Leases end soon, and pictures are small unless a script says otherwise."""
    stack.environment["DARKROOM_LEASE_SECONDS"] = "5"
    stack.simulator.improvise(lambda order: Step("ok", {"seconds": 0.05, "side": 96}, "ok"))
    return stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that can be known of a job."""

    job: Job
    events: list[JobEvent]
    fence: int

    @property
    def workers(self) -> list[str]:
        """Name those who claimed it, oldest first."""
        return [str((event.model_extra or {})["worker"]) for event in self.events if event.type == "running"]


def name_of(worker: Process) -> str:
    return f"{socket.gethostname()}-{worker.pid}"


async def submit(stack: Stack, number: int, *, owner: str = "ann", **fields: Any) -> list[str]:
    """Hand jobs in at the same time; answer their ids."""
    async with stack.client(owner) as darkroom:
        jobs = await asyncio.gather(*(darkroom.submit(**{"prompt": "x", **fields}) for _ in range(number)))
        return [job.id for job in jobs]


async def ends(stack: Stack, ids: Iterable[str], *, owner: str = "ann", within_s: float = 30) -> list[Story]:
    """Wait until jobs are over."""
    async with stack.client(owner) as darkroom, open_redis(stack.redis.url) as redis:

        async def end(job_id: str) -> Story:
            job = await darkroom.wait(job_id, timeout_s=within_s)
            assert job.is_over, job
            events = [event async for event in darkroom.events(job_id)]
            return Story(job=job, events=events, fence=int(str(await redis.hget(f"darkroom:job:{job_id}", "fence"))))

        return list(await asyncio.gather(*map(end, ids)))


def pairs(media: Path) -> dict[str, bytes]:
    """Read all images by their names, each with a sidecar that tells the truth about it; nothing else is to be seen."""
    files = {path.name: path for path in media.rglob("*") if path.is_file() and not path.name.startswith(".")}
    images = {}
    for path in (path for name, path in files.items() if name.endswith(".json")):
        sidecar = json.loads(path.read_text())
        image = path.with_name(Path(sidecar["path"]).name)
        images[image.name] = image.read_bytes()
        assert hashlib.sha256(images[image.name]).hexdigest() == sidecar["sha256"]
    assert len(files) == 2 * len(images)
    return images


def temporaries(media: Path) -> list[str]:
    return [path.name for path in media.rglob(".*") if path.name != MARKER]


def assert_sound(stack: Stack, stories: Sequence[Story]) -> None:
    """Check that jobs succeeded once and whole, that nothing else is on disk, and that every call is on record."""
    for story in stories:
        job = story.job
        assert (job.state, job.error, job.progress.done) == (JobState.SUCCEEDED, None, job.request.count)
        assert [event.is_last for event in story.events].count(True) == 1
        assert story.events[-1].is_last
        assert len(job.attempts) <= job.request.count * max(1, story.fence)
    told = {Path(image.path).name: image.sha256 for story in stories for image in story.job.images}
    seen = {name: hashlib.sha256(data).hexdigest() for name, data in pairs(stack.folder / "media").items()}
    assert seen == told
    assert len(told) == sum(story.job.request.count for story in stories)
    jobs = {story.job.id: story.job for story in stories}
    for call in stack.simulator.ledger:
        job_id, index, number = call.request_id.split(".")
        assert jobs[job_id].attempts[int(number)].index == int(index)
    assert max(Counter(call.request_id for call in stack.simulator.ledger).values()) == 1


def cost(story: Story, stack: Stack) -> tuple[int, list[Outcome], int]:
    calls = [call for call in stack.simulator.ledger if call.job_id == story.job.id]
    return story.fence, [attempt.outcome for attempt in story.job.attempts], len(calls)


async def start_doomed(stack: Stack, effects: Iterable[str]) -> dict[str, Process]:
    """Start workers of one slot, each with its failpoint."""
    few = asyncio.Semaphore(4)

    async def start(effect: str) -> Process:
        async with few:
            return await stack.start_worker(DARKROOM_FAILPOINT=effect, DARKROOM_CONCURRENCY="1")

    effects = list(effects)
    return dict(zip(effects, await asyncio.gather(*map(start, effects)), strict=True))


async def killed(doomed: Mapping[str, Process]) -> None:
    """Wait until all doomed workers have been killed."""
    with suppress(TimeoutError):
        await until(lambda: all(worker.poll() is not None for worker in doomed.values()))
    assert {text: worker.poll() for text, worker in doomed.items()} == dict.fromkeys(doomed, -signal.SIGKILL)


def test_all_places_have_a_price() -> None:
    assert COSTS.keys() | {"after_pop", "after_release"} == NAMES


async def test_a_worker_killed_anywhere_costs_no_more_than_the_call_it_was_making(stack: Stack) -> None:
    doomed = await start_doomed(stack, [f"{place}:1:kill" for place in [*COSTS, "after_pop"]])
    owners = [f"owner-{number}" for number in range(len(doomed) + 2)]  # one of them alone may not have all slots
    ids = {owner: await submit(stack, 1, owner=owner) for owner in owners}
    await killed(doomed)
    await stack.start_worker()
    stories = [story for owner in owners for story in await ends(stack, ids[owner], owner=owner)]
    assert_sound(stack, stories)
    places = {name_of(worker): text.partition(":")[0] for text, worker in doomed.items()}
    costs = {places.get(story.workers[0], ""): cost(story, stack) for story in stories}
    assert costs == {**COSTS, "": UNTOUCHED}


async def test_workers_killed_at_the_second_time_of_a_place_leave_their_jobs_to_be_finished(stack: Stack) -> None:
    doomed = await start_doomed(stack, [f"{place}:2:kill" for place in [*COSTS, "after_pop"]])
    ids = await submit(stack, 2 * len(doomed) + 2, count=2)
    await killed(doomed)
    await stack.start_worker()
    assert_sound(stack, await ends(stack, ids))


async def test_a_worker_killed_when_it_has_given_its_slot_back_breaks_no_wait(stack: Stack) -> None:
    stack.simulator.script([{"kind": "status", "status": 429, "headers": {"Retry-After": "8"}}])
    doomed = await start_doomed(stack, ["after_release:1:kill"])
    ids = await submit(stack, 1)
    await killed(doomed)
    await stack.start_worker()
    [story] = stories = await ends(stack, ids)
    assert_sound(stack, stories)
    assert cost(story, stack) == (2, [Outcome.RATE_LIMITED, DELIVERED], 2)
    first, second = stack.simulator.ledger
    assert 8 <= second.started_at - first.started_at < 12


async def test_a_zombie_changes_nothing_and_goes_on_working(stack: Stack) -> None:
    places = ("after_call_count", "after_response", "after_image_link", "after_sidecar")
    zombies = await start_doomed(stack, [f"{place}:1:stop" for place in places])
    ids = await submit(stack, len(zombies))
    await frozen(*(zombie.pid for zombie in zombies.values()))
    assert sorted(path.suffix for path in (stack.folder / "media").rglob("img_*")) == [".json", ".png", ".png"]
    healthy = await stack.start_worker()
    stories = await ends(stack, ids)
    assert_sound(stack, stories)
    names = {name_of(zombie) for zombie in zombies.values()}
    assert [story.workers for story in stories] == [[*story.workers[:1], name_of(healthy)] for story in stories]
    assert {story.workers[0] for story in stories} == names
    images = pairs(stack.folder / "media")
    calls = stack.simulator.ledger

    for zombie in zombies.values():
        zombie.send_signal(signal.SIGCONT)
    healthy.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(healthy.wait, 10) == 0
    stack.simulator.script([{"kind": "slow", "seconds": 2, "side": 96, "times": len(zombies)}])
    others = await ends(stack, await submit(stack, len(zombies)))
    assert {story.workers[0] for story in others} == names
    assert await ends(stack, ids) == stories
    assert images.items() <= pairs(stack.folder / "media").items()
    assert stack.simulator.ledger[: len(calls)] == calls
    assert len(stack.simulator.ledger) == len(calls) + len(zombies)  # what was counted and not made is not made late
    assert_sound(stack, [*stories, *others])
    assert temporaries(stack.folder / "media") == []


async def test_g22_a_full_disk_is_told_tears_nothing_and_needs_no_restart(stack: Stack) -> None:
    media = stack.folder / "media"
    media.mkdir()
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    inside_it = ("sh", "-c", script, media, sys.executable, "-m", "worker", stack.config)
    worker = stack.start_command(*mounting(), *inside_it)
    await stack.is_working(worker)
    inside = Path(f"/proc/{worker.pid}/root", *media.parts[1:])
    assert os.statvfs(inside).f_blocks * os.statvfs(inside).f_frsize == 2**20
    stack.simulator.script([{"kind": "ok", "side": 1024, "times": "always"}])
    told: list[Job] = []
    while not told or told[-1].state is JobState.SUCCEEDED:
        [story] = await ends(stack, await submit(stack, 1))
        told.append(story.job)
        assert story.events[-1].is_last
    *good, full = told
    assert 4 <= len(good) < 30
    assert_refused_by_disk(full)
    assert pairs(inside).keys() == {Path(job.images[0].path).name for job in good}
    assert temporaries(inside) == []

    [story] = await ends(stack, await submit(stack, 1, count=2))  # as full as before
    assert_refused_by_disk(story.job)
    for image in (job.images[0] for job in good[:3]):  # they differ in size
        for name in (image.path, image.sidecar):
            (inside / Path(name).relative_to(media)).unlink()
    [story] = await ends(stack, await submit(stack, 1))
    assert (story.job.state, story.job.error) == (JobState.SUCCEEDED, None)
    assert pairs(inside).keys() == {Path(job.images[0].path).name for job in (*good[3:], story.job)}
    assert temporaries(inside) == []
    assert worker.poll() is None
    assert list(media.iterdir()) == []  # it was really that file system


def assert_refused_by_disk(job: Job) -> None:
    assert job.error is not None
    assert (job.state, job.error.code, job.images) == (JobState.FAILED, "storage_full", ())
    assert job.error.detail == "The image could not be stored: the disk may be full, or the media directory read-only."
    assert {attempt.outcome for attempt in job.attempts} == {
        DELIVERED
    }  # it was not the provider, and is not asked again
    assert len(job.attempts) == job.request.count


@pytest.mark.parametrize(("place", "orphans"), [("before_write", 0), ("after_tmp_write", 0), ("after_image_link", 3)])
async def test_g22_a_disk_that_fails_is_told_and_the_next_job_is_whole(place: str, orphans: int, stack: Stack) -> None:
    workers = await start_doomed(stack, [f"{place}:1:{error}" for error in ("ENOSPC", "EIO", "EROFS")])
    stack.simulator.script([{"kind": "slow", "seconds": 1.5, "side": 96, "times": "always"}])  # each takes one
    names = {name_of(worker) for worker in workers.values()}
    failed = await ends(stack, await submit(stack, 3))
    for story in failed:
        assert_refused_by_disk(story.job)
        assert [event.is_last for event in story.events].count(True) == 1
    assert {story.workers[0] for story in failed} == names
    left = [path for path in (stack.folder / "media").rglob("*") if path.is_file() and path.name != MARKER]
    # An image that had its name already keeps both for the janitor; without a sidecar nobody is told of it.
    assert sorted(path.name.startswith(".") for path in left) == [False] * orphans + [True] * orphans
    for path in left:
        path.unlink()
    stories = await ends(stack, await submit(stack, 3))
    assert {story.workers[0] for story in stories} == names
    assert pairs(stack.folder / "media").keys() == {Path(story.job.images[0].path).name for story in stories}
    assert temporaries(stack.folder / "media") == []


@pytest.mark.parametrize("shift_s", [3600, -86400])
def test_a_wrong_clock_is_wrong_for_whoever_asks_for_the_time(shift_s: int) -> None:
    def readings() -> list[float]:
        naive = [
            *(dates.datetime.now(), dates.datetime.today()),  # noqa: DTZ002, DTZ005 (what others may call)
            dates.datetime.combine(dates.date.today(), dates.datetime.now(UTC).astimezone().time()),  # noqa: DTZ011
        ]
        aware = [dates.datetime.now(UTC), dates.datetime.utcnow().replace(tzinfo=UTC)]  # noqa: DTZ003
        texts = [time.ctime(), time.asctime(), time.strftime("%c")]
        return [
            *(time.time(), time.time_ns() / 1e9),
            *(time.clock_gettime(time.CLOCK_REALTIME), time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9),
            *(time.mktime(time.localtime()), calendar.timegm(time.gmtime())),
            *(time.mktime(time.strptime(text)) for text in texts),
            *(at.timestamp() for at in (*naive, *aware)),
        ]

    honest, steady = readings(), time.monotonic()
    with shifted(shift_s):
        assert isinstance(datetime.now(UTC), dates.datetime)
        differences = [there - here for there, here in zip(readings(), honest, strict=True)]
        assert time.gmtime(0).tm_year == 1970
        assert abs(time.monotonic() - steady) < 60
    assert differences == [pytest.approx(shift_s, abs=5)] * len(honest)
    assert readings() == [pytest.approx(here, abs=5) for here in honest]


async def start_with_clock(stack: Stack, shift_s: int) -> Process:
    """Start a worker whose wall clock is wrong."""
    clock = ("-m", "tests.support.process.wrong_clock", str(shift_s), "--")
    worker = stack.start_command(sys.executable, *clock, "worker", stack.config, PYTHONPATH=str(ROOT))
    await stack.is_working(worker)
    return worker


async def submit_with_clock(stack: Stack, shift_s: int) -> str:
    """Hand a job in by a process whose wall clock is wrong; answer its id."""
    clock = "from tests.support.process.wrong_clock import shifted"
    code = f"{clock}\nwith shifted({shift_s}):\n    from producer.cli.main import main\n    main()"
    environment = stack.environment | {"DARKROOM_CONFIG": str(stack.config), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "submit", "x", "--owner", "ann", "--quiet"]
    client = await asyncio.create_subprocess_exec(*command, env=os.environ | environment, stdout=subprocess.PIPE)
    out, _ = await client.communicate()
    assert client.returncode == 0
    return out.decode().strip()


def clock_of(stack: Stack, number: int) -> datetime | None:
    """Read what a worker took for the time when it missed Redis."""
    lines = (stack.folder / f"worker-{number}.log").read_text().splitlines()
    line = next((line for line in lines if "Redis is away" in line), None)
    return datetime.fromisoformat(line[:19]).astimezone() if line else None


def assert_in_order(story: Story, *, since: datetime) -> None:
    """Check that all times of a job are of one right clock."""
    job = story.job
    assert job.started_at is not None
    assert job.ended_at is not None
    times = [since, job.created_at, job.started_at, *(attempt.started_at for attempt in job.attempts), job.ended_at]
    assert times == sorted(times)
    assert job.ended_at < datetime.now(UTC) + timedelta(seconds=1)
    for attempt in job.attempts:
        assert (
            attempt.seconds is None or 0 <= attempt.seconds <= (job.ended_at - attempt.started_at).total_seconds() + 1
        )
    told = [(event.at, *map(int, event.id.split("-"))) for event in story.events]
    assert told == sorted(told)
    for image in job.images:
        sidecar = json.loads(Path(image.sidecar).read_text())
        made = datetime.fromisoformat(sidecar["created_at"])
        assert job.created_at - timedelta(seconds=1) <= made <= job.ended_at
        assert Path(image.path).parent.name == f"{job.created_at.astimezone():%Y-%m-%d}"


async def test_g23_wrong_clocks_expire_nothing_and_turn_no_time_around(stack: Stack) -> None:
    since = datetime.now(UTC) - timedelta(seconds=1)
    workers = [await start_with_clock(stack, shift_s) for shift_s in (3600, -3600)]
    stack.simulator.script("P25.date, ok always", match="dated")
    stack.simulator.script([{"kind": "slow", "seconds": 7, "side": 96, "times": "always"}], match="longer than a lease")
    stack.simulator.script([{"kind": "slow", "seconds": 30}], match="unwanted")
    ids = [*await submit(stack, 2, prompt="longer than a lease"), *await submit(stack, 14)]
    ids += await asyncio.gather(*(submit_with_clock(stack, shift_s) for shift_s in (86400, -86400)))
    stories = await ends(stack, ids)
    [unwanted] = await submit(stack, 1, prompt="unwanted")
    await until(lambda: any(call.job_id == unwanted for call in stack.simulator.ledger))
    async with stack.client() as darkroom:
        await darkroom.cancel(unwanted)
    stories += await ends(stack, [unwanted, *await submit(stack, 1, prompt="dated")])
    for story in stories:
        assert_in_order(story, since=since)
    states = [story.job.state for story in stories]
    assert states == [*[JobState.SUCCEEDED] * 18, JobState.CANCELLED, JobState.SUCCEEDED]
    assert [(story.fence, story.job.degraded) for story in stories] == [(1, None)] * 20
    assert {name for story in stories for name in story.workers} == set(map(name_of, workers))
    stack.redis.kill()
    await until(lambda: clock_of(stack, 0) and clock_of(stack, 1))
    for number, shift_s in enumerate((3600, -3600)):
        clock = clock_of(stack, number)
        assert clock is not None
        assert abs(clock - datetime.now(UTC) - timedelta(seconds=shift_s)) < timedelta(minutes=2)


@pytest.mark.parametrize("shift_s", [0, 3600, -3600])
async def test_g23_a_date_to_wait_for_is_not_read_by_the_workers_own_clock(shift_s: int, stack: Stack) -> None:
    await start_with_clock(stack, shift_s)
    stack.simulator.script("P25.date, ok always")
    [story] = await ends(stack, await submit(stack, 1))
    assert (story.job.state, story.job.degraded) == (JobState.SUCCEEDED, None)
    first, second = stack.simulator.ledger
    assert 1.9 <= second.started_at - first.started_at < 6  # a date has whole seconds


async def test_g13_a_job_that_kills_its_workers_is_given_up_after_three(stack: Stack) -> None:
    killers = {str(number): "after_claim:1:kill" for number in range(3)}
    doomed = {number: await stack.start_worker(DARKROOM_FAILPOINT=text) for number, text in killers.items()}
    poison = await submit(stack, 1)
    await killed(doomed)
    stack.simulator.script([{"kind": "slow", "seconds": 2, "side": 96, "times": "always"}])
    others = await submit(stack, 10, owner="bob")
    healthy = await stack.start_worker()
    [story] = await ends(stack, poison)
    assert story.job.state is JobState.FAILED
    assert story.job.error is not None
    assert story.job.error.code == "worker_crashed"
    assert story.job.error.detail == "Three workers crashed on this job, so it was stopped."
    assert sorted(story.workers) == sorted(map(name_of, doomed.values()))
    kinds = [event.type for event in story.events]
    assert kinds == ["queued", "running", "queued", "running", "queued", "running", "failed"]
    assert (story.fence, story.job.attempts) == (3, ())
    assert healthy.poll() is None
    stories = await ends(stack, others, owner="bob")
    assert_sound(stack, stories)
    assert {cost(other, stack) == UNTOUCHED for other in stories} == {True}


@asynccontextmanager
async def clients(stack: Stack, number: int = 5) -> AsyncIterator[list[Darkroom]]:
    """Open several clients of one owner."""
    async with AsyncExitStack() as resources:
        yield [await resources.enter_async_context(stack.client()) for _ in range(number)]


async def test_g11_what_was_acknowledged_survives_the_death_of_redis_and_worker(stack: Stack) -> None:
    acknowledged: list[str] = []
    for number in range(DURABLE_ROUNDS):
        has_worker = number % 5 == 0
        worker = await stack.start_worker() if has_worker else None
        async with clients(stack) as darkrooms:
            submitting = {asyncio.create_task(darkroom.submit(prompt="x")) for darkroom in darkrooms * 2}
            await asyncio.wait(submitting, return_when=asyncio.FIRST_COMPLETED)
            stack.redis.kill()
            if worker is not None:
                os.killpg(worker.pid, signal.SIGKILL)
            answers = await asyncio.gather(*submitting, return_exceptions=True)
        jobs = [answer for answer in answers if isinstance(answer, Job)]
        assert jobs
        assert all(isinstance(answer, Job | Unavailable) for answer in answers)
        stack.redis.start()
        acknowledged += [job.id for job in jobs]
        async with stack.client() as darkroom:
            listed = {job.id for job in await darkroom.list(limit=500)}
        assert listed >= set(acknowledged)
    await stack.start_worker()
    stories = await ends(stack, acknowledged)
    assert {story.job.state for story in stories} == {JobState.SUCCEEDED}


async def insist(darkroom: Darkroom, **fields: Any) -> tuple[str, int]:
    """Hand a job in until Redis has answered; answer its id and how often it had not."""
    for times in count():
        try:
            return (await darkroom.submit(**fields)).id, times
        except Unavailable:
            await asyncio.sleep(0.05)
    raise AssertionError


async def test_g12_a_request_with_a_key_is_one_job_however_often_and_whatever_dies(stack: Stack) -> None:
    unanswered = 0
    async with clients(stack) as darkrooms, stack.client("bob") as bob:
        for number in range(IDEMPOTENT_ROUNDS):
            order: dict[str, Any] = {"prompt": f"x{number}", "idempotency_key": f"key {number}"}
            calls = [asyncio.create_task(insist(each, **order)) for each in darkrooms * (CALLERS // len(darkrooms))]
            if number % 2:  # in the midst, each time a little later
                await asyncio.sleep(0.003 * number)
                stack.redis.kill()
                await asyncio.sleep(0.1)
                await asyncio.to_thread(stack.redis.start)
            answers = await asyncio.gather(*calls)
            assert len(answers) == CALLERS
            [job_id] = {answer for answer, _ in answers}
            unanswered += sum(times for _, times in answers)
            jobs = await darkrooms[0].list(limit=100)
            assert [job.request.prompt for job in jobs] == [f"x{one}" for one in reversed(range(number + 1))]
            assert jobs[0].id == job_id
            for fields in ({"prompt": "another"}, {"count": 2}, {"conversation": "c"}):
                with pytest.raises(Refused) as refused:
                    await darkrooms[1].submit(**{**order, **fields})
                assert refused.value.code == "idempotency_key_reused"
            assert (await bob.submit(**order)).id != job_id
        assert unanswered > 0
        assert len(await darkrooms[0].list(limit=100)) == len(await bob.list(limit=100)) == IDEMPOTENT_ROUNDS
