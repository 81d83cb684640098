"""What stands in answers: refused content, what it cost, and whole jobs that come of it."""

from __future__ import annotations

import pytest
from house import House

from contract.errors import Refused
from contract.job import Job, JobState, Outcome

pytestmark = pytest.mark.real_redis


async def made(house: House, **fields: object) -> Job:
    """Hand a job in, and wait for its end."""
    async with house.client() as darkroom:
        job = await darkroom.submit(**{"prompt": "a fox", "image_size": "2K", **fields})
        return await darkroom.wait(job.id, timeout_s=30)


FALLBACK = """DARKROOM_FALLBACKS='[{"provider": "aihubmix", "model": "gpt-image-2-free"}]'\n"""


@pytest.mark.parametrize(
    "step",
    [
        {"kind": "status", "status": 400, "failure": "raw_text"},
        {"kind": "status", "status": 400, "failure": "raw_object"},
        {"kind": "status", "status": 502, "failure": "raw_in_502"},
        {"kind": "shape", "shape": "image_prohibited_content"},
        {"kind": "shape", "shape": "recitation"},
        {"kind": "shape", "shape": "refusal_message"},
        {"kind": "shape", "shape": "safety_words_said"},
    ],
    ids=lambda step: step.get("failure") or step["shape"],
)
async def test_a_refused_prompt_is_asked_for_once_and_goes_to_no_other_provider(
    step: dict[str, object], house: House
) -> None:
    (house.folder / "darkroom.env").write_text(FALLBACK)
    await house.start_worker()
    house.simulator.script([{**step, "times": "always"}])
    job = await made(house)
    assert (job.state, [call.provider for call in house.simulator.ledger]) == (JobState.FAILED, ["openrouter"])
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("content_refused", False)
    assert "Provider returned error" not in job.error.detail


@pytest.mark.parametrize(
    ("shape", "code", "calls", "most"), [("recitation", "content_refused", 1, 7), ("no_images", "no_image", 2, 4)]
)
async def test_what_answers_without_an_image_cost_is_kept_and_charged(
    shape: str, code: str, calls: int, most: int, house: House
) -> None:
    knobs = "DARKROOM_BUDGET_USD_PER_DAY=0.25\nDARKROOM_PRICE_USD=0.01\n"
    (house.folder / "darkroom.env").write_text(knobs)
    await house.start_worker()
    house.simulator.script([{"kind": "shape", "shape": shape, "times": "always"}])
    jobs: list[Job] = []
    with pytest.raises(Refused, match="budget"):
        await _spend(house, jobs)
    assert {job.error.code for job in jobs if job.error} == {code}
    assert [job.cost_usd for job in jobs] == [0.04 * calls] * most  # the last one began with $0.01 left
    assert len(house.simulator.ledger) == calls * len(jobs)


async def _spend(house: House, jobs: list[Job]) -> None:
    for _ in range(12):
        jobs.append(await made(house, image_size="1K"))


async def test_a_cost_that_no_call_can_have_is_not_believed(house: House) -> None:
    (house.folder / "darkroom.env").write_text("DARKROOM_BUDGET_USD_PER_DAY=1\nDARKROOM_PRICE_USD=0.01\n")
    await house.start_worker()
    house.simulator.script([{"kind": "shape", "shape": "unbelievable_cost", "times": "always"}])
    for _ in range(2):
        job = await made(house)
        assert (job.cost_usd, {attempt.outcome for attempt in job.attempts}) == (None, {Outcome.INTERRUPTED})


@pytest.mark.parametrize(("model", "posts"), [("new/painter", [404, 200]), ("black-forest-labs/flux.2-pro", [200])])
async def test_a_model_that_gives_only_images_is_asked_for_images_alone(
    model: str, posts: list[int], house: House
) -> None:
    house.write_config(model=model)
    await house.start_worker()
    house.simulator.script([{"kind": "image_only", "times": "always"}])
    first, second = await made(house), await made(house)
    assert [call.status for call in house.simulator.ledger] == [*posts, 200]
    for job in (first, second):
        assert (job.state, [call.outcome for call in job.attempts]) == (JobState.SUCCEEDED, [Outcome.DELIVERED])


@pytest.mark.parametrize("specimen", ["", "good_png"], ids=["inline", "alike"])
async def test_pictures_beside_the_first_one_serve_the_other_images(specimen: str, house: House) -> None:
    await house.start_worker()
    several = {"kind": "ok", "images": 3, **({"specimen": specimen} if specimen else {})}
    house.simulator.script([several, {"kind": "slow", "seconds": 9, "times": "always"}])
    async with house.client() as darkroom:
        job = await darkroom.submit(prompt="a fox", count=3)
        job = await darkroom.wait(job.id, timeout_s=8 if not specimen else 30)
        told = " ".join([event.text async for event in darkroom.events(job.id)])
    assert (job.state, [image.index for image in job.images]) == (JobState.SUCCEEDED, [0, 1, 2])
    assert len({image.sha256 for image in job.images}) == 3
    delivered = [call for call in job.attempts if call.outcome is Outcome.DELIVERED]
    if specimen:
        assert len(delivered) == 3
        assert "2 more pictures of its answer could not be used" in told
        return
    assert (len(delivered), len(house.simulator.ledger), job.cost_usd) == (1, 3, 0.04)
    assert {call.outcome for call in job.attempts} == {Outcome.DELIVERED, Outcome.CANCELLED}
    assert all(call.aborted_by_client for call in house.simulator.ledger[1:])
    assert told.count(f"it came in the answer for image {delivered[0].index + 1}") == 2


async def test_an_image_that_waits_for_its_next_call_takes_what_another_one_brought(house: House) -> None:
    await house.start_worker()
    busy = {"kind": "status", "status": 429, "headers": {"Retry-After": "3"}, "times": 2}
    house.simulator.script([{**busy}, {"kind": "ok", "images": 3, "seconds": 1, "times": "always"}])
    job = await made(house, count=3)
    assert (job.state, len(house.simulator.ledger), job.cost_usd) == (JobState.SUCCEEDED, 3, 0.04)
