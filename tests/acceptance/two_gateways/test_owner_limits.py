"""What one owner may have, and has, is the same at two gateways as at one."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def urls(shared_stack: SharedStack) -> list[str]:
    """Two gateways with one Redis."""
    return [shared_stack.url, await shared_stack.stack.start_gateway()]


def client(account: Account) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"Authorization": f"Bearer {account.token}"}, timeout=30)


async def test_streams_count_at_both_together(urls: list[str], account: Account) -> None:
    async with client(account) as ann, AsyncExitStack() as followed:
        job = (await ann.post(f"{urls[0]}/v1/jobs", json={"prompt": fresh("[slow 60]")})).json()
        story = f"/v1/jobs/{job['id']}/events"
        for number in range(5):
            answer = await followed.enter_async_context(ann.stream("GET", urls[number % 2] + story))
            assert answer.status_code == 200
        for url in urls:
            sixth = await ann.get(url + story)
            assert (sixth.status_code, sixth.json()["code"]) == (429, "too_many_streams")
            assert sixth.headers["Retry-After"] == "5"
        await ann.post(f"{urls[0]}/v1/jobs/{job['id']}/cancel")
