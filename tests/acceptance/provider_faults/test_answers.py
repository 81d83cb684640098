"""What stands in answers: refused content, what it cost, and whole jobs that come of it."""

from __future__ import annotations

import base64

import pytest

from contract.errors.exceptions import Refused
from contract.jobs.job import Job, JobState, Outcome
from tests.support.factories.images import picture
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis


async def made(stack: Stack, **fields: object) -> Job:
    """Hand a job in, and wait for its end."""
    async with stack.client() as darkroom:
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
    step: dict[str, object], stack: Stack
) -> None:
    (stack.folder / "darkroom.env").write_text(FALLBACK)
    await stack.start_worker()
    stack.simulator.script([{**step, "times": "always"}])
    job = await made(stack)
    assert (job.state, [call.provider for call in stack.simulator.ledger]) == (JobState.FAILED, ["openrouter"])
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("content_refused", False)
    assert "Provider returned error" not in job.error.detail


@pytest.mark.parametrize(
    ("shape", "code", "calls", "most"), [("recitation", "content_refused", 1, 7), ("no_images", "no_image", 2, 4)]
)
async def test_what_answers_without_an_image_cost_is_kept_and_charged(
    shape: str, code: str, calls: int, most: int, stack: Stack
) -> None:
    env = "DARKROOM_BUDGET_USD_PER_DAY=0.25\nDARKROOM_PRICE_USD=0.01\n"
    (stack.folder / "darkroom.env").write_text(env)
    await stack.start_worker()
    stack.simulator.script([{"kind": "shape", "shape": shape, "times": "always"}])
    jobs: list[Job] = []
    with pytest.raises(Refused, match="budget"):
        await _spend(stack, jobs)
    assert {job.error.code for job in jobs if job.error} == {code}
    assert [job.cost_usd for job in jobs] == [0.04 * calls] * most  # the last one began with $0.01 left
    assert len(stack.simulator.ledger) == calls * len(jobs)


async def _spend(stack: Stack, jobs: list[Job]) -> None:
    for _ in range(12):
        jobs.append(await made(stack, image_size="1K"))


def answers(provider: str, way: str, usage: dict[str, object]) -> dict[str, object]:
    """Make the step of a provider that tells a cost in one of the ways in which one is read."""
    image = base64.b64encode(picture(96)).decode()
    with_image: dict[str, object] = {"output": [{"bytesBase64": image}]}
    without: dict[str, object] = {"output": []}
    if provider == "openrouter":
        images = [{"image_url": {"url": f"data:;base64,{image}"}}]
        with_image = {"choices": [{"message": {"images": images}}]}
        without = {"choices": [{"message": {"images": []}}]}
    refused: dict[str, object] = {"error": {"code": "moderation_blocked", "message": "No."}}
    bodies: dict[str, dict[str, object]] = {
        "delivered": with_image,
        "no image": without,
        "refused in 200": refused,
        "refused": refused,
        "failed in 200": {"error": {"code": 500, "message": "Stopped."}},
        "failed": {"error": {"code": 500, "message": "Stopped."}},
    }
    statuses = {"refused": 400, "failed": 500}
    if way == "polled":
        body = {"status": "succeeded", **with_image, "usage": usage}
        return {"kind": "ok", "variant": "polling", "outcome": "says", "body": body, "side": 96}
    return {"kind": "status", "status": statuses.get(way, 200), "body": {**bodies[way], "usage": usage}}


WAYS = ("delivered", "no image", "refused in 200", "refused", "failed in 200", "failed")
PLACES = [*(("openrouter", way) for way in WAYS), *(("aihubmix", way) for way in (*WAYS, "polled"))]
ABSURD = 999_999_999
TOLD: list[tuple[dict[str, object], float | None]] = [
    ({"cost": ABSURD}, None),
    ({"cost": 0.02, "is_byok": True, "cost_details": {"upstream_inference_cost": ABSURD}}, 0.02),
    ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.6}}, 0.6),  # a key of one's own
]


@pytest.mark.parametrize(("provider", "way"), PLACES)
async def test_what_a_call_has_cost_is_charged_wherever_it_is_told_unless_no_call_can_have_cost_it(
    provider: str, way: str, stack: Stack
) -> None:
    (stack.folder / "darkroom.env").write_text("DARKROOM_BUDGET_USD_PER_DAY=0.5\nDARKROOM_PRICE_USD=0.01\n")
    stack.write_config(provider=provider, model={"openrouter": "a/b", "aihubmix": "gpt-image-2-free"}[provider])
    await stack.start_worker()
    listed = 0.0 if provider == "aihubmix" and way in ("delivered", "polled") else None
    for usage, usd in TOLD:
        await stack.simulator.reset()
        stack.simulator.script([{**answers(provider, way, usage), "times": "always"}])
        job = await made(stack, image_size="1K", fallback="none")
        expected = listed if usd is None else usd
        assert [attempt.cost_usd for attempt in job.attempts] == [expected] * len(stack.simulator.ledger)
    with pytest.raises(Refused, match="budget"):
        await made(stack)


