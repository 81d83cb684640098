"""MCP over HTTP with the SDK's own client: a real gateway, worker and Redis, a simulated provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from mcp.client.client import Client

from contract.jobs.job import JobState
from producer.mcp.tools import TOOLS
from tests.support.clients.mcp import kept, refused, shown, told, tools_at
from tests.support.stack.shared_stack import SQUARE, Account, SharedStack, fresh, opened

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module")
async def ann(shared_stack: SharedStack, account: Account) -> AsyncIterator[Client]:
    """A session at the gateway."""
    async with kept(tools_at(shared_stack.url, account.token)) as ann:
        yield ann


@pytest_asyncio.fixture(loop_scope="module")
async def impatient(shared_stack: SharedStack, account: Account) -> AsyncIterator[Client]:
    """A session of the same account at a gateway whose tools wait for 0.3 s."""
    async with kept(tools_at(shared_stack.impatient_url, account.token)) as impatient:
        yield impatient


async def test_what_tools_there_are(ann: Client) -> None:
    listed = (await ann.list_tools()).tools
    assert [tool.name for tool in listed] == [tool.name for tool in TOOLS]
    assert all(tool.description and tool.output_schema for tool in listed)
    assert all(tool.input_schema["additionalProperties"] is False for tool in listed)


async def test_an_image_comes_with_its_words(shared_stack: SharedStack, ann: Client, account: Account) -> None:
    answer = await ann.call_tool("generate_image", {"prompt": (prompt := fresh()), "count": 2, "aspect_ratio": None})
    job, pictures = told(answer), shown(answer)
    assert (job["state"], job["message"], job["done"], job["is_repeat"]) == (
        "succeeded",
        "2 of 2 images made.",
        2,
        False,
    )
    assert [(image["width"], image["shown"]) for image in job["images"]] == [(1024, "original")] * 2
    assert [opened(picture.data).size for picture in pictures] == [SQUARE] * 2
    assert job["images"][0]["url"] == f"{shared_stack.url}/v1/artifacts/{job['images'][0]['id']}"
    assert "path" not in job["images"][0]
    assert [job.id for job in await shared_stack.jobs(account.owner)] == [job["job_id"]]
    assert len(shared_stack.calls(prompt)) == 2


@pytest.mark.parametrize("named", ["latest", "id"])
async def test_an_image_is_changed(shared_stack: SharedStack, ann: Client, named: str) -> None:
    [image] = told(await ann.call_tool("generate_image", {"prompt": fresh()}))["images"]
    reference = image["id"] if named == "id" else named
    edit = await ann.call_tool("generate_image", {"prompt": (prompt := fresh()), "reference_images": [reference]})
    assert len(shown(edit)) == 1
    assert [call.references for call in shared_stack.calls(prompt)] == [1]


@pytest.mark.parametrize(
    "written", ["{}", '["{}"]', "['{}']", ' "{}" ', "latest"], ids=["bare", "json", "python", "quoted", "latest"]
)
async def test_arguments_are_understood_as_chat_models_write_them(
    shared_stack: SharedStack, ann: Client, account: Account, written: str
) -> None:
    [image] = told(await ann.call_tool("generate_image", {"prompt": fresh()}))["images"]
    absent = {"aspect_ratio": "", "image_size": "null", "idempotency_key": "None"}
    asked = absent | {"prompt": (prompt := fresh()), "count": "2", "reference_images": written.format(image["id"])}
    assert len(shown(await ann.call_tool("generate_image", asked))) == 2
    assert [call.references for call in shared_stack.calls(prompt)] == [1, 1]
    job = (await shared_stack.jobs(account.owner))[0]
    assert (job.request.count, len(job.request.reference_images)) == (2, 1)
    look = {"job_id": job.id, "wait_seconds": "20", "prompt": "", "model": None}
    assert told(await ann.call_tool("get_image_job", look))["job_id"] == job.id
    listed = told(await ann.call_tool("list_image_jobs", {"limit": "1.0", "state": "", "cursor": "null"}))["jobs"]
    assert [each["job_id"] for each in listed] == [job.id]


async def test_what_takes_longer_is_told_and_fetched_later(
    shared_stack: SharedStack, ann: Client, impatient: Client
) -> None:
    shared_stack.stack.simulator.script([{"kind": "slow", "seconds": 1}], match=(prompt := fresh()))
    answer = await impatient.call_tool("generate_image", {"prompt": prompt})
    job = told(answer)
    assert (job["state"] in ("queued", "running"), shown(answer)) == (True, [])
    assert "get_image_job" in job["next_step"]
    assert "cancel_image_job with this job_id" in job["next_step"]
    assert job["status_url"] == f"{shared_stack.impatient_url}/v1/jobs/{job['job_id']}"
    asked = {"job_id": job["job_id"], "wait_seconds": 20, "prompt": prompt, "model": "sim"}
    later = await ann.call_tool("get_image_job", asked)
    assert (told(later)["state"], len(shown(later))) == ("succeeded", 1)


async def test_a_job_is_cancelled_once_and_for_all(shared_stack: SharedStack, impatient: Client) -> None:
    shared_stack.stack.simulator.script([{"kind": "slow", "seconds": 30}], match=(prompt := fresh()))
    job = told(await impatient.call_tool("generate_image", {"prompt": prompt}))
    for _ in range(2):
        cancelled = told(await impatient.call_tool("cancel_image_job", {"job_id": job["job_id"]}))
        assert (cancelled["state"], cancelled["message"]) == ("cancelled", "Cancelled.")
    done = told(await impatient.call_tool("generate_image", {"prompt": fresh()}))
    told(await impatient.call_tool("get_image_job", {"job_id": done["job_id"], "wait_seconds": 20}))
    over = refused(await impatient.call_tool("cancel_image_job", {"job_id": done["job_id"]}))
    assert over == "The job has already ended: it has succeeded."


async def test_jobs_are_listed_in_pages(ann: Client) -> None:
    made = [told(await ann.call_tool("generate_image", {"prompt": fresh("x" * 200)})) for _ in range(3)]
    first = told(await ann.call_tool("list_image_jobs", {"limit": 2}))
    second = told(await ann.call_tool("list_image_jobs", {"cursor": first["next"]}))
    listed = first["jobs"] + second["jobs"]
    assert [job["job_id"] for job in listed] == [job["job_id"] for job in reversed(made)]
    assert (listed[0]["images"], len(listed[0]["prompt"])) == ([made[-1]["images"][0]["id"]], 120)
    assert {job["status_url"].rpartition("/")[2] for job in listed} == {job["job_id"] for job in made}
    assert "get_image_job" in first["next_step"]
    assert told(await ann.call_tool("list_image_jobs", {"state": "failed"}))["jobs"] == []


@pytest.mark.parametrize("why", ["stopped", "timed out", "gone"])
async def test_a_call_that_is_stopped_takes_its_job_with_it_and_one_that_is_given_up_does_not(
    shared_stack: SharedStack, account: Account, why: str
) -> None:
    """`gone`: without a session a client can only close the connection, when it is stopped and when it times out."""
    shared_stack.stack.simulator.script([{"kind": "slow", "seconds": 60}], match=(prompt := fresh()))
    async with tools_at(shared_stack.url, account.token, mode="auto" if why == "gone" else "legacy") as ann:
        await ann.list_tools()
        timeout_s = 4 if why == "timed out" else None
        calling = asyncio.create_task(
            ann.call_tool("generate_image", {"prompt": prompt}, read_timeout_seconds=timeout_s)
        )
        await shared_stack.called(prompt)
        if why != "timed out":
            calling.cancel()
        await asyncio.wait({calling})
        if why == "stopped":
            await shared_stack.given_up(prompt)
            await shared_stack.cancelled(account.owner)
            return
        [job] = told(await ann.call_tool("list_image_jobs"))["jobs"]
        assert told(await ann.call_tool("cancel_image_job", {"job_id": job["job_id"]}))["state"] == "cancelled"


async def test_progress_is_what_is_true(shared_stack: SharedStack, ann: Client) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    shared_stack.stack.simulator.script([{"kind": "status", "status": 503}, {"kind": "ok"}], match=(prompt := fresh()))
    told(await ann.call_tool("generate_image", {"prompt": prompt}, progress_callback=hear))
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    assert {total for _, total, _ in heard} == {1}
    words = [message for _, _, message in heard]
    assert words[-1] == "1 of 1 image made."
    assert "1K failed (provider down), trying again." in words
    assert all(one != other for one, other in pairwise(words))


async def test_what_went_wrong_with_a_job_is_an_error_in_words(shared_stack: SharedStack, ann: Client) -> None:
    shared_stack.stack.simulator.script([{"kind": "refuse"}] * 3, match=(prompt := fresh("canary")))
    answer = await ann.call_tool("generate_image", {"prompt": prompt})
    assert bool(answer.is_error)
    assert answer.structured_content["state"] == "failed"
    assert "canary" not in str(answer.content)
    look = told(await ann.call_tool("get_image_job", {"job_id": answer.structured_content["job_id"]}))
    assert (look["state"], look["error"]) == ("failed", answer.structured_content["error"])


async def test_all_that_is_wrong_with_a_call_is_told(ann: Client) -> None:
    text = refused(await ann.call_tool("generate_image", {"prompt": "", "count": 99, "image_size": "5K"}))
    assert [line.partition(" ")[0] for line in text.splitlines()] == ["Describe", "count", "image_size"]
    assert refused(await ann.call_tool("generate_image", {"prompt": "x", "promt": "x"})) == (
        "There is no field promt (did you mean prompt?)."
    )
    assert refused(await ann.call_tool("get_image_job", {"job_id": "canary"})) == "There is no such job."


async def test_an_equal_call_at_the_same_time_and_shortly_after_means_the_same_job(
    shared_stack: SharedStack, ann: Client, impatient: Client, account: Account
) -> None:
    shared_stack.stack.simulator.script([{"kind": "slow", "seconds": 1}], match=(prompt := fresh()))
    asked = {"prompt": prompt, "count": 1}
    calls = [who.call_tool("generate_image", asked) for who in (ann, impatient, ann)]
    answers = [told(answer) for answer in await asyncio.gather(*calls)]
    again = told(await ann.call_tool("generate_image", {"count": 1, "prompt": prompt}))
    other = told(await ann.call_tool("generate_image", {"prompt": prompt, "count": 2}))
    assert len({answer["job_id"] for answer in answers} | {again["job_id"]}) == 1
    assert again["is_repeat"]
    assert not other["is_repeat"]
    assert len(await shared_stack.jobs(account.owner)) == 2


async def test_an_equal_call_some_time_later_is_meant(shared_stack: SharedStack, ann: Client, account: Account) -> None:
    asked = {"prompt": fresh()}
    first = told(await ann.call_tool("generate_image", asked))
    await shared_stack.forget_recent(account.owner)  # as if five seconds had passed
    second = told(await ann.call_tool("generate_image", asked))
    assert first["job_id"] != second["job_id"]


async def test_a_key_makes_one_job(ann: Client) -> None:
    asked = {"prompt": fresh(), "idempotency_key": fresh("key")}
    first, second = [told(await ann.call_tool("generate_image", asked)) for _ in range(2)]
    assert (first["job_id"], first["is_repeat"]) == (second["job_id"], False)
    assert second["is_repeat"]
    reused = refused(await ann.call_tool("generate_image", asked | {"prompt": fresh()}))
    assert reused == "This idempotency key was already used for another request."


async def test_a_reader_looks_and_a_service_speaks_for_its_users(shared_stack: SharedStack) -> None:
    async with tools_at(shared_stack.url, shared_stack.reader) as reader:
        assert told(await reader.call_tool("list_image_jobs"))["jobs"] == []
        for tool, asked in (("generate_image", {"prompt": "x"}), ("cancel_image_job", {"job_id": "x"})):
            assert (
                refused(await reader.call_tool(tool, asked))
                == "This token is not allowed to do that: it lacks the right submit."
            )
    async with (
        tools_at(shared_stack.url, shared_stack.service, X_Darkroom_User="dora") as dora,
        tools_at(shared_stack.url, shared_stack.service, X_Darkroom_User="emil") as emil,
    ):
        job = told(await dora.call_tool("generate_image", {"prompt": fresh()}))
        assert "path" in job["images"][0]
        assert refused(await emil.call_tool("get_image_job", {"job_id": job["job_id"]})) == "There is no such job."
    assert [each.state for each in await shared_stack.jobs("service/dora")] == [JobState.SUCCEEDED]


async def test_clients_without_a_handshake_are_answered_too(shared_stack: SharedStack, account: Account) -> None:
    async with tools_at(shared_stack.url, account.token, mode="auto") as modern:
        answer = await modern.call_tool("generate_image", {"prompt": fresh()})
    assert (told(answer)["state"], len(shown(answer))) == ("succeeded", 1)
