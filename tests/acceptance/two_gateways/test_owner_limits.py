"""What one owner may have is the same at two gateways as at one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from tests.support.factories.images import picture
from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
STRICT = {"DARKROOM_RATE": "3/hour", "DARKROOM_MISS_RATE": "3/hour", "DARKROOM_MAX_UPLOADS_PER_OWNER": "2"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def urls(shared_stack: SharedStack) -> list[str]:
    """Two strict gateways with one Redis."""
    return [await shared_stack.stack.start_gateway(**STRICT) for _ in range(2)]


@pytest_asyncio.fixture(loop_scope="module")
async def ann(account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """A client that goes to either."""
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {account.token}"}, timeout=30) as ann:
        yield ann


def told(answers: list[httpx.Response]) -> list[tuple[int, str]]:
    return [(answer.status_code, answer.json()["code"] if answer.is_error else "") for answer in answers]


async def test_streams_count_at_both_together(urls: list[str], ann: httpx.AsyncClient) -> None:
    async with AsyncExitStack() as followed:
        job = (await ann.post(f"{urls[0]}/v1/jobs", json={"prompt": fresh("[slow 60]")})).json()
        story = f"/v1/jobs/{job['id']}/events"
        for number in range(5):
            answer = await followed.enter_async_context(ann.stream("GET", urls[number % 2] + story))
            assert answer.status_code == 200
        refused = [await ann.get(url + story) for url in urls]
        assert told(refused) == [(429, "too_many_streams")] * 2
        assert {answer.headers["Retry-After"] for answer in refused} == {"5"}
        await ann.post(f"{urls[0]}/v1/jobs/{job['id']}/cancel")


async def test_submits_count_at_both_together(urls: list[str], ann: httpx.AsyncClient) -> None:
    answers = [await ann.post(f"{urls[number % 2]}/v1/jobs", json={"prompt": fresh()}) for number in range(5)]
    assert told(answers) == [(202, "")] * 3 + [(429, "rate_limited")] * 2


async def test_questions_for_what_is_not_there_count_at_both_together(urls: list[str], ann: httpx.AsyncClient) -> None:
    unknown = "/v1/jobs/00000000-0000-4000-8000-000000000000"
    answers = [await ann.get(urls[number % 2] + unknown) for number in range(5)]
    assert told(answers) == [(404, "job_not_found")] * 3 + [(429, "rate_limited")] * 2


async def test_uploads_count_at_both_together(urls: list[str], ann: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "image/png"}
    answers = [
        await ann.post(f"{urls[number % 2]}/v1/uploads", content=picture(64 + number), headers=headers)
        for number in range(3)
    ]
    assert told(answers) == [(201, ""), (201, ""), (429, "too_many_uploads")]