@pytest.mark.parametrize(("model", "posts"), [("new/painter", [404, 200]), ("black-forest-labs/flux.2-pro", [200])])
async def test_a_model_that_gives_only_images_is_asked_for_images_alone(
    model: str, posts: list[int], stack: Stack
) -> None:
    stack.write_config(model=model)
    await stack.start_worker()
    stack.simulator.script([{"kind": "image_only", "times": "always"}])
    first, second = await made(stack), await made(stack)
    assert [call.status for call in stack.simulator.ledger] == [*posts, 200]
    for job in (first, second):
        assert (job.state, [call.outcome for call in job.attempts]) == (JobState.SUCCEEDED, [Outcome.DELIVERED])


@pytest.mark.parametrize("specimen", ["", "good_png"], ids=["inline", "alike"])
async def test_pictures_beside_the_first_one_serve_the_other_images(specimen: str, stack: Stack) -> None:
    await stack.start_worker()
    several = {"kind": "ok", "images": 3, **({"specimen": specimen} if specimen else {})}
    stack.simulator.script([several, {"kind": "slow", "seconds": 9, "times": "always"}])
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox", count=3)
        job = await darkroom.wait(job.id, timeout_s=8 if not specimen else 30)
        told = " ".join([event.text async for event in darkroom.events(job.id)])
    assert (job.state, [image.index for image in job.images]) == (JobState.SUCCEEDED, [0, 1, 2])
    assert len({image.sha256 for image in job.images}) == 3
    delivered = [call for call in job.attempts if call.outcome is Outcome.DELIVERED]
    if specimen:
        assert len(delivered) == 3
        assert "2 more images of its answer could not be used" in told
        return
    assert (len(delivered), len(stack.simulator.ledger), job.cost_usd) == (1, 3, 0.04)
    assert {call.outcome for call in job.attempts} == {Outcome.DELIVERED, Outcome.CANCELLED}
    assert all(call.aborted_by_client for call in stack.simulator.ledger[1:])
    assert told.count(f"it came in the answer for image {delivered[0].index + 1}") == 2


async def test_an_image_that_waits_for_its_next_call_takes_what_another_one_brought(stack: Stack) -> None:
    await stack.start_worker()
    busy = {"kind": "status", "status": 429, "headers": {"Retry-After": "3"}, "times": 2}
    stack.simulator.script([{**busy}, {"kind": "ok", "images": 3, "seconds": 1, "times": "always"}])
    job = await made(stack, count=3)
    assert (job.state, len(stack.simulator.ledger), job.cost_usd) == (JobState.SUCCEEDED, 3, 0.04)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_job_whose_picture_cannot_be_fetched_yet_says_so(count: int, stack: Stack) -> None:
    await stack.start_worker(DARKROOM_RETRY_SECONDS="0.5")
    linked = {"kind": "url", "download": "refused", "status": 503, "refusals": 6, "seconds": 0.1}
    stack.simulator.script([linked, {"kind": "slow", "seconds": 0.1, "times": "always"}])
    said = set()
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox", count=count)
        async for event in darkroom.events(job.id):
            if event.type == "retry":
                said.add(event.text)
                job = await darkroom.get(job.id)
                assert event.text in job.progress.message
        job = await darkroom.get(job.id)
    [text] = said
    assert "hat openrouter has made cannot be fetched yet" in text
    assert text.startswith("Image ") is (count == 2)
    assert (job.state, len(job.images), len(stack.simulator.ledger)) == (JobState.SUCCEEDED, count, count)


@pytest.mark.parametrize("kind", ["ok", "url"], ids=["inline", "link"])
@pytest.mark.parametrize("variant", ["chat_markdown", "output_markdown", "text_markdown"])
async def test_a_prediction_that_shows_its_picture_in_words_is_not_paid_twice(
    kind: str, variant: str, stack: Stack
) -> None:
    stack.write_config(provider="aihubmix", model="gpt-image-2-free")
    await stack.start_worker()
    stack.simulator.script([{"kind": kind, "variant": variant}, {"kind": "no_image", "times": "always"}])
    job = await made(stack, image_size="1K")
    assert (job.state, len(job.images), len(stack.simulator.ledger)) == (JobState.SUCCEEDED, 1, 1)
    assert job.warnings == ()


async def test_what_is_said_in_parts_instead_of_a_picture_is_told(stack: Stack) -> None:
    await stack.start_worker()
    said = [
        {"type": "text", "text": "See [this one](https://example.com/fox.png)."},
        {"type": "text", "text": "Sorry."},
    ]
    body = {"choices": [{"message": {"content": said}}]}
    stack.simulator.script([{"kind": "status", "status": 200, "body": body, "times": "always"}])
    job = await made(stack, image_size="1K", fallback="none")
    assert job.error is not None
    assert job.error.code == "no_image"
    assert "It said: See [this one](https://example.com/fox.png). Sorry." in job.error.detail
