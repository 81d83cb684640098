"""The gateway over real HTTP: a real process, a real Redis, real workers, a simulated provider."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from PIL import Image

from producer.tokens import Right
from tests.support.factories.images import picture
from tests.support.stack.redis_server import RealRedis
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
FOX = {"prompt": "a red fox"}


@pytest.fixture
async def ann(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A client of Ann's, with a worker and a gateway behind it."""
    token = stack.token("ann")
    url, _ = await asyncio.gather(stack.start_gateway(), stack.start_worker())
    async with client(url, token) as ann:
        yield ann


def client(url: str, token: str) -> httpx.AsyncClient:
    """Make a client that shows a token."""
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)


async def made(ann: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Hand in a job and wait for its end."""
    answer = await ann.post("/v1/jobs", json=FOX | fields, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_job_from_its_acceptance_to_its_end(ann: httpx.AsyncClient) -> None:
    accepted = await ann.post("/v1/jobs", json={**FOX, "count": 2, "aspect_ratio": "16:9", "conversation": "c"})
    job = accepted.json()
    assert (accepted.status_code, accepted.headers["Location"]) == (202, job["status_url"])
    assert list(job) == [
        *("id", "state", "owner", "conversation", "created_at", "started_at", "ended_at", "request", "position"),
        *("progress", "images", "attempts", "degraded", "cost_usd", "error", "warnings"),
        *("eta_seconds", "status_url", "events_url", "cancel_url"),
    ]
    assert (job["owner"], job["conversation"]) == ("ann", "c")
    waited = await ann.get(job["status_url"], params={"wait": 30})
    done = waited.json()
    assert (done["state"], done["progress"]["done"], "Retry-After" in waited.headers) == ("succeeded", 2, False)
    for image in done["images"]:
        assert "path" not in image
        shown = await ann.get(image["url"])
        assert (shown.status_code, shown.headers["Content-Type"]) == (200, image["mime"])
        assert Image.open(io.BytesIO(shown.content)).size == (image["width"], image["height"])
    unchanged = await ann.get(job["status_url"], headers={"If-None-Match": waited.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_a_story_can_be_followed_and_gone_on_with(ann: httpx.AsyncClient) -> None:
    job = await made(ann)
    told = await events(ann, job["events_url"])
    assert [event["type"] for event in told] == ["queued", "running", "attempt", "image", "succeeded"]
    assert os.uname().nodename not in json.dumps(told)  # the worker's name has it
    assert all(event["text"] for event in told)
    later = await events(ann, job["events_url"], after=told[2]["id"])
    assert later == told[3:]
    for beyond in ("999999999999999-0", told[-1]["id"].partition("-")[0] + "-99"):
        assert await events(ann, job["events_url"], after=beyond) == told
    nothing = await ann.get(job["events_url"], headers={"Last-Event-ID": told[-1]["id"]})
    assert nothing.status_code == 204


async def test_no_more_streams_are_opened_at_once_than_one_may_have(ann: httpx.AsyncClient) -> None:
    job = (await ann.post("/v1/jobs", json={"prompt": "[slow 30] a fox"})).json()
    async with AsyncExitStack() as resources:
        opened = await asyncio.gather(
            *(resources.enter_async_context(ann.stream("GET", job["events_url"])) for _ in range(12))
        )
        assert sorted(answer.status_code for answer in opened) == 5 * [200] + 7 * [429]
        await ann.post(job["cancel_url"])
    assert (await events(ann, job["events_url"]))[-1]["type"] == "cancelled"


async def events(ann: httpx.AsyncClient, url: str, after: str = "0") -> list[dict[str, Any]]:
    """Follow a story to its end."""
    async with ann.stream("GET", url, headers={"Last-Event-ID": after}) as answer:
        assert answer.status_code == 200
        return [json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: ")]


async def test_images_can_be_had_in_parts_small_and_without_a_token(ann: httpx.AsyncClient, stack: Stack) -> None:
    stack.simulator.draw_as_asked()
    job = await made(ann)
    [image] = job["images"]
    whole = await ann.get(image["url"])
    assert whole.headers["ETag"] == f'"{image["sha256"][:32]}"'
    assert "immutable" in whole.headers["Cache-Control"]
    part = await ann.get(image["url"], headers={"Range": "bytes=8-15"})
    assert (part.status_code, part.content) == (206, whole.content[8:16])
    kept = await ann.get(image["url"], headers={"If-None-Match": whole.headers["ETag"]})
    assert kept.status_code == 304
    head = await ann.head(image["url"])
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(whole.content)), b"")
    for _ in range(2):
        small = await ann.get(image["url"], params={"thumbnail": 256})
        assert max((opened := Image.open(io.BytesIO(small.content))).size) == 256
        assert (opened.format, small.headers["Content-Type"]) == ("JPEG", "image/jpeg")
        assert small.headers["Content-Disposition"] == f'inline; filename="{image["id"]}-256.jpg"'
    assert whole.headers["Content-Disposition"] == f'inline; filename="{image["id"]}.png"'
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(image["signed_url"])).content == whole.content
        assert (await anybody.get(image["url"])).status_code == 401
        assert (await anybody.get(image["signed_url"] + "0")).status_code in (403, 422)
    sidecar = (await ann.get(image["url"] + "/sidecar")).json()
    assert (sidecar["prompt"], sidecar["job_id"], "path" in sidecar) == (FOX["prompt"], job["id"], False)


async def test_json_ends_its_line_as_it_is_read_in_terminals(ann: httpx.AsyncClient) -> None:
    job = await made(ann)
    upload = await ann.post("/v1/uploads", content=picture(), headers={"Content-Type": "image/png"})
    unknown = {"error": "unknown"}
    answers = [
        upload,
        *[await ann.get(address) for address in (job["status_url"], "/v1/jobs", "/v1/models", "/readyz?verbose")],
        *[await ann.get(address) for address in ("/v1/jobs/x", "/nowhere", "/v1/models/x", "/v1/webhooks/secret")],
        *[await ann.post(address, json=FOX) for address in ("/v1/images/generations", "/v1/jobs", "/mcp")],
        *[await ann.post(address, json=unknown) for address in ("/v1/images/generations", "/v1/jobs")],
        await ann.get(job["images"][0]["url"] + "/sidecar"),
        await ann.get("/v1/jobs", headers={"Authorization": "Bearer x"}),
    ]
    for answer in answers:
        assert "json" in answer.headers["Content-Type"], answer.url
        assert (answer.text[-2:], answer.text.count("\n")) == ("}\n", 1), answer.url
        assert int(answer.headers["Content-Length"]) == len(answer.content)


async def test_paths_are_for_those_who_may_see_them(stack: Stack) -> None:
    token = stack.token("bot", rights=list(Right))
    url, _ = await asyncio.gather(stack.start_gateway(), stack.start_worker())
    async with client(url, token) as bot:
        [image] = (await made(bot))["images"]
        assert image["path"].startswith(str(stack.folder))
        again = await made(bot, reference_images=[image["path"]])
        assert again["state"] == "succeeded"
        named = await bot.post("/v1/jobs", json=FOX, headers={"X-Darkroom-User": "carl"})
        assert named.json()["owner"] == "bot/carl"
        assert (await bot.get(named.json()["status_url"])).status_code == 404
        his = await bot.get(named.json()["status_url"], headers={"X-OpenWebUI-User-Id": "carl"})
        assert his.status_code == 200


async def test_an_upload_and_an_own_image_can_be_edited(ann: httpx.AsyncClient) -> None:
    raw = await ann.post("/v1/uploads", content=picture(), headers={"Content-Type": "image/png"})
    assert (raw.status_code, raw.json()["mime"]) == (201, "image/png")
    form = await ann.post("/v1/uploads", files={"file": ("../fox.png", picture())})
    assert form.json() == raw.json()
    edit = await made(ann, reference_images=[raw.json()["id"]])
    assert edit["state"] == "succeeded"
    again = await made(ann, reference_images=[edit["images"][0]["id"], raw.json()["id"]])
    assert again["state"] == "succeeded"
    outside = await ann.post("/v1/jobs", json={**FOX, "reference_images": ["/etc/passwd"]})
    assert (outside.status_code, outside.json()["code"]) == (422, "reference_needs_upload")
    assert "workspace" not in outside.text
    assert "POST /v1/uploads" in outside.json()["hint"]


async def test_cancel_retry_and_delete(ann: httpx.AsyncClient, stack: Stack) -> None:
    slow = (await ann.post("/v1/jobs", json={"prompt": "[slow 30] a fox"})).json()
    early = await ann.post(f"/v1/jobs/{slow['id']}/retry")
    assert (early.status_code, early.json()["code"], early.headers["Retry-After"]) == (409, "job_not_finished", "2")
    for _ in range(2):
        cancelled = await ann.post(slow["cancel_url"])
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    job = await made(ann)
    over = await ann.post(job["cancel_url"])
    assert (over.status_code, over.json()["code"], over.json()["state"]) == (409, "job_already_finished", "succeeded")
    again = await ann.post(f"/v1/jobs/{job['id']}/retry", headers={"Prefer": "wait=30"})
    assert (again.status_code, again.json()["retry_of"]) == (200, job["id"])
    [image] = job["images"]
    assert (await ann.get(image["url"], params={"thumbnail": 128})).status_code == 200
    assert (await ann.delete(job["status_url"])).status_code == 204
    for address in (job["status_url"], job["events_url"], image["url"], image["signed_url"]):
        assert (await ann.get(address)).status_code == 404
    assert not [path for path in stack.folder.rglob(f"*{image['id']}*") if path.is_file()]


async def test_a_stream_of_a_job_that_is_deleted_ends_in_words_and_no_trouble_is_logged(
    ann: httpx.AsyncClient, stack: Stack
) -> None:
    job = (await ann.post("/v1/jobs", json={"prompt": "[slow 30] a fox"})).json()
    following = asyncio.create_task(events(ann, job["events_url"]))
    await asyncio.wait({following}, timeout=0.5)
    assert (await ann.delete(job["status_url"])).status_code == 204
    async with asyncio.timeout(10):
        told = await following
    assert (told[0]["type"], told[-1]["type"]) == ("queued", "cancelled")
    assert told[-1]["text"]
    assert "Traceback" not in stack.logs("gateway")


async def test_own_jobs_are_listed_page_by_page(ann: httpx.AsyncClient) -> None:
    ids = [(await made(ann, conversation=f"c{number % 2}"))["id"] for number in range(5)]
    first = (await ann.get("/v1/jobs", params={"limit": 2})).json()
    second = (await ann.get("/v1/jobs", params={"limit": 2, "cursor": first["next"]})).json()
    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[:0:-1]
    odd = (await ann.get("/v1/jobs", params={"conversation": "c1", "state": "succeeded"})).json()
    assert [job["id"] for job in odd["jobs"]] == [ids[3], ids[1]]
    assert (await ann.get("/v1/jobs", params={"state": "failed"})).json()["jobs"] == []


async def test_a_repeated_request_makes_one_job(ann: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first, *others = await asyncio.gather(*(ann.post("/v1/jobs", json=FOX, headers=headers) for _ in range(10)))
    assert {answer.json()["id"] for answer in others} == {first.json()["id"]}
    replayed = [answer.headers.get("Idempotent-Replayed") for answer in (first, *others)]
    assert sorted(replayed, key=str) == [None] + 9 * ["true"]
    reused = await ann.post("/v1/jobs", json={"prompt": "another"}, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_gateway_that_is_stopped_answers_who_waits_and_ends(ann: httpx.AsyncClient, stack: Stack) -> None:
    job = (await ann.post("/v1/jobs", json={"prompt": "[slow 30] a fox"})).json()
    waiting = asyncio.create_task(ann.get(job["status_url"], params={"wait": 30}))
    async with ann.stream("GET", job["events_url"]) as stream:
        lines = stream.aiter_lines()
        while await anext(lines) != "event: running":
            pass
        stack.gateways[-1].terminate()
        answer = await waiting
        assert await asyncio.to_thread(stack.gateways[-1].wait, 5) == 0
    assert (answer.status_code, answer.json()["state"]) == (200, "running")


async def test_health_is_told_without_a_token(ann: httpx.AsyncClient, own_redis: RealRedis) -> None:
    async with httpx.AsyncClient(base_url=ann.base_url) as anybody:
        assert (await anybody.get("/livez")).text == "ok\n"
        ready = (await anybody.get("/readyz?verbose")).json()
        assert ready["ready"]
        assert ready["checks"]["workers"] == {"ok": True, "needed": False, "detail": "1 running"}
        own_redis.kill()
        assert (await anybody.get("/readyz")).status_code == 503
        assert (await anybody.get("/livez")).status_code == 200
