"""Chat gateways as they really ask: the shapes of their requests, without themselves."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import requests

from tests.support.factories.images import picture
from tests.support.stack.shared_stack import OTHER_MODEL, SQUARE, Account, SharedStack, fresh, opened
from tests.support.stack.stack import Stack

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

FOX = base64.b64encode(picture()).decode()
FILES = [("image[]", (f"{side}.png", picture(side), "image/png")) for side in (64, 80)]


@pytest_asyncio.fixture(loop_scope="module")
async def ann(shared_stack: SharedStack, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token."""
    async with client(shared_stack.url, account.token) as ann:
        yield ann


def client(url: str, token: str, **headers: str) -> httpx.AsyncClient:
    """Make a client that shows a token."""
    return httpx.AsyncClient(base_url=f"{url}/v1", headers={"Authorization": f"Bearer {token}", **headers}, timeout=30)


def pictured(answer: httpx.Response) -> list[tuple[int, int]]:
    """Tell the sizes of the images that came, all of them as base64 and none as a link."""
    assert answer.status_code == 200, answer.text
    assert [list(entry) for entry in answer.json()["data"]] == [["b64_json"]] * len(answer.json()["data"])
    return [opened(entry["b64_json"]).size for entry in answer.json()["data"]]


@pytest.mark.parametrize(("model", "more"), [(OTHER_MODEL, {"response_format": "b64_json"}), ("gpt-image-1", {})])
async def test_open_webui_generates(ann: httpx.AsyncClient, model: str, more: dict[str, str]) -> None:
    body = {"model": model, "prompt": fresh(), "n": 1, "size": "512x512", **more}
    assert pictured(await ann.post("/images/generations", json=body)) == [SQUARE]


async def test_open_webui_edits_pictures_of_a_user(shared_stack: SharedStack) -> None:
    form = {"model": "gpt-image-1", "prompt": (prompt := fresh()), "n": "1", "size": "1024x1024"}
    async with client(shared_stack.url, shared_stack.service, **{"X-OpenWebUI-User-Id": "dora"}) as webui:
        answer = await webui.post("/images/edits", data=form, files=FILES)
    assert pictured(answer) == [SQUARE]
    assert [call.references for call in shared_stack.calls(prompt)] == [2]
    assert len(await shared_stack.jobs("service/dora")) == 1


async def test_open_webuis_stop_cancels_the_job(shared_stack: SharedStack, account: Account) -> None:
    async with client(shared_stack.impatient_url, account.token) as webui:
        asking = asyncio.create_task(webui.post("/images/generations", json={"prompt": (prompt := fresh("[slow 60]"))}))
        await shared_stack.called(prompt)
        asking.cancel()
        await shared_stack.given_up(prompt)
    await shared_stack.cancelled(account.owner)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_who_leaves_in_the_midst_of_an_answer_disturbs_nobody(ann: httpx.AsyncClient, is_stream: bool) -> None:
    body = {"prompt": fresh(), "n": 4, "stream": is_stream}
    async with ann.stream("POST", "/images/generations", json=body) as answer:
        assert await anext(answer.aiter_raw(100))
    assert pictured(await ann.post("/images/generations", json={"prompt": fresh()})) == [SQUARE]


async def test_a_stream_is_kept_alive_by_comments(shared_stack: SharedStack, account: Account) -> None:
    async with client(shared_stack.impatient_url, account.token) as anybody:
        body = {"prompt": fresh("[slow 1]"), "stream": True}
        events = (await anybody.post("/images/generations", json=body)).text.removesuffix("\n\n").split("\n\n")
    comments, [completed] = events[:-1], events[-1:]
    assert {event[:1] for event in comments} == {":"}
    assert comments.count(": ") > 3
    assert completed.startswith('event: image_generation.completed\ndata: {"type": "image_generation.completed", ')


