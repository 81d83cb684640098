"""Models whose answers bring several pictures: how many calls a job makes, and how many of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from house import House

from contract.job import Job, JobState

pytestmark = pytest.mark.real_redis

THREE: dict[str, object] = {"kind": "ok", "images": 3, "seconds": 1}


async def made(house: House, **fields: object) -> tuple[Job, int]:
    """Make a job; answer it and how many calls were paid for it."""
    before = len(house.simulator.ledger)
    async with house.client() as darkroom:
        job = await darkroom.submit(**{"prompt": "a fox", "count": 3, **fields})
        job = await darkroom.wait(job.id, timeout_s=40)
    assert (job.state, len(job.images)) == (JobState.SUCCEEDED, job.request.count)
    assert len({image.sha256 for image in job.images}) == job.request.count
    return job, len(house.simulator.ledger) - before


async def test_a_model_that_brings_three_pictures_is_called_once_for_three_images_as_soon_as_that_is_known(
    house: House,
) -> None:
    await house.start_worker()
    house.simulator.script([{**THREE, "times": "always"}])
    _, first = await made(house)
    job, second = await made(house)
    assert (first, second, job.cost_usd, len(job.attempts)) == (3, 1, 0.04, 1)
    house.stop()
    await house.start_worker()  # which has not seen any of this
    assert [(await made(house, count=count))[1] for count in (2, 3, 4)] == [1, 1, 2]


async def test_a_model_that_is_configured_to_bring_three_is_called_once_from_the_first_job_on(house: House) -> None:
    house.write_config(provider="aihubmix", model="gpt-image-2-free", providers={"aihubmix": {"extraBody": {"n": 3}}})
    await house.start_worker()
    assert [(await made(house))[1] for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("model", ["a/painter", "a/known"])
async def test_calls_for_a_model_that_brings_one_picture_overlap(model: str, house: House) -> None:
    house.write_config(model=model)
    await house.start_worker()
    one = {"kind": "slow", "seconds": 1.5, "times": "always"}
    if model == "a/known":
        house.simulator.script([{**THREE, "times": 3}, one])
        await made(house)
        _, calls = await made(house, count=4)  # relies on three a call, and finds out
        assert calls >= 4
        await house.simulator.reset()
    house.simulator.script([one])
    _, calls = await made(house, count=4)
    assert (calls, house.simulator.max_parallel) == (4, 4)


FAILURES: Mapping[str, dict[str, object]] = {
    "fails": {"kind": "status", "status": 503, "seconds": 0.5},
    "brings fewer": {"kind": "ok", "images": 1, "seconds": 0.5},
    "is refused by the limit": {"kind": "status", "status": 429, "seconds": 0.5},
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_the_other_images_are_made_at_once_when_the_first_call_does_not_bring_them(
    failure: dict[str, object], house: House
) -> None:
    await house.start_worker()
    house.simulator.script([{**THREE, "times": 3}, failure, {"kind": "slow", "seconds": 2, "times": "always"}])
    await made(house)
    await made(house)
    alone, *others = house.simulator.ledger[3:]
    assert alone.parallel == 1
    assert len(others) >= 2
    assert max(call.parallel for call in others) >= 2


async def test_images_that_wait_for_anothers_call_hold_no_place_at_the_gate(house: House) -> None:
    await house.start_worker(DARKROOM_MAX_CONCURRENCY="2")
    house.simulator.script([{**THREE, "times": "always"}])
    await made(house)
    await house.simulator.reset()
    house.simulator.script([{**THREE, "seconds": 3, "times": "always"}])
    async with asyncio.TaskGroup() as group:
        jobs = [group.create_task(made(house)) for _ in range(2)]
    assert all(job.done() for job in jobs)
    assert (len(house.simulator.ledger), house.simulator.max_parallel) == (2, 2)
