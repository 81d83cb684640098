"""Every row and variant of the catalogue of misbehaviour, through real Redis, real workers and real HTTP.

The cases run several at a time, each in a Darkroom of its own (`rows/rooms.py`); a test waits for its own case. What is
expected stands in the tables of `rows/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from simulator.catalogue.table import PORTS, variants

from contract.jobs.job import Job, JobState
from tests.catalogues.provider_faults.expectation import DELIVERED, Expect
from tests.catalogues.provider_faults.rooms import Room, Rooms
from tests.catalogues.provider_faults.table import EXPECTED, MOODS, NOT_USED, cases
from tests.catalogues.provider_faults.telling import Told, commands_in, secrets_in, tell

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(600)]

in_one_loop = pytest.mark.asyncio(loop_scope="module")

CASES = {f"{row}-{variant}": (row, variant, expect) for row, variant, expect in cases()}
MOST_CHARS = 250
LEAST_PIXELS = 500_000  # of 1K

Running = dict[str, asyncio.Task[list[Told]]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def rooms() -> AsyncIterator[Rooms]:
    """Lend Darkrooms to the cases."""
    async with AsyncExitStack() as resources:
        yield Rooms(resources)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(rooms: Rooms, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """Start all cases that were asked for, as many at a time as there are Darkrooms."""

    async def run(row: str, variant: str, expect: Expect) -> list[Told]:
        async with rooms.lend(expect.where, variant) as room:
            return await tell(row, variant, expect, room)

    asked = [name for name in CASES if f"test_row[{name}]" in {item.name for item in request.session.items}]
    tasks = {name: asyncio.create_task(run(*CASES[name])) for name in asked}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


def test_every_row_and_variant_has_an_expectation() -> None:
    by_doors = {(row, name) for row, names in PORTS.items() for name in names}
    moods = {(row, name) for row, names in MOODS.items() for name in names}
    expected = {(row, name) for row, names in EXPECTED.items() for name in names} | moods
    assert {*variants(), *by_doors} - expected == set()
    assert {row for row, _ in expected - {*variants()} - by_doors} == {"P01", "P06", "P76"}


def test_every_row_of_the_specification_has_an_expectation() -> None:
    specified = {f"P{number:02}" for number in range(1, 86)} - set(NOT_USED)
    assert {*EXPECTED, *MOODS} - {"P73"} == specified - {"P73"}


@in_one_loop
@pytest.mark.parametrize("case", CASES)
async def test_row(case: str, running: Running) -> None:
    problems = [f"{told.story}: {problem}" for told in await running[case] for problem in problems_of(told)]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def problems_of(told: Told) -> Iterator[str]:
    """Tell everything that is not as expected."""
    yield from wrong_story(told)
    yield from wrong_sentence(told)
    yield from wrong_picture(told)
    yield from (f"{secret} is to be seen" for secret in secrets_in(told.public))
    yield from (f"{command!r} is to be seen" for command in commands_in(told.public))
    if not told.is_alive:
        yield "the worker is dead"


def wrong_story(told: Told) -> Iterator[str]:
    """Compare what became of the job with its story."""
    story, job, expect = told.story, told.job, told.story.expect
    failed = story.calls - story.is_delivered
    pairs = {
        "state": (job.state, JobState.SUCCEEDED if story.is_delivered else JobState.FAILED),
        "error": (job.error.code if job.error else "", "" if story.is_delivered else expect.code),
        "errors": (
            " ".join(attempt.error for attempt in job.attempts if attempt.error),
            " ".join([expect.code] * failed),
        ),
        "outcomes": (" ".join(attempt.outcome for attempt in job.attempts), " ".join(story.outcomes)),
        "rungs": (" ".join(str(attempt.rung) for attempt in job.attempts), " ".join(map(str, story.rungs))),
        "degraded": (job.degraded is not None, story.is_delivered and (story.rungs[-1] > 0 or has_odd_picture(job))),
        "made": ("pixels instead of" in (job.degraded.reason if job.degraded else ""), has_odd_picture(job)),
        "calls": (len(told.calls), 0 if expect.where == "door" else story.calls * expect.posts),
    }
    if expect.visits is not None:
        pairs["visits"] = (len(told.visits), expect.visits * max(failed, expect.manner is DELIVERED))
    for what, (seen, expected) in pairs.items():
        if seen != expected:
            yield f"{what}: {seen}, not {expected}"
    if told.seconds > story.most_s:
        yield f"took {told.seconds:.1f} s"
    if expect.waits_s and told.calls[1].started_at - told.calls[0].started_at < expect.waits_s:
        yield "did not wait"


def has_odd_picture(job: Job) -> bool:
    """Tell whether a picture is smaller than any that was asked for, as most specimens are, or no square."""
    sizes = [(image.width, image.height) for image in job.images]
    return any(width * height < LEAST_PIXELS or max(width, height) > 2 * min(width, height) for width, height in sizes)


def wrong_sentence(told: Told) -> Iterator[str]:
    """Look at what the user is told of an error."""
    detail = told.job.error.detail if told.job.error else ""
    if len(detail) > MOST_CHARS or not detail.isprintable() or "<" in detail:
        yield f"not one clean line: {detail!r}"
    if told.job.error and told.story.expect.said not in detail:
        yield f"does not say {told.story.expect.said!r}: {detail!r}"


def wrong_picture(told: Told) -> Iterator[str]:
    """Look at what was stored, where it is what the row is about."""
    expect = told.story.expect
    if told.story.times is not None or not told.job.images:
        return
    warnings = " ".join(told.sidecar["warnings"])
    if not told.job.images[0].mime.startswith(expect.mime):
        yield f"a {told.job.images[0].mime}"
    if expect.warning not in warnings or bool(expect.warning) != bool(warnings):
        yield f"warns {warnings!r}"
    if expect.keeps not in told.picture:
        yield f"{expect.keeps!r} is gone"
    yield from (f"{part!r} is still there" for part in expect.drops if part in told.picture)


@in_one_loop
async def test_after_all_this_the_workers_are_alive_and_nothing_has_leaked(rooms: Rooms, running: Running) -> None:
    await asyncio.gather(*running.values(), return_exceptions=True)
    for room in rooms.all:
        await check_room(room)


async def check_room(room: Room) -> None:
    """Make one more picture, then look for secrets everywhere."""
    await room.clean()
    job = await room.darkroom.submit(prompt="canary-prompt", image_size="512")
    job = await room.darkroom.wait(job.id, timeout_s=40)
    assert job.state is JobState.SUCCEEDED
    assert room.worker.poll() is None
    assert secrets_in(await room.strings()) == []
    assert secrets_in(room.stack.logs()) == []
    assert room.simulator.errors == []
