"""A token that may name end users names one in a request, or none: whose job it is is never a matter of order."""

from __future__ import annotations

import httpx
import pytest

from tests.support.stack.shared_stack import SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]
CARL, DORA = "carl-of-the-service", "dora-of-the-service"


@pytest.mark.parametrize(
    ("names", "field", "is_good"),
    [
        ([("X-Darkroom-User", CARL), ("X-Darkroom-User", DORA)], None, False),
        ([("X-Darkroom-User", CARL), ("X-OpenWebUI-User-Id", DORA)], None, False),
        ([("X-OpenWebUI-User-Id", DORA), ("X-Darkroom-User", CARL)], None, False),
        ([("X-Darkroom-User", CARL)], DORA, False),
        ([("X-Darkroom-User", CARL), ("X-Darkroom-User", CARL), ("X-OpenWebUI-User-Id", CARL)], CARL, True),
        ([("X-Darkroom-User", ""), ("X-OpenWebUI-User-Id", CARL)], None, True),
        ([], CARL, True),
    ],
)
async def test_a_request_names_one_end_user_at_most(
    names: list[tuple[str, str]], field: str | None, is_good: bool, shared_stack: SharedStack
) -> None:
    service = ("Authorization", f"Bearer {shared_stack.service}")
    body = {"prompt": fresh()} | ({"user": field} if field else {})
    async with httpx.AsyncClient(base_url=shared_stack.url, timeout=30) as client:
        answer = await client.post("/v1/images/generations", json=body, headers=[service, *names])
        listed = await client.get("/v1/jobs", headers=[service, ("X-Darkroom-User", CARL)])
    told = [job["owner"] for job in listed.json()["jobs"] if job["request"]["prompt"] == body["prompt"]]
    if is_good:
        assert (answer.status_code, told) == (200, [f"service/{CARL}"])
    else:
        assert (answer.status_code, answer.json()["error"]["code"], told) == (400, "users_differ", [])


async def test_names_of_a_token_without_that_right_have_no_effect(shared_stack: SharedStack) -> None:
    owner, token = shared_stack.account()
    headers = [("Authorization", f"Bearer {token}"), ("X-Darkroom-User", CARL), ("X-OpenWebUI-User-Id", DORA)]
    async with httpx.AsyncClient(base_url=shared_stack.url, timeout=30) as client:
        answer = await client.post("/v1/jobs", json={"prompt": fresh()}, headers=headers)
    assert (answer.status_code, answer.json()["owner"]) == (202, owner)
