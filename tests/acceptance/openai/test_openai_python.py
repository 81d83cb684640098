"""OpenAI's Python SDK against the gateway: a real worker, a real Redis, a simulated provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import httpx
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types import ImagesResponse

from tests.support.factories.images import picture
from tests.support.stack.shared_stack import MODEL, OTHER_MODEL, SQUARE, SharedStack, fresh, opened

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def ann(shared_stack: SharedStack) -> AsyncIterator[AsyncOpenAI]:
    """A client that does not repeat anything."""
    async with client(shared_stack.url, shared_stack.account().token) as ann:
        yield ann


def client(url: str, token: str, **options: Any) -> AsyncOpenAI:
    """Make a client that repeats nothing, unless it is told to."""
    return AsyncOpenAI(base_url=f"{url}/v1", api_key=token, **{"max_retries": 0} | options)


def images(answer: ImagesResponse) -> list[str]:
    """Take the base64 out of an answer, which has no links then."""
    assert answer.data
    assert not any(image.url for image in answer.data)
    return [image.b64_json or "" for image in answer.data]


async def test_one_image_is_the_default(shared_stack: SharedStack, ann: AsyncOpenAI) -> None:
    answer = await ann.images.generate(prompt=(prompt := fresh()))
    [image] = images(answer)
    assert opened(image).size == SQUARE
    assert (answer.size, answer.output_format) == ("1024x1024", "png")
    [call] = shared_stack.calls(prompt)
    assert answer.model_extra
    assert answer.model_extra["darkroom"]["job_id"] == call.job_id


async def test_several_images(ann: AsyncOpenAI) -> None:
    first, second = images(await ann.images.generate(prompt=fresh(), n=2))
    assert opened(first).tobytes() != opened(second).tobytes()


@pytest.mark.parametrize(("size", "ratio"), [("1536x1024", "3:2"), ("auto", "1:1")])
async def test_sizes_become_ratios(shared_stack: SharedStack, ann: AsyncOpenAI, size: Any, ratio: str) -> None:
    await ann.images.generate(prompt=(prompt := fresh()), size=size)
    [call] = shared_stack.calls(prompt)
    assert (call.aspect_ratio, call.image_size) == (ratio, "1K")


@pytest.mark.parametrize(("named", "asked"), [("gpt-image-1", MODEL), (MODEL, MODEL), (OTHER_MODEL, OTHER_MODEL)])
async def test_models(shared_stack: SharedStack, ann: AsyncOpenAI, named: str, asked: str) -> None:
    await ann.images.generate(prompt=(prompt := fresh()), model=named)
    assert [call.model for call in shared_stack.calls(prompt)] == [asked]


async def test_an_unknown_model_is_not_found(ann: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no such model") as caught:
        await ann.images.generate(prompt="a fox", model="nobody/knows-it")
    assert (caught.value.code, caught.value.param) == ("unknown_model", "model")


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
async def test_formats_and_their_compression(ann: AsyncOpenAI, kind: Any) -> None:
    answers = [await ann.images.generate(prompt=fresh(), output_format=kind, output_compression=n) for n in (5, 95)]
    small, large = (images(answer)[0] for answer in answers)
    assert (opened(small).format, opened(large).format) == (kind.upper(), kind.upper())
    assert len(small) < len(large)
    assert answers[0].output_format == kind


async def test_a_link_opens_without_a_token(ann: AsyncOpenAI) -> None:
    answer = await ann.images.generate(prompt=fresh(), response_format="url")
    assert answer.data
    assert answer.data[0].b64_json is None
    async with httpx.AsyncClient() as anybody:
        shown = await anybody.get(answer.data[0].url or "")
    assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/png")


async def test_a_service_names_its_users(shared_stack: SharedStack) -> None:
    async with client(shared_stack.url, shared_stack.service) as bot:
        await bot.images.generate(prompt=fresh(), user="carl")
    assert (len(await shared_stack.jobs("service/carl")), len(await shared_stack.jobs("service"))) == (1, 0)


@pytest.mark.parametrize("count", [1, 2])
async def test_edits(shared_stack: SharedStack, ann: AsyncOpenAI, count: int) -> None:
    files = [(f"{side}.png", picture(side), "image/png") for side in (64, 80)][:count]
    answer = await ann.images.edit(image=files[0] if count == 1 else files, prompt=(prompt := fresh()), n=1)
    assert len(images(answer)) == 1
    assert [call.references for call in shared_stack.calls(prompt)] == [count]


async def test_a_mask_is_refused_in_words(ann: AsyncOpenAI) -> None:
    file = ("fox.png", picture(), "image/png")
    with pytest.raises(
        openai.BadRequestError, match=r"Masks are not supported\. Describe the change in the prompt"
    ) as caught:
        await ann.images.edit(image=file, mask=file, prompt="a fox")
    assert caught.value.param == "mask"


@pytest.mark.parametrize("count", [1, 2])
async def test_a_stream_of_new_images(ann: AsyncOpenAI, count: int) -> None:
    stream = await ann.images.generate(prompt=fresh(), n=count, stream=True)
    events = [event async for event in stream]
    assert [type(event) for event in events] == count * [openai.types.ImageGenCompletedEvent]
    for event in events:
        assert isinstance(event, openai.types.ImageGenCompletedEvent)
        assert (opened(event.b64_json).size, event.usage.total_tokens) == (SQUARE, 0)


async def test_a_stream_of_an_edit(ann: AsyncOpenAI) -> None:
    stream = await ann.images.edit(image=("fox.png", picture()), prompt=fresh(), stream=True)
    [event] = [event async for event in stream]
    assert isinstance(event, openai.types.ImageEditCompletedEvent)
    assert (opened(event.b64_json).size, event.usage.total_tokens) == (SQUARE, 0)


async def test_a_stream_that_fails_has_our_words(ann: AsyncOpenAI) -> None:
    stream = await ann.images.generate(prompt=fresh("[refuse]"), stream=True)
    with pytest.raises(openai.APIError, match="refused") as caught:
        _ = [event async for event in stream]
    assert caught.value.code == "content_refused"


async def test_who_is_nobody_is_told_so(shared_stack: SharedStack) -> None:
    async with client(shared_stack.url, "dk_nobody") as nobody:
        with pytest.raises(openai.AuthenticationError, match="A valid token is required") as caught:
            await nobody.images.generate(prompt="a fox")
    assert (caught.value.request_id or "").startswith("req_")


async def test_who_may_only_read_makes_nothing(shared_stack: SharedStack) -> None:
    async with client(shared_stack.url, shared_stack.reader) as reader:
        with pytest.raises(openai.PermissionDeniedError, match="it lacks the right submit"):
            await reader.images.generate(prompt="a fox")


async def test_a_bad_request_says_what_is_bad(ann: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="between 1 and 4") as caught:
        await ann.images.generate(prompt="a fox", n=9)
    assert (caught.value.code, caught.value.param) == ("count_out_of_range", "n")


async def test_a_refusal_is_ours_and_not_repeated(shared_stack: SharedStack) -> None:
    async with client(shared_stack.url, shared_stack.account().token, max_retries=2) as ann:
        with pytest.raises(openai.BadRequestError, match="refused") as caught:
            await ann.images.generate(prompt=(prompt := fresh("[refuse]")))
    assert caught.value.code == "content_refused"
    assert len(shared_stack.calls(prompt)) == 1


async def test_what_a_provider_cannot_do_is_not_repeated_by_the_client(shared_stack: SharedStack) -> None:
    shared_stack.stack.simulator.script(
        [{"kind": "status", "status": 404, "times": "always"}], match=(prompt := fresh())
    )
    owner, token = shared_stack.account()
    async with client(shared_stack.url, token, max_retries=2) as ann:
        with pytest.raises(openai.InternalServerError) as caught:
            await ann.images.generate(prompt=prompt)
    [job] = await shared_stack.jobs(owner)
    assert job.error
    assert (caught.value.code, str(job.error.detail) in caught.value.message) == (job.error.code, True)


async def test_a_client_that_repeats_and_does_not_say_so_is_told_the_same_failure(shared_stack: SharedStack) -> None:
    script = [{"kind": "status", "status": 404, "times": "always"}]
    shared_stack.stack.simulator.script(script, match=(prompt := fresh()))
    owner, token = shared_stack.account()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as anybody:
        address, body = f"{shared_stack.url}/v1/images/generations", {"prompt": prompt}
        first, second = [await anybody.post(address, json=body) for _ in range(2)]
        assert (first.status_code, first.json()) == (second.status_code, second.json())
        assert first.status_code == 502
        assert len(await shared_stack.jobs(owner)) == 1
        await anybody.post(address, json=body, headers={"Idempotency-Key": "another"})  # says that it is no repeat
    assert len(await shared_stack.jobs(owner)) == 2


async def test_too_many_requests_are_let_in_when_it_was_said(shared_stack: SharedStack) -> None:
    url = await shared_stack.stack.start_gateway(DARKROOM_RATE="1/2second")
    async with client(url, shared_stack.account().token) as ann:
        await ann.images.generate(prompt=fresh())
        with pytest.raises(openai.RateLimitError) as caught:
            await ann.images.generate(prompt=fresh())
        assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 4
        assert len(images(await ann.with_options(max_retries=1).images.generate(prompt=fresh()))) == 1


async def test_models_are_listed_and_found(ann: AsyncOpenAI) -> None:
    assert [model.id async for model in ann.models.list()] == [MODEL, OTHER_MODEL]
    assert [(await ann.models.retrieve(name)).id for name in (OTHER_MODEL, "gpt-image-1")] == [
        OTHER_MODEL,
        "gpt-image-1",
    ]
    with pytest.raises(openai.NotFoundError):
        await ann.models.retrieve("nobody/knows-it")


async def test_a_client_that_gives_up_and_comes_back_finds_its_job(shared_stack: SharedStack) -> None:
    owner, token = shared_stack.account()
    async with client(shared_stack.url, token, max_retries=2, timeout=1) as ann:
        answer = await ann.images.generate(prompt=(prompt := fresh("[slow 2]")))
    assert len(images(answer)) == 1
    assert len(await shared_stack.jobs(owner)) == len(shared_stack.calls(prompt)) == 1


async def test_the_same_request_is_no_repeat(shared_stack: SharedStack) -> None:
    owner, token = shared_stack.account()
    async with client(shared_stack.url, token) as ann:
        await asyncio.gather(*(ann.images.generate(prompt=prompt) for prompt in 2 * [fresh()]))
    assert len(await shared_stack.jobs(owner)) == 2


async def test_one_connection_of_two_keeps_a_job(shared_stack: SharedStack) -> None:
    owner, token = shared_stack.account()
    async with client(shared_stack.impatient_url, token) as ann:
        first = asyncio.create_task(ann.images.generate(prompt=(prompt := fresh("[slow 1.5]"))))
        await shared_stack.called(prompt)
        repeated = {"x-stainless-retry-count": "1"}
        asked = ann.images.with_streaming_response.generate(prompt=prompt, extra_headers=repeated)
        async with asked as second:  # its head has come
            first.cancel()
            assert len(images(await second.parse())) == 1
    assert len(await shared_stack.jobs(owner)) == len(shared_stack.calls(prompt)) == 1


@pytest.mark.parametrize("is_stream", [False, True])
async def test_the_job_of_a_client_that_has_gone_is_cancelled(shared_stack: SharedStack, is_stream: bool) -> None:
    owner, token = shared_stack.account()
    async with client(shared_stack.impatient_url, token) as ann:
        asking = asyncio.create_task(read(ann, prompt := fresh("[slow 60]"), is_stream))
        await shared_stack.called(prompt)
        asking.cancel()
        await shared_stack.given_up(prompt)
    await shared_stack.cancelled(owner)


async def read(ann: AsyncOpenAI, prompt: str, is_stream: bool) -> NoReturn:
    """Ask, and read what comes, until somebody cancels it."""
    if not is_stream:
        await ann.images.generate(prompt=prompt)
    else:
        async for _ in await ann.images.generate(prompt=prompt, stream=True):
            pass
    pytest.fail("it came to an end")


async def test_a_long_wait_is_blank_and_then_json(shared_stack: SharedStack) -> None:
    async with client(shared_stack.impatient_url, shared_stack.account().token, timeout=0.8) as ann:  # of silence
        answer = await ann.images.with_raw_response.generate(prompt=fresh("[slow 1.5]"))
    blanks = len(answer.text) - len(answer.text.lstrip("\n"))
    assert blanks > 5
    assert len(images(answer.parse())) == 1


async def test_a_late_failure_is_told_to_the_repeat_of_the_client(shared_stack: SharedStack) -> None:
    owner, token = shared_stack.account()
    async with client(shared_stack.impatient_url, token, max_retries=2) as ann:
        with pytest.raises(openai.BadRequestError, match="refused") as caught:
            await ann.images.generate(prompt=(prompt := fresh("[refuse after 1]")))
    assert (caught.value.code, caught.value.request.headers["x-stainless-retry-count"]) == ("content_refused", "1")
    assert len(await shared_stack.jobs(owner)) == len(shared_stack.calls(prompt)) == 1


@pytest.mark.parametrize("retries", [0, 2])
async def test_a_job_that_is_cancelled_late_is_not_submitted_again(shared_stack: SharedStack, retries: int) -> None:
    owner, token = shared_stack.account()
    begun = asyncio.Event()

    async def note(_: object) -> None:
        begun.set()

    http = openai.DefaultAsyncHttpxClient(event_hooks={"response": [note]})
    async with client(shared_stack.impatient_url, token, max_retries=retries, http_client=http) as ann:
        asking = asyncio.create_task(ann.images.generate(prompt=(prompt := fresh("[slow 60]"))))
        await begun.wait()  # its head has come
        await shared_stack.cancel(owner)
        if not retries:
            with pytest.raises(openai.APIConnectionError):
                await asking
            asking = asyncio.create_task(ann.images.generate(prompt=prompt))
        with pytest.raises(openai.ConflictError, match="cancelled"):
            await asking
    assert len(await shared_stack.jobs(owner)) == 1
