"""A job at two gateways: what was begun at one is gone on with at the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.factories.images import picture
from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def urls(shared_stack: SharedStack) -> list[str]:
    """Two gateways with one Redis, one disk and one secret."""
    return [shared_stack.url, await shared_stack.stack.start_gateway()]


@pytest_asyncio.fixture(loop_scope="module")
async def ann(account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A client that goes to either."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {account.token}"}, timeout=30) as ann:
        yield ann


async def test_an_upload_at_one_is_used_at_the_other_and_its_image_is_shown_at_both(
    shared_stack: SharedStack, urls: list[str], ann: httpx.AsyncClient
) -> None:
    one, other = urls
    upload = (await ann.post(f"{one}/v1/uploads", content=picture(), headers={"Content-Type": "image/png"})).json()
    fields = {"prompt": (prompt := fresh()), "reference_images": [upload["id"]]}
    job = (await ann.post(f"{other}/v1/jobs", json=fields, headers={"Prefer": "wait=30"})).json()
    assert (job["state"], [call.references for call in shared_stack.calls(prompt)]) == ("succeeded", [1])
    [image] = job["images"]
    path = f"/v1/artifacts/{image['id']}"
    shown = [(await ann.get(url + path, params={"thumbnail": 128})).content for url in (one, other, one)]
    assert len(set(shown)) == 1
    signed = image["signed_url"].partition("/v1/")[2]
    async with httpx.AsyncClient() as anybody:
        assert [(await anybody.get(f"{url}/v1/{signed}")).status_code for url in urls] == [200, 200]
    edit = {"prompt": fresh(), "reference_images": [image["id"]]}
    again = (await ann.post(f"{one}/v1/jobs", json=edit, headers={"Prefer": "wait=30"})).json()
    assert again["state"] == "succeeded"


async def test_a_repeat_at_the_other_gateway_is_the_same_job(
    shared_stack: SharedStack, urls: list[str], ann: httpx.AsyncClient, account: Account
) -> None:
    body, key = {"prompt": fresh("[slow 1]")}, {"Idempotency-Key": "k"}
    answers = await asyncio.gather(*(ann.post(f"{url}/v1/jobs", json=body, headers=key) for url in urls * 2))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == ["", *["true"] * 3]
    assert len(await shared_stack.jobs(account.owner)) == 1


async def test_a_job_is_followed_at_one_and_cancelled_or_deleted_at_the_other(
    shared_stack: SharedStack, urls: list[str], ann: httpx.AsyncClient
) -> None:
    one, other = urls
    for method, path, last in (("POST", "/cancel", "cancelled"), ("DELETE", "", "cancelled")):
        job = (await ann.post(f"{one}/v1/jobs", json={"prompt": (prompt := fresh("[slow 60]"))})).json()
        await shared_stack.called(prompt)
        address = f"/v1/jobs/{job['id']}"
        async with asyncio.timeout(20), ann.stream("GET", f"{one}{address}/events") as story:
            told = story.aiter_lines()
            async for line in told:
                if line == "event: attempt":
                    break
            waiting = asyncio.create_task(ann.get(f"{one}{address}", params={"wait": 30}))
            assert (await ann.request(method, f"{other}{address}{path}")).status_code in (200, 204)
            assert f"event: {last}" in [line async for line in told]
            answer = await waiting
            assert answer.status_code in (200, 404)
        assert (await ann.get(f"{other}{address}")).status_code == (200 if path else 404)


async def test_a_story_is_read_on_at_the_other_gateway(urls: list[str], ann: httpx.AsyncClient) -> None:
    one, other = urls
    body = {"prompt": fresh(), "count": 2}
    job = (await ann.post(f"{one}/v1/jobs", json=body, headers={"Prefer": "wait=30"})).json()
    story = (await ann.get(f"{one}/v1/jobs/{job['id']}/events")).text
    ids = [line.removeprefix("id: ") for line in story.splitlines() if line.startswith("id: ")]
    rest = (await ann.get(f"{other}/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": ids[1]})).text
    assert [line.removeprefix("id: ") for line in rest.splitlines() if line.startswith("id: ")] == ids[2:]
