"""An owner has so many uploads that are needed: pictures that only ended jobs have used give way."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from contract.jobs.job import JobState
from contract.redis.client import open_redis
from contract.store.keys import owner_key
from tests.support.factories.images import picture
from tests.support.stack.shared_stack import SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

MOST = 2


async def edit(client: httpx.AsyncClient, token: str, side: int, prompt: str) -> httpx.Response:
    """Have a picture edited that nobody has sent before, as OpenAI's SDK does."""
    return await client.post(
        "/v1/images/edits",
        files={"image": ("fox.png", picture(side), "image/png")},
        data={"prompt": prompt, "response_format": "url"},
        headers={"Authorization": f"Bearer {token}"},
    )


async def upload(client: httpx.AsyncClient, token: str, side: int) -> httpx.Response:
    """Upload a picture."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "image/png"}
    return await client.post("/v1/uploads", content=picture(side), headers=headers)


async def test_edits_of_ever_other_pictures_are_not_refused(shared_stack: SharedStack) -> None:
    url = await shared_stack.stack.start_gateway(DARKROOM_MAX_UPLOADS_PER_OWNER=str(MOST))
    ann = shared_stack.account()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for side in range(100, 100 + 3 * MOST):
            answer = await edit(client, ann.token, side, prompt := fresh())
            assert answer.status_code == 200, answer.text
            assert [call.references for call in shared_stack.calls(prompt)] == [1]


async def test_pictures_that_are_needed_are_counted(shared_stack: SharedStack) -> None:
    url = await shared_stack.stack.start_gateway(DARKROOM_MAX_UPLOADS_PER_OWNER=str(MOST))
    ann = shared_stack.account()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        headers = {"Authorization": f"Bearer {ann.token}"}
        prompts = [fresh() for _ in range(MOST)]
        for side, prompt in enumerate(prompts, start=100):
            shared_stack.stack.simulator.script([{"kind": "slow", "seconds": 600}], match=prompt)
            body = {"prompt": prompt, "reference_images": [(await upload(client, ann.token, side)).json()["id"]]}
            assert (await client.post("/v1/jobs", json=body, headers=headers)).status_code == 202
        await asyncio.gather(*map(shared_stack.called, prompts))
        refused = await upload(client, ann.token, 200)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
        assert (await edit(client, ann.token, 200, fresh())).status_code == 429
        jobs = await shared_stack.jobs(ann.owner)
        assert {job.state for job in jobs} == {JobState.RUNNING}
        ended = await client.post(f"/v1/jobs/{jobs[-1].id}/cancel", headers=headers)
        assert ended.json()["state"] == "cancelled"
        assert (await upload(client, ann.token, 200)).status_code == 201
        assert (await upload(client, ann.token, 201)).status_code == 429  # the last one was not used yet
        again = await client.post(f"/v1/jobs/{jobs[-1].id}/retry", headers=headers)  # its picture is still there
        assert (again.status_code, again.json()["request"]["prompt"]) == (202, prompts[0])
        await client.post(f"/v1/jobs/{again.json()['id']}/cancel", headers=headers)
        await client.post(f"/v1/jobs/{jobs[0].id}/cancel", headers=headers)


async def test_pictures_of_refused_edits_are_not_counted_for_long(shared_stack: SharedStack) -> None:
    few = {"DARKROOM_MAX_UPLOADS_PER_OWNER": str(MOST), "DARKROOM_MAX_JOBS_PER_OWNER": "1"}
    url = await shared_stack.stack.start_gateway(**few)
    ann = shared_stack.account()
    headers = {"Authorization": f"Bearer {ann.token}"}
    shared_stack.stack.simulator.script([{"kind": "slow", "seconds": 600}], match=(prompt := fresh()))
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        job = (await client.post("/v1/jobs", json={"prompt": prompt}, headers=headers)).json()
        codes = [(await edit(client, ann.token, side, fresh())).json()["error"]["code"] for side in range(100, 103)]
        assert codes == ["too_many_jobs"] * MOST + ["too_many_uploads"]
        await client.post(f"/v1/jobs/{job['id']}/cancel", headers=headers)
        async with open_redis(shared_stack.stack.redis.url) as redis:  # time passes
            line = owner_key(ann.owner, "uploads")
            for sha256 in await redis.zrange(line, 0, -1):
                await redis.zincrby(line, -11 * 60_000, str(sha256))
        assert (await edit(client, ann.token, 102, fresh())).status_code == 200
