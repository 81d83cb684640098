"""What rows of the catalogue say of several images, of the next job, and of words: beyond one job of one image."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from contract.jobs.job import Job, JobState
from tests.catalogues.provider_faults.rooms import PROMPT, Room, open_room
from tests.catalogues.provider_faults.telling import GOOD

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

BREAKER_S = 10.0  # longer than a slow machine takes for the next job


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def darkroom() -> AsyncIterator[Room]:
    """Open one Darkroom for all tests."""
    async with open_room("calm", BREAKER_SECONDS=BREAKER_S) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="module")
async def room(darkroom: Room) -> Room:
    """Lend it with nothing scripted."""
    await darkroom.clean()
    return darkroom


async def run(room: Room, *, image_size: str = "2K", **fields: Any) -> Job:
    job = await room.darkroom.submit(prompt=PROMPT, image_size=image_size, **fields)
    return await room.darkroom.wait(job.id, timeout_s=40)


def code_of(job: Job) -> str:
    return job.error.code if job.error else ""


async def test_p24_a_provider_that_is_always_busy_ends_a_job_before_its_deadline(room: Room) -> None:
    room.simulator.script("P24.two_seconds always")
    started = time.monotonic()
    job = await run(room, deadline_seconds=5.0)
    assert (job.state, code_of(job)) == (JobState.FAILED, "provider_rate_limited")
    assert time.monotonic() - started < 5.5
    assert len(room.simulator.ledger) in (2, 3)


@pytest.mark.parametrize(("variant", "wait"), [("a_day", "24 h"), ("exponent", "several days"), ("far_date", "24 h")])
async def test_p26_the_sentence_says_how_long_the_provider_asks_to_wait(variant: str, wait: str, room: Room) -> None:
    room.simulator.script(f"P26.{variant} always")
    job = await run(room)
    assert job.error is not None
    assert f"openrouter asks to wait {wait}." in job.error.detail


@pytest.mark.parametrize(("kind", "code"), [("P33", "provider_auth"), ("P34", "provider_credits")])
async def test_a_rejected_key_is_not_tried_again_by_the_next_job(kind: str, code: str, room: Room) -> None:
    room.simulator.script(f"{kind} always")
    jobs = [await run(room), await run(room)]
    assert [code_of(job) for job in jobs] == [code, code]
    assert [job.job_id for job in room.simulator.ledger] == [jobs[0].id]


async def test_p39_references_are_smaller_the_second_time(room: Room) -> None:
    room.simulator.script([{"kind": "P39"}, GOOD])
    job = await run(room, reference_images=["large.png"])
    first, second = (len(json.dumps(call.body)) for call in room.simulator.ledger)
    assert job.state is JobState.SUCCEEDED
    assert second < first / 4


async def test_p39_without_references_there_is_nothing_to_make_smaller(room: Room) -> None:
    room.simulator.script("P39 always")
    assert code_of(await run(room)) == "reference_too_large"
    assert len(room.simulator.ledger) == 1


async def test_p46_the_words_of_a_model_are_cut(room: Room) -> None:
    room.simulator.script("P46.many_words always")
    job = await run(room)
    assert job.error is not None
    assert "All work and no play." in job.error.detail
    assert job.error.detail.endswith("…")


@pytest.mark.parametrize("variant", ["one", "two", "five"])
async def test_p68_three_images_take_three_calls_however_many_come(variant: str, room: Room) -> None:
    room.simulator.script([{"kind": "P68", "variant": variant, "times": "always"}])
    job = await run(room, count=3, image_size="512")
    assert (job.state, len(room.simulator.ledger)) == (JobState.SUCCEEDED, 3)
    assert len({image.sha256 for image in job.images}) == 3


async def test_p69_the_same_image_is_asked_for_again(room: Room) -> None:
    room.simulator.script([{"kind": "P69", "variant": "same", "times": 2}, GOOD])
    job = await run(room, count=2)
    assert (job.state, len(room.simulator.ledger)) == (JobState.SUCCEEDED, 3)
    assert {attempt.rung for attempt in job.attempts} == {0}
    assert len({image.sha256 for image in job.images}) == 2


async def test_p69_the_same_image_for_ever_is_delivered_once(room: Room) -> None:
    room.simulator.script("P69.same always")
    job = await run(room, count=2)
    assert (job.state, len(job.images), code_of(job)) == (JobState.SUCCEEDED, 1, "image_repeated")
    assert len(room.simulator.ledger) == 1 + 2


async def test_p84_an_image_of_this_very_job_is_not_taken_for_another(room: Room) -> None:
    room.simulator.script("P84 always")
    job = await run(room, count=2, image_size="512")
    assert job.state is JobState.SUCCEEDED
    assert len({image.sha256 for image in job.images}) == 2


async def test_p85_nothing_that_a_neighbour_sets_is_kept(room: Room) -> None:
    room.simulator.script([{"kind": "P85", "specimen": "good_png"}, {"kind": "P85", "specimen": "good_jpeg"}])
    jobs = [await run(room, count=2), await run(room)]
    assert [job.state for job in jobs] == [JobState.SUCCEEDED] * 2
    assert not any("cookie" in call.headers for call in room.simulator.ledger)
    sidecar = json.loads(Path(jobs[0].images[0].sidecar).read_text())
    assert datetime.fromisoformat(sidecar["created_at"]).date() >= datetime.now(UTC).date().replace(day=1)
