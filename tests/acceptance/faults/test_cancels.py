"""Cancels at random moments and at each named one (G06): what is cancelled stays so, and nothing goes on behind it.

`CANCELS=1000 pytest -s tests/acceptance/faults/test_cancels.py` cancels as many and tells its figures; with
`CANCELS_SEED` the same orders come again.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import secrets
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

import pytest
from simulator.catalogue.script import Step
from simulator.providers import order as simulated
from simulator.providers.ledger import Call

from contract.artifacts.local_directory.marker import MARKER
from contract.errors.exceptions import Unavailable
from contract.jobs.ids import artifact_id
from contract.jobs.job import TERMINAL, Job, JobState, Outcome
from contract.redis.client import open_redis
from contract.store.job_reader import JobReader
from producer.client.client import Darkroom
from tests.chaos.verdict.evidence import Found, find_jobs, find_pairs
from tests.support.network.proxy import Proxy
from tests.support.process.loop_stalls import Stall, stalled_s, watching_the_machine
from tests.support.process.waiting import frozen
from tests.support.stack.stack import Stack
from worker.app import NICE

pytestmark = pytest.mark.real_redis

CANCELS = int(os.environ.get("CANCELS", "500"))
SEED = int(os.environ.get("CANCELS_SEED", secrets.randbelow(1_000_000)))
PER_S = 20.0
OWNERS = 8
SLOTS = 16
FRESH = "fresh"  # the owner of jobs that nobody cancels
SIDE = 96  # pixels of the pictures: drawing larger ones takes the processor from the workers
KNOBS = {
    "DARKROOM_LEASE_SECONDS": "5",
    "DARKROOM_CONCURRENCY": str(SLOTS),
    "DARKROOM_RETRY_SECONDS": "1",
    "DARKROOM_BREAKER_SECONDS": "0.5",
}
MIX: tuple[tuple[int, Step], ...] = (
    (75, Step("ok", {"side": SIDE}, "ok")),
    (12, Step("hang", {}, "hang")),
    (6, Step("status", {"status": 503}, "503")),  # few enough to keep the breaker closed for the most part
    (3, Step("status", {"status": 503, "headers": {"Retry-After": "6"}}, "later")),
    (2, Step("close", {}, "close")),
    (2, Step("reset", {"side": SIDE}, "reset")),
)
HEARD_S = 2.0  # from a cancel until nothing of its job goes on
# A call is recorded before it is made. One that was, is on its way, or is given up with the next renewal of leases.
ON_ITS_WAY_S = 1.0
MEASURABLE_S = 1.0  # of such a time in which the machine stood still; after more nobody can tell what went on


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One job and its cancel."""

    key: str
    owner: str
    count: int
    at: float  # seconds after the start
    cancel_after: float
    aim: float | None  # seconds after the provider's first answer, if that comes before
    timeout_s: float | None

    @property
    def prompt(self) -> str:
        """What the provider reads."""
        return f"{self.key} a fox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a cancel was answered: wall clock and seconds."""

    order: Order
    job: Job
    was_possible: bool
    asked: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A cancel and all that is known of its job afterwards."""

    answer: Answer
    found: Found
    calls: Sequence[Call]
    kills: Sequence[float]  # of workers that ran it, once they had begun to

    @property
    def ended(self) -> float:
        """When the job ended (wall clock)."""
        assert self.found.job.ended_at is not None
        return self.found.job.ended_at.timestamp()

    @property
    def artifacts(self) -> set[str]:
        """The names that its images may have."""
        return {artifact_id(self.answer.job.id, index) for index in range(self.answer.order.count)}

    @property
    def was_killed(self) -> bool:
        """Whether a worker was killed before it can have taken back what it had stored."""
        return any(kill < self.ended + HEARD_S for kill in self.kills)

    def stray(self, pairs: Mapping[str, str]) -> set[str]:
        """Find its pairs on disk that it does not list."""
        return self.artifacts & pairs.keys() - {image.id for image in self.found.job.images}

    def moment(self) -> str:
        """Say what the job was at when it was cancelled."""
        if not self.answer.was_possible:
            return "ended"
        stored = {image.index for image in self.found.job.images}
        if {each.index for each in self.found.job.attempts if each.outcome is Outcome.DELIVERED} - stored:
            return "storing"
        before = self.found.events[-2]
        return "worker lost" if getattr(before, "why", "") else before.type

    def closings(self) -> dict[str, float]:
        """Tell how long after the cancel the calls went on that did."""
        ends = {each.id: each.started_at + (each.aborted_after_s or each.seconds or 3600.0) for each in self.calls}
        return {name: end - self.ended for name, end in ends.items() if end > self.ended}

    def late_calls(self) -> dict[str, float]:
        """Tell how long after the cancel calls arrived that did."""
        return {call.id: call.started_at - self.ended for call in self.calls if call.started_at > self.ended}

    def late_files(self, watch: Watch) -> dict[str, float]:
        """Tell how long after the answer to the cancel files appeared that did."""
        replied = self.answer.asked + self.answer.seconds
        named = {name: at for artifact in self.artifacts for name, at in watch.first.get(artifact, {}).items()}
        return {name: at - replied for name, at in named.items() if at > replied}


@dataclass(slots=True)
class Watch:
    """Notes when each file of an artifact got its name, also of one that does not stay."""

    media: Path
    first: dict[str, dict[str, float]] = field(default_factory=dict)  # artifact → file → wall clock

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(0.05)

    def look(self) -> None:
        """Note what is new."""
        for folder, _, names in os.walk(self.media):
            for name in names:
                artifact = re.search("img_[0-9a-f]{12}", name)
                if artifact and name not in self.first.setdefault(artifact[0], {}):
                    self.first[artifact[0]][name] = named_at(Path(folder, name))


def named_at(file: Path) -> float:
    """Tell when a file got its name or a later one, or that it is there now, if it has gone meanwhile."""
    try:
        return min(file.stat().st_ctime, time.time())
    except FileNotFoundError:
        return time.time()


def make_orders(number: int) -> Iterator[Order]:
    """Make a stream that begins with more than there are slots.

    One order in thirty of its first half is long: it still runs when its worker's lease is over.
    """
    dice, at = Random(f"orders {SEED}"), 0.0
    for index in range(number):
        at += dice.expovariate(PER_S) if index > 4 * SLOTS else 0
        is_long = index % 30 == 0 and index <= number / 2
        kind = dice.random()
        after = dice.uniform(4, 9) if is_long else dice.expovariate(100) if kind < 0.2 else dice.uniform(0, 1.5)
        yield Order(
            key=f"order-{index:04}{'-long' if is_long else ''}",
            owner=f"owner-{dice.randrange(OWNERS)}",
            count=dice.choice((1, 1, 2, 3)),
            at=at,
            cancel_after=after,
            aim=dice.uniform(0, 0.04) if kind > 0.6 else None,
            timeout_s=dice.choice((1.0, None)),
        )


class Provider:
    """Chooses what happens to each call by seed, prompt, and how often the prompt was seen."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self.answers: defaultdict[str, asyncio.Future[float]] = defaultdict(asyncio.Future)  # prompt → monotonic clock

    def choose(self, order: simulated.Order) -> Step:
        """Choose a good picture after a while, or a fault."""
        self._seen[order.prompt] += 1
        if "-long" in order.prompt:
            return Step("hang", {}, "hang")
        dice = Random(f"{SEED} {order.prompt} {self._seen[order.prompt]}")
        [step] = dice.choices([step for _, step in MIX], [share for share, _ in MIX])
        seconds = dice.uniform(0.05, 0.8)
        if not self.answers[order.prompt].done():
            self.answers[order.prompt].set_result(time.monotonic() + seconds)
        return Step(step.kind, {"seconds": seconds, **step.options}, step.name)

    async def reach(self, order: Order) -> None:
        """Wait until an order's job is to be cancelled, from its acceptance on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(order.cancel_after):
                answer = await self.answers[order.prompt]
                await asyncio.sleep(answer + (order.aim or math.inf) - time.monotonic())


async def submitted(order: Order, darkroom: Darkroom) -> Job:
    """Hand a job in, again with the same key while Redis writes too much to answer in time."""
    async with asyncio.timeout(30):
        while True:
            with suppress(Unavailable):
                return await darkroom.submit(
                    prompt=order.prompt,
                    count=order.count,
                    attempt_timeout_seconds=order.timeout_s,
                    idempotency_key=order.key,
                )


async def submit_and_cancel(order: Order, darkroom: Darkroom, provider: Provider, began: float) -> Answer:
    """Hand a job in when its time has come, and cancel it a while after it was accepted."""
    await asyncio.sleep(began + order.at - time.monotonic())
    job = await submitted(order, darkroom)
    await provider.reach(order)
    asked, began = time.time(), time.monotonic()
    job, was_possible = await darkroom.cancel(job.id)
    return Answer(order=order, job=job, was_possible=was_possible, asked=asked, seconds=time.monotonic() - began)


async def kill_now_and_then(stack: Stack, over: asyncio.Event) -> dict[int, float]:
    """Let one worker die and come back until it is over; answer when which process was killed."""
    dice, kills = Random(f"kills {SEED}"), dict[int, float]()
    while True:
        worker = await stack.start_worker(network=None, **KNOBS)
        with suppress(TimeoutError):
            async with asyncio.timeout(dice.uniform(2, 6)):
                await over.wait()
            return kills
        os.killpg(worker.pid, signal.SIGKILL)
        kills[worker.pid] = time.time()
        await asyncio.to_thread(worker.wait)


async def submit_and_cancel_all(stack: Stack) -> tuple[list[Answer], dict[int, float]]:
    """Run the whole stream against two workers, one of which is mortal."""
    over, provider = asyncio.Event(), Provider()
    stack.simulator.improvise(provider.choose)
    await stack.start_worker(network=None, **KNOBS)
    killing = asyncio.create_task(kill_now_and_then(stack, over))
    clients = {f"owner-{number}": stack.client(f"owner-{number}") for number in range(OWNERS)}
    try:
        began = time.monotonic()
        answers = await asyncio.gather(
            *(submit_and_cancel(order, clients[order.owner], provider, began) for order in make_orders(CANCELS))
        )
    finally:
        over.set()
        kills = await killing
        for client in clients.values():
            await client.__aexit__(None, None, None)
    return answers, kills


async def run_as_many_as_there_are_slots(stack: Stack) -> int:
    """Run fresh jobs; answer how many calls there were at the same time."""
    stack.simulator.improvise(lambda order: Step("ok", {"seconds": 3.0, "side": SIDE}))
    async with stack.client(FRESH) as darkroom:
        first = await darkroom.wait((await darkroom.submit(prompt="fresh")).id, timeout_s=20)  # closes the breaker
        assert first.state is JobState.SUCCEEDED
        assert [call for call in stack.simulator.ledger if call.seconds is None] == []
        jobs = await asyncio.gather(*(darkroom.submit(prompt="fresh") for _ in range(2 * SLOTS)))
        jobs = await asyncio.gather(*(darkroom.wait(job.id, timeout_s=20) for job in jobs))
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    ids = {job.id for job in jobs}
    return max(call.parallel for call in stack.simulator.ledger if call.job_id in ids)


async def gather_cases(stack: Stack, answers: Sequence[Answer], kills: Mapping[int, float]) -> list[Case]:
    """Put together what the table, the provider and the clients know."""
    async with open_redis(stack.redis.url) as redis:
        found = {each.job.id: each for each in await find_jobs(JobReader(redis))}
    assert {each.job.id for each in found.values() if each.job.owner != FRESH} == {each.job.id for each in answers}
    calls: dict[str, list[Call]] = {}
    for call in stack.simulator.ledger:
        calls.setdefault(call.job_id, []).append(call)
    cases = []
    for answer in answers:
        runs = [event for event in found[answer.job.id].events if event.type == "running"]
        killed = [(kills.get(int(str(run.model_dump()["worker"]).rpartition("-")[2])), run) for run in runs]
        cases.append(
            Case(
                answer=answer,
                found=found[answer.job.id],
                calls=calls.get(answer.job.id, []),
                kills=[at for at, run in killed if at is not None],
            )
        )
    return cases


def faults_of_story(case: Case) -> Iterator[str]:
    """Judge states, answers and events."""
    answer, found = case.answer, case.found
    if found.job != answer.job:
        yield f"it has changed after its cancel was answered: {answer.job!r} became {found.job!r}"
    if answer.was_possible != (answer.job.state is JobState.CANCELLED) or answer.job.state not in TERMINAL:
        yield f"a cancel that was {'' if answer.was_possible else 'not '}possible found it {answer.job.state}"
    if not answer.was_possible and case.ended > answer.asked + answer.seconds:
        yield "a cancel came too late that was answered before its end"
    if found.endings != 1 or found.events[-1].type != found.job.state:
        yield f"its story is {[event.type for event in found.events]}"


def too_late(
    what: str, late: Mapping[str, float], since: float, bound: float, stalls: Sequence[Stall]
) -> Iterator[str]:
    """Judge what came, or went on, so many seconds after a moment; while the machine stood still nothing can end."""
    stood_s = stalled_s(stalls, since, since + bound)
    if found := {name: seconds for name, seconds in late.items() if seconds > bound + stood_s}:
        yield f"{what}: {found}, while the machine stood still for {stood_s:.2f} s"
    elif stood_s > MEASURABLE_S and max(late.values(), default=0) > bound:
        yield f"not measurable, as the machine stood still for {stood_s:.2f} s: {what}: {late}"


def faults_of_calls(case: Case, stalls: Sequence[Stall]) -> Iterator[str]:
    """Judge what the provider saw."""
    if strangers := {int(call.request_id.split(".")[2]) for call in case.calls} - case.found.attempts:
        yield f"calls {strangers} were made without a record"
    yield from too_late("calls arrived after its end", case.late_calls(), case.ended, ON_ITS_WAY_S, stalls)
    yield from too_late("calls went on after its end", case.closings(), case.ended, HEARD_S, stalls)


def faults_of_files(
    case: Case, watch: Watch, pairs: Mapping[str, str], others: Sequence[str], stalls: Sequence[Stall]
) -> Iterator[str]:
    """Judge what is on disk, and what was."""
    replied = case.answer.asked + case.answer.seconds
    late = case.late_files(watch)
    yield from too_late("files appeared after its cancel", late, replied, HEARD_S, stalls)
    if missing := {image.id for image in case.found.job.images} - pairs.keys():
        yield f"it lists {missing}, which are not on disk"
    if not case.was_killed and (stray := case.stray(pairs)):
        yield f"pairs are on disk that it does not list: {stray}"
    if not case.was_killed and (left := [name for name in others if any(each in name for each in case.artifacts)]):
        yield f"files are left that belong to no pair: {left}"


def figures(cases: Sequence[Case], kills: Mapping[int, float], watch: Watch, pairs: Mapping[str, str]) -> Iterator[str]:
    """Tell what was done and how long it took."""
    cancelled = [case for case in cases if case.answer.was_possible]
    late = [seconds for case in cancelled for seconds in case.late_calls().values()]
    stray = [case.was_killed for case in cancelled for _ in case.stray(pairs)]
    back = sum(len(case.artifacts & watch.first.keys() - pairs.keys()) for case in cancelled)
    yield f"{len(cases)} cancels, seed {SEED}, {len(kills)} workers killed, {len(cancelled)} were in time"
    yield f"what the jobs were at: {dict(Counter(case.moment() for case in cases).most_common())}"
    yield f"answered after {times([case.answer.seconds for case in cases])}"
    yield f"calls under way ended after {times([each for case in cancelled for each in case.closings().values()])}"
    yield f"calls that arrived after it: {times(late)}; after 50 ms: {sum(seconds > 0.05 for seconds in late)}"
    files = [seconds for case in cancelled for seconds in case.late_files(watch).values()]
    yield f"files that appeared after its answer: {times(files)}"
    yield f"images taken back: {back}; pairs that no job lists: {len(stray)}, of these by killed workers {sum(stray)}"


def times(values: Sequence[float]) -> str:
    """Write median, p99 and maximum in milliseconds."""
    if not values:
        return "never"
    ordered = [1000 * value for value in sorted(values)]
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    return f"{median(ordered):.0f} ms (p99 {p99:.0f}, at most {ordered[-1]:.0f}, {len(values)} times)"


def p95(values: Sequence[float]) -> float:
    """Find what all but a twentieth stay below; 0 if there are none."""
    return sorted(values)[int(0.95 * len(values))] if values else 0.0


@pytest.mark.timeout(60 + CANCELS / 5)
async def test_cancels_at_random_moments(stack: Stack) -> None:
    watch = Watch(stack.folder / "media")
    watching = asyncio.create_task(watch.keep())
    with watching_the_machine(NICE) as stalls:  # as it may be busy with other things
        answers, kills = await submit_and_cancel_all(stack)
        parallel = await run_as_many_as_there_are_slots(stack)  # takes longer than HEARD_S
    watching.cancel()
    cases = await gather_cases(stack, answers, kills)
    pairs, orphans = find_pairs(watch.media)
    others = [*orphans, *(path.name for path in watch.media.rglob(".*.tmp"))]
    print("", *figures(cases, kills, watch, pairs), sep="\n")
    faults = []
    for case in cases:
        found = [*faults_of_story(case)]
        if case.answer.was_possible:
            found += [*faults_of_calls(case, stalls), *faults_of_files(case, watch, pairs, others, stalls)]
        story = ", ".join(f"{event.at.timestamp() - case.ended:+.3f} {event.type}" for event in case.found.events)
        faults += [f"{case.answer.order.key} {case.answer.job.id}: {fault}; {story}" for fault in found]
    assert faults == []
    cancelled = [case for case in cases if case.answer.was_possible]
    assert p95([each for case in cancelled for each in case.late_calls().values()]) <= ON_ITS_WAY_S
    assert p95([each for case in cancelled for each in case.closings().values()]) <= HEARD_S
    assert p95([each for case in cancelled for each in case.late_files(watch).values()]) <= HEARD_S
    assert parallel == 2 * SLOTS
    # 200 ms (p99) are promised, and told above; here the machine may be busy with other things.
    seconds = [answer.seconds for answer in answers]
    assert median(seconds) < 0.2
    assert p95(seconds) < 1.0
    assert kills
    assert {case.moment() for case in cases} >= {"queued", "running", "attempt", "storing", "image", "retry", "ended"}
    assert "failed inside Darkroom" not in stack.logs()
    assert stack.simulator.errors == []


async def see_it_taken_back(stack: Stack, darkroom: Darkroom, job: Job) -> None:
    """Check, once the only slot is free again, that a cancelled job stands and nothing unlisted is on disk."""
    after = await darkroom.wait((await darkroom.submit(prompt="y")).id, timeout_s=20)
    assert after.state is JobState.SUCCEEDED
    assert await darkroom.get(job.id) == job
    story = [event.type async for event in darkroom.events(job.id)]
    assert [kind for kind in story if kind in TERMINAL] == story[-1:] == ["cancelled"]
    files = {path for path in (stack.folder / "media").rglob("*") if path.is_file() and path.name != MARKER}
    listed = [image for each in await darkroom.list() for image in each.images]
    assert files == {Path(path) for image in listed for path in (image.path, image.sidecar)}


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        *((place, 0) for place in ("after_claim", "before_call_count")),
        *((place, 1) for place in ("after_call_count", "after_response")),
        *((place, 1) for place in ("after_tmp_write", "after_image_link", "after_sidecar", "after_report")),
    ],
)
async def test_a_job_is_cancelled_while_its_worker_is_frozen(stack: Stack, place: str, calls: int) -> None:
    stack.simulator.improvise(lambda order: Step("ok", {"seconds": 0.05, "side": SIDE}))
    worker = await stack.start_worker(DARKROOM_CONCURRENCY="1", DARKROOM_FAILPOINT=f"{place}:1:stop")
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="x")
        await frozen(worker.pid)
        job, was_possible = await darkroom.cancel(job.id)
        assert (was_possible, job.state) == (True, JobState.CANCELLED)
        worker.send_signal(signal.SIGCONT)
        await see_it_taken_back(stack, darkroom, job)
    assert len(job.images) == (place == "after_report")
    assert len(job.attempts) == calls
    # A call that was recorded before the cancel may still be on its way to the provider.
    assert sum(call.job_id == job.id for call in stack.simulator.ledger) <= calls


async def test_images_of_a_job_that_hear_of_its_cancel_one_after_another_are_all_taken_back(stack: Stack) -> None:
    stack.simulator.improvise(lambda order: Step("ok", {"seconds": 0.5, "side": SIDE}))
    media = stack.folder / "media"
    async with stack.client() as darkroom, Proxy(to=stack.redis.socket) as proxy, asyncio.timeout(60):
        await stack.start_worker(DARKROOM_CONCURRENCY="1", DARKROOM_REDIS_URL=f"redis://127.0.0.1:{proxy.port}")
        for _ in range(2):  # the renewal of leases may tell all images of one job at once
            job = await darkroom.submit(prompt="x", count=4)
            while sum(call.job_id == job.id for call in stack.simulator.ledger) < 4:
                await asyncio.sleep(0.02)
            proxy.latency(0.15, 0.05)
            while [each.outcome for each in job.attempts] != [Outcome.DELIVERED] * 4:
                await asyncio.sleep(0.02)
                job = await darkroom.get(job.id)
            job, _ = await darkroom.cancel(job.id)  # the images are being stored, or their reports are on the way
            checking = asyncio.create_task(see_it_taken_back(stack, darkroom, job))
            seen: set[Path] = set()
            while not checking.done() and seen <= (now := set(media.rglob("*.json"))):
                seen = now
                await asyncio.sleep(0.02)
            proxy.heal()  # the first one has been taken back
            await checking
