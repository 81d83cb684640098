"""What the gateway holds in memory while large bodies arrive, wait and leave: little, however many there are."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pybase64
import pytest
import pytest_asyncio

from contract.jobs.request import MAX_PROMPT
from producer.api.dependencies import MOST_ANSWERS_EACH
from tests.support.factories.images import picture
from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
MIB = 2**20
MANY = 12
LARGE = picture() + bytes(23 * MIB)  # what follows an image is stripped


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(shared_stack: SharedStack) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=shared_stack.url, timeout=150, limits=limits) as client:
        yield client


@pytest.fixture
def peak(shared_stack: SharedStack) -> Callable[[], int]:
    """Forget how much memory the gateway had at most, and tell how much more than now it has had since."""
    process = Path(f"/proc/{shared_stack.stack.gateway_at(shared_stack.url).pid}")
    (process / "clear_refs").write_text("5")

    def most() -> int:
        status = (process / "status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024

    return most


async def patiently(send: Callable[[], Awaitable[httpx.Response]]) -> int:
    """Send something until there is room for it; tell the status."""
    while (answer := await send()).status_code in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1
        await asyncio.sleep(1)
    return answer.status_code


async def all_of(client: httpx.AsyncClient, accounts: Sequence[Account], path: str, body: bytes, kind: str) -> set[int]:
    async def send(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return await patiently(lambda: client.post(path, content=body, headers=headers))

    return set(await asyncio.gather(*(send(account.token) for account in accounts)))


async def test_images_in_json_go_to_disk_as_they_arrive(
    client: httpx.AsyncClient, shared_stack: SharedStack, peak: Callable[[], int]
) -> None:
    accounts = [shared_stack.account() for _ in range(MANY)]
    body = b'{"prompt": "%s", "image": "data:image/png;base64,%s"}' % (fresh().encode(), pybase64.b64encode(LARGE))
    assert await all_of(client, accounts, "/v1/images/edits", body, "application/json") == {200}
    assert peak() < 400 * MIB


async def test_uploads_are_in_memory_one_at_a_time(
    client: httpx.AsyncClient, shared_stack: SharedStack, peak: Callable[[], int]
) -> None:
    accounts = [shared_stack.account() for _ in range(MANY)]
    assert await all_of(client, accounts, "/v1/uploads", LARGE + bytes(8 * MIB), "image/png") == {201}
    assert peak() < 400 * MIB


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def large_images(client: httpx.AsyncClient, shared_stack: SharedStack) -> tuple[dict[str, str], str, list[str]]:
    """Make four images of 17 MB: the headers of their owner, the id of their job, and theirs."""
    account = shared_stack.account()
    his = {"Authorization": f"Bearer {account.token}"}
    made = await client.post("/v1/jobs", json={"prompt": fresh(), "count": 4}, headers=his | {"Prefer": "wait=60"})
    assert made.json()["state"] == "succeeded"
    [job] = await shared_stack.jobs(account.owner)
    for image in job.images:
        os.truncate(image.path, 17 * MIB)
    return his, job.id, [image.id for image in job.images]


async def test_images_leave_in_pieces(
    client: httpx.AsyncClient, large_images: tuple[dict[str, str], str, list[str]], peak: Callable[[], int]
) -> None:
    his, job_id, _ = large_images
    async with AsyncExitStack() as answers:
        entering = [
            answers.enter_async_context(client.stream("GET", f"/v1/tasks/{job_id}", headers=his)) for _ in range(12)
        ]
        begun = await asyncio.gather(*entering)
        assert {answer.status_code for answer in begun} == {200}
        sizes = await asyncio.gather(*map(_size, begun))
    assert min(sizes) > 4 * 17 * MIB * 4 // 3
    assert peak() < 400 * MIB


async def test_so_many_images_are_on_their_way_to_one_owner_at_most(
    client: httpx.AsyncClient, shared_stack: SharedStack, large_images: tuple[dict[str, str], str, list[str]]
) -> None:
    his, job_id, [image, *_] = large_images
    others = {"Authorization": f"Bearer {shared_stack.account().token}"}
    more, theirs = [
        (await client.post("/v1/jobs", json={"prompt": fresh()}, headers=whose | {"Prefer": "wait=60"})).json()
        for whose in (his, others)
    ]
    for path in (f"/v1/artifacts/{image}", f"/v1/tasks/{job_id}"):
        async with AsyncExitStack() as answers:
            for _ in range(MOST_ANSWERS_EACH):
                begun = await answers.enter_async_context(client.stream("GET", path, headers=his))
                assert begun.status_code == 200
            refused = await client.get(more["images"][0]["url"], headers=his)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_answers")
            assert int(refused.headers["Retry-After"]) >= 1
            assert (await client.get(f"/v1/tasks/{more['id']}", headers=his)).json()["task_status"] == "PROCESSING"
            assert (await client.get(theirs["images"][0]["url"], headers=others)).status_code == 200
            assert (await client.get(f"/v1/tasks/{theirs['id']}", headers=others)).json()["output_images"]


async def _size(answer: httpx.Response) -> int:
    return sum([len(piece) async for piece in answer.aiter_raw()])


async def test_lists_of_large_jobs_come_in_pages_of_few(
    client: httpx.AsyncClient, shared_stack: SharedStack, peak: Callable[[], int]
) -> None:
    his = {"Authorization": f"Bearer {shared_stack.account().token}"}
    prompt = "\N{FOX FACE}" * MAX_PROMPT
    for _ in range(60):
        sent = await client.post("/v1/jobs", json={"prompt": prompt}, headers=his)
        assert sent.status_code == 202
        await client.post(f"/v1/jobs/{sent.json()['id']}/cancel", headers=his)
    lists = await asyncio.gather(*(client.get("/v1/jobs?limit=100", headers=his) for _ in range(15)))
    assert {answer.status_code for answer in lists} == {200}
    assert peak() < 300 * MIB
    listed, address = 0, "/v1/jobs?limit=100"
    while address:
        page = (await client.get(address, headers=his)).json()
        listed += len(page["jobs"])
        address = page["next"] and f"/v1/jobs?limit=100&cursor={page['next']}"
    assert listed == 60