async def test_librechat_generates_and_edits(shared_stack: SharedStack, account: Account) -> None:
    async with httpx.AsyncClient(base_url=f"{shared_stack.url}/v1", headers={"api-key": account.token}) as librechat:
        azure = {"api-version": "2025-04-01-preview"}
        body = {"model": "gpt-image-1", "prompt": fresh(), "n": 1, "quality": "auto", "size": "auto"}
        body |= {"background": "auto", "output_format": "png"}
        assert pictured(await librechat.post("/images/generations", params=azure, json=body)) == [SQUARE]
        form = {"model": "gpt-image-1", "prompt": (prompt := fresh()), "quality": "high", "size": "1536x1024"}
        edited = await librechat.post("/images/edits", params=azure, data=form, files=FILES)
    assert pictured(edited) == [(1248, 832)]
    [call] = shared_stack.calls(prompt)
    assert (call.references, call.aspect_ratio) == (2, "3:2")


async def test_nanobots_custom_provider(ann: httpx.AsyncClient) -> None:
    body = {"model": OTHER_MODEL, "prompt": fresh(), "response_format": "b64_json", "n": 1, "size": "1024x1024"}
    assert pictured(await ann.post("/images/generations", json=body)) == [SQUARE]


async def test_nanobots_openai_provider(shared_stack: SharedStack, ann: httpx.AsyncClient) -> None:
    form = {"model": "gpt-image-2", "prompt": (prompt := fresh()), "size": "1024x1536"}
    assert pictured(await ann.post("/images/generations", json=form)) == [(832, 1248)]
    assert pictured(await ann.post("/images/edits", data=form, files=FILES)) == [(832, 1248)]
    assert [(call.references, call.aspect_ratio) for call in shared_stack.calls(prompt)] == [(0, "2:3"), (2, "2:3")]


async def submitted(ann: httpx.AsyncClient, prompt: str, **fields: Any) -> str:
    """Hand a job in as nanobot's `modelscope` does, and tell where to ask for it."""
    body = {"model": OTHER_MODEL, "prompt": prompt, "size": "1024x1024", **fields}
    answer = await ann.post("/images/generations", json=body, headers={"X-ModelScope-Async-Mode": "true"})
    assert answer.status_code == 200, answer.text
    return f"/tasks/{answer.json()['task_id']}"


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_nanobots_modelscope_provider(shared_stack: SharedStack, ann: httpx.AsyncClient, count: int) -> None:
    urls = [f"data:image/png;base64,{base64.b64encode(picture(side)).decode()}" for side in (64, 80)][:count]
    given: dict[str, Any] = {"image_url": urls[0] if count == 1 else urls} if urls else {}
    task = (await ann.get(await submitted(ann, prompt := fresh(), **given))).json()
    assert task["task_status"] == "SUCCEED"
    [url] = task["output_images"]
    assert opened(url.removeprefix("data:image/png;base64,")).size == SQUARE
    assert [(call.model, call.references) for call in shared_stack.calls(prompt)] == [(OTHER_MODEL, count)]


async def test_a_task_that_failed_says_why(ann: httpx.AsyncClient) -> None:
    task = (await ann.get(await submitted(ann, fresh("[refuse]")))).json()
    assert (task["task_status"], "refused" in task["message"]) == ("FAILED", True)


async def test_a_task_that_nobody_asks_for_any_more_is_cancelled(shared_stack: SharedStack, account: Account) -> None:
    async with client(shared_stack.impatient_url, account.token) as nanobot:
        await submitted(nanobot, prompt := fresh("[slow 60]"))
        await shared_stack.given_up(prompt)
    await shared_stack.cancelled(account.owner)


@pytest.mark.asyncio(loop_scope="function")  # as the simulator of its stack does
async def test_a_task_goes_on_when_redis_does_not_answer(stack: Stack) -> None:
    token = stack.token()
    async with client(await stack.start_gateway(DARKROOM_MODELS=OTHER_MODEL), token) as nanobot:
        task = await submitted(nanobot, fresh())
        stack.redis.kill()
        answer = await nanobot.get(task)
        assert (answer.status_code, answer.json()["task_status"]) == (200, "PROCESSING")
        stack.redis.start()
        await stack.start_worker()
        assert (await nanobot.get(task)).json()["task_status"] == "SUCCEED"


