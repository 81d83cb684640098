"""OpenAI's JavaScript SDK against the gateway; it is installed from npm, once, into a folder that goes again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.factories.images import picture
from tests.support.lacking import lacking
from tests.support.stack.shared_stack import MODEL, OTHER_MODEL, SQUARE, Account, SharedStack, fresh, opened

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = Path(__file__).with_name("openai_client.mjs")
INSTALL = "npm install --no-save --no-package-lock --no-audit --no-fund --ignore-scripts openai"

Start = Callable[..., Awaitable[Process]]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script beside the SDK; without node or npm's registry a laptop skips and CI fails."""
    folder = tmp_path_factory.mktemp("js")
    if problem := installed(folder):
        lacking(problem)
    return Path(shutil.copy(SCRIPT, folder))


def installed(folder: Path) -> str:
    """Install the SDK, or tell why that is not possible."""
    if missing := [tool for tool in ("node", "npm") if shutil.which(tool) is None]:
        return f"no {missing[0]}"
    installing = subprocess.run(INSTALL.split(), cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    return installing.stderr if installing.returncode else ""


@pytest.fixture
def ann(shared_stack: SharedStack) -> Account:
    """Somebody without any jobs."""
    return shared_stack.account()


@pytest.fixture
def start(shared_stack: SharedStack, script: Path, ann: Account) -> Start:
    """Starts the SDK as a process: what it shall do, the prompt, its environment."""

    async def start(what: str, prompt: str, *, url: str = shared_stack.url, **environment: str) -> Process:
        environment = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": ann.token, **environment}
        command = ("node", script, what, prompt)
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=os.environ | environment)

    return start


async def ended(process: Process, data: bytes = b"") -> Any:
    """Read what it says at its end; in between it gets this on its stdin."""
    async with asyncio.timeout(20):
        said, _ = await process.communicate(data)
    return json.loads(said)


async def test_images_are_made(shared_stack: SharedStack, start: Start) -> None:
    answer = await ended(await start("generate", prompt := fresh()))
    assert [opened(image["b64_json"]).size for image in answer["data"]] == 2 * [(1248, 832)]
    assert {call.job_id for call in shared_stack.calls(prompt)} == {answer["darkroom"]["job_id"]}
    assert {call.aspect_ratio for call in shared_stack.calls(prompt)} == {"3:2"}


@pytest.mark.parametrize("what", ["edit", "edits"])
async def test_an_edit_of_one_file_or_of_a_list(shared_stack: SharedStack, start: Start, what: str) -> None:
    answer = await ended(await start(what, prompt := fresh()), picture())
    assert opened(answer["data"][0]["b64_json"]).size == SQUARE
    assert [call.references for call in shared_stack.calls(prompt)] == [1]


async def test_a_stream(start: Start) -> None:
    events = await ended(await start("stream", fresh()))
    assert [event["type"] for event in events] == 2 * ["image_generation.completed"]
    assert [opened(event["b64_json"]).size for event in events] == 2 * [SQUARE]


async def test_models(start: Start) -> None:
    listed, one = await ended(await start("models", OTHER_MODEL))
    assert ([model["id"] for model in listed], one["id"]) == ([MODEL, OTHER_MODEL], OTHER_MODEL)


async def test_an_error_has_code_status_and_request_id(shared_stack: SharedStack, start: Start, ann: Account) -> None:
    error = await ended(await start("generate", fresh("[refuse]"), RETRIES="2"))
    assert (error["kind"], error["status"], error["code"]) == ("BadRequestError", 400, "content_refused")
    assert "refused" in error["message"]
    assert error["requestID"].startswith("req_")
    assert len(await shared_stack.jobs(ann.owner)) == 1


async def test_a_client_that_gives_up_and_comes_back_finds_its_job(
    shared_stack: SharedStack, start: Start, ann: Account
) -> None:
    answer = await ended(await start("timeout", prompt := fresh("[slow 2]"), RETRIES="2"))
    assert len(answer["data"]) == len(await shared_stack.jobs(ann.owner)) == len(shared_stack.calls(prompt)) == 1


async def test_the_job_of_a_request_that_is_aborted_is_cancelled(
    shared_stack: SharedStack, start: Start, ann: Account
) -> None:
    process = await start("abort", prompt := fresh("[slow 60]"), url=shared_stack.impatient_url)
    await shared_stack.called(prompt)
    error = await ended(process, b"abort")
    assert error["kind"] == "APIUserAbortError"
    await shared_stack.given_up(prompt)
    await shared_stack.cancelled(ann.owner)


async def test_a_late_failure_has_its_own_status_and_words(
    shared_stack: SharedStack, start: Start, ann: Account
) -> None:
    error = await ended(await start("generate", prompt := fresh("[refuse after 1]"), url=shared_stack.impatient_url))
    assert (error["kind"], error["status"], error["code"]) == ("BadRequestError", 400, "content_refused")
    assert "refused" in error["message"]
    assert {call.job_id for call in shared_stack.calls(prompt)} == {
        job.id for job in await shared_stack.jobs(ann.owner)
    }


@pytest.mark.parametrize(("what", "size"), [("generate", (1248, 832)), ("edit", SQUARE)])
async def test_late_images_are_found_where_the_client_is_sent(
    shared_stack: SharedStack, start: Start, ann: Account, what: str, size: tuple[int, int]
) -> None:
    answer = await ended(await start(what, fresh("[slow 1.5]"), url=shared_stack.impatient_url), picture())
    assert {opened(image["b64_json"]).size for image in answer["data"]} == {size}
    assert len(await shared_stack.jobs(ann.owner)) == 1


async def test_after_the_last_redirect_a_failure_breaks_the_connection(
    shared_stack: SharedStack, start: Start, ann: Account
) -> None:
    url = await shared_stack.stack.start_gateway(DARKROOM_GRACE_SECONDS="0.01", DARKROOM_HEARTBEAT_SECONDS="0.1")
    error = await ended(await start("generate", fresh("[refuse after 2]"), url=url, RETRIES="2"))
    assert (error["kind"], error["message"]) == ("TypeError", "terminated")
    assert len(await shared_stack.jobs(ann.owner)) == 1