async def test_pictures_in_json_are_edited(shared_stack: SharedStack, ann: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"prompt": (prompt := fresh()), "image": f"data:image/png;base64,{FOX}"}
    assert pictured(await ann.post("/images/edits", json=body)) == [SQUARE]
    assert [call.references for call in shared_stack.calls(prompt)] == [1]
    refused = await ann.post("/images/edits", json={**body, "mask": body["image"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "mask_not_supported")


async def test_n8n_and_sillytavern_look_around_first(shared_stack: SharedStack, ann: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=shared_stack.url) as anybody:
        asked = await anybody.options("/v1/images/generations")
        several = await anybody.options("/v1/jobs")
    assert (asked.status_code, asked.headers["Allow"]) == (204, "OPTIONS, POST")
    assert several.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert (await ann.get(f"/models/{OTHER_MODEL}")).json()["id"] == OTHER_MODEL
    listed = (await ann.get("/models")).json()
    assert (listed["object"], OTHER_MODEL in json.dumps(listed["data"])) == ("list", True)


async def test_a_late_failure_is_in_the_body_for_a_client_of_which_nothing_is_known(
    shared_stack: SharedStack, account: Account
) -> None:
    async with client(shared_stack.impatient_url, account.token) as anybody:
        answer = await anybody.post("/images/generations", json={"prompt": fresh("[refuse after 1]")})
    assert (answer.status_code, answer.text[:2], answer.json()["error"]["code"]) == (200, "\n\n", "content_refused")


@pytest.mark.parametrize(("form", "kind"), [({}, "b64_json"), ({"response_format": "url"}, "url")])
async def test_a_client_that_follows_redirects_is_sent_on(
    shared_stack: SharedStack, form: dict[str, str], kind: str
) -> None:
    headers = {"Authorization": f"Bearer {shared_stack.service}"}

    def ask(prompt: str) -> requests.Response:
        body = {"prompt": prompt, "user": "erin", "output_format": "jpeg", **form}
        url = f"{shared_stack.impatient_url}/v1/images/generations"
        return requests.post(url, json=body, headers=headers, timeout=30)

    answer = await asyncio.to_thread(ask, fresh("[slow 1]"))
    assert {hop.status_code for hop in answer.history} == {303}
    [image] = answer.json()["data"]
    assert (answer.status_code, list(image)) == (200, [kind])
    failed = await asyncio.to_thread(ask, fresh("[refuse after 1]"))
    assert (failed.status_code, failed.json()["error"]["code"]) == (400, "content_refused")
    assert len(await shared_stack.jobs("service/erin")) == 2 * (1 + (kind == "url"))


async def test_nobody_waits_at_the_address_of_a_job_that_was_submitted_otherwise(
    shared_stack: SharedStack, ann: httpx.AsyncClient
) -> None:
    job = (await ann.post("/jobs", json={"prompt": fresh("[slow 60]")})).json()["id"]
    assert (await ann.get(f"/images/generations/{job}")).json()["error"]["code"] == "job_not_found"
    assert (await ann.get(f"/jobs/{job}")).json()["state"] in ("queued", "running")
    await ann.post(f"/jobs/{job}/cancel")


async def test_a_client_that_repeats_without_saying_so_pays_once(shared_stack: SharedStack, account: Account) -> None:
    shared_stack.stack.simulator.script(
        [{"kind": "status", "status": 404, "times": "always"}], match=(prompt := fresh())
    )
    async with client(shared_stack.url, account.token, **{"User-Agent": "ai/7.0 ai-sdk/openai/4.0"}) as ai_sdk:
        answers = [await ai_sdk.post("/images/generations", json={"prompt": prompt}) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {502}
    assert {answer.text for answer in answers} == {answers[0].text}
    [job] = await shared_stack.jobs(account.owner)
    assert {call.job_id for call in shared_stack.calls(prompt)} == {job.id}
