"""The real nanobot, without Darkroom in it, uses the MCP server: over HTTP, and on stdio where it starts it itself.

The configs are those of `docs/howto/nanobot.md`; only addresses, paths, tokens and the chat model are ours.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from PIL import Image

from contract.jobs.job import JobState
from producer.mcp.tools import TOOLS
from tests.support.clients.mcp import DARKROOM
from tests.support.nanobot.chat import Chat
from tests.support.nanobot.connected import ConnectedNanobot
from tests.support.nanobot.gateway import Nanobot
from tests.support.nanobot.model import Asked, Call, Model, Said, Say
from tests.support.nanobot.venv import Venvs
from tests.support.stack.round_robin import RoundRobin
from tests.support.stack.shared_stack import SQUARE, SharedStack, fresh, open_shared_stack

PAGE = (Path(__file__).parents[3] / "docs/howto/nanobot.md").read_text()
[SECTION] = re.findall(r"^## Over MCP$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLES = dict(re.findall(r"^### (\w+)$.*?^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL))

WAIT_S = 1.0  # of a tool for its job
GENERATE, LOOK, CANCEL = (f"mcp_darkroom_{name}" for name in ("generate_image", "get_image_job", "cancel_image_job"))

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(300)]  # nanobot may have to be fetched
on_one_loop = pytest.mark.asyncio(loop_scope="module")


def paint(asked: Asked) -> Said:
    """Do what a chat model would that goes by what the tools say."""
    match asked.results:
        case []:
            return wish(asked)
        case [{"artifacts": _, "next_step": _, "text": _}]:
            return Call([("message", {"content": "Here it is.", "media": asked.paths})])
        case [{"job_id": job_id, "message": message, "next_step": next_step}]:
            return Say(f"{message} {job_id}: {next_step}")
        case [str(error)]:
            return Say(f"It failed: {error}")
    return Say("Done.")


def wish(asked: Asked) -> Call:
    """Read a line of the user, which may be about what the chat's last answer told of."""
    match asked.user:
        case "And now?":
            return Call([(LOOK, {"job_id": answers(asked)[-1]["job_id"], "wait_seconds": 20})])
        case "No more!":
            return Call([(CANCEL, {"job_id": answers(asked)[-1]["job_id"]})])
    more: dict[str, Any] = {}
    if "warmer" in asked.user:
        more["reference_images"] = [answers(asked)[-1]["images"][0]["id"]]
    if "its own id" in asked.user:
        more["reference_images"] = [json.loads(Path(asked.all_paths[-1]).with_suffix(".json").read_text())["id"]]
    if "its own path" in asked.user:
        more["reference_images"] = asked.all_paths[-1:]
    if "ninety-nine" in asked.user:
        more["count"] = 99
    return Call([(GENERATE, {"prompt": asked.user, **more})])


def answers(asked: Asked) -> list[dict[str, Any]]:
    """List what Darkroom has told this chat: the answer itself, or the text that nanobot puts beside its artifacts."""
    told = [result for result in asked.all_results if isinstance(result, dict)]
    return [json.loads(result["text"]) if "artifacts" in result else result for result in told]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SharedStack]:
    """A Darkroom whose tools, also those on stdio, wait for a second."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "darkroom.env").write_text(f"DARKROOM_TOOL_WAIT_SECONDS={WAIT_S}\n")
    async with open_shared_stack(folder) as shared_stack:
        yield shared_stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connected(
    request: pytest.FixtureRequest, shared_stack: SharedStack, venvs: Venvs, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ConnectedNanobot]:
    """A nanobot that is configured as the page says."""
    account = shared_stack.account()
    config = here(EXAMPLES[request.param], shared_stack, account.token)
    async with Model(paint) as model:
        nanobot = Nanobot(tmp_path_factory.mktemp(request.param), venvs.get(), model, config)
        async with nanobot:
            owner = account.owner if request.param == "http" else "nanobot"
            yield ConnectedNanobot(request.param, nanobot, model, owner, shared_stack)
        assert "Traceback" not in nanobot.log
        assert model.errors == []


def here(example: str, shared_stack: SharedStack, token: str) -> dict[str, Any]:
    """Put our own places into an example of the page."""
    for theirs, ours in (
        ("http://127.0.0.1:8790", shared_stack.url),
        ("${DARKROOM_TOKEN}", token),
        ('"darkroom", "args"', f'"{DARKROOM}", "args"'),
        ("/srv/darkroom/config.json", str(shared_stack.stack.config)),
        ("redis://127.0.0.1:6379/0", shared_stack.stack.redis.url),
    ):
        example = example.replace(theirs, ours)
    return dict(json.loads(example))


def of(*ways: str) -> pytest.MarkDecorator:
    """Run a test with a nanobot that is configured so, and so."""
    return pytest.mark.parametrize("connected", ways, indirect=True, scope="module")


def test_the_page_has_an_example_of_each() -> None:
    assert list(EXAMPLES) == ["http", "stdio"]


@of("http", "stdio")
@on_one_loop
async def test_a_quick_picture_comes_in_the_turn(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        told = await chat.ask(prompt := fresh())
        [picture] = await chat.pictures()
    assert (told, picture) == ("Here it is.Done.", await connected.original(prompt))
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == SQUARE
    asked = next(asked for asked in reversed(connected.model.asked) if asked.user == prompt and asked.paths)
    assert asked.offered >= {f"mcp_darkroom_{tool.name}" for tool in TOOLS}
    assert "image-generation" not in str(asked.messages[0])
    [artifact] = asked.results[0]["artifacts"]
    assert (artifact["path"], artifact["prompt"], artifact["provider"]) == (*asked.paths, prompt, "mcp:darkroom")
    assert Path(artifact["path"]).is_relative_to(connected.nanobot.media / "generated")
    assert [image["id"] for image in answers(asked)[-1]["images"]] == [
        image.id for image in (await connected.job(prompt)).images
    ]


@of("http", "stdio")
@on_one_loop
async def test_a_slow_picture_is_fetched_in_a_later_turn(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        told = await chat.ask(prompt := fresh("[slow 2]"))
        job = await connected.job(prompt)
        assert not job.is_over
        assert f"{job.id}: It is under way" in told
        assert await chat.ask("And now?") == "Here it is.Done."
        assert await chat.pictures() == [await connected.original(prompt)]


@of("http", "stdio")
@on_one_loop
async def test_a_picture_is_changed_that_an_answer_has_named(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(fresh())
        [first] = await chat.pictures()
        await chat.ask(prompt := fresh("make it warmer"))
        [second] = await chat.pictures()
    assert second == await connected.original(prompt) != first
    assert len((await connected.job(prompt)).request.reference_images) == 1
    assert [call.references for call in connected.shared_stack.calls(prompt)] == [1]


@of("http", "stdio")
@on_one_loop
async def test_a_job_is_cancelled(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(prompt := fresh("[slow 60]"))
        assert "Cancelled." in await chat.ask("No more!")
    await connected.shared_stack.given_up(prompt)
    assert (await connected.job(prompt)).state is JobState.CANCELLED


@of("http", "stdio")
@on_one_loop
async def test_a_job_goes_on_after_a_stop(connected: ConnectedNanobot) -> None:
    """nanobot tells a server nothing of it."""
    async with Chat(connected.nanobot) as chat:
        await chat.say(prompt := fresh("[slow 1]"))
        await connected.shared_stack.called(prompt)
        assert await chat.stop() == "Stopped 1 task(s)."
    assert await connected.end_of(prompt) is JobState.SUCCEEDED


@of("http", "stdio")
@on_one_loop
async def test_the_model_is_told_in_our_words_what_went_wrong(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        refused = await chat.ask(prompt := fresh("[refuse]"))
        wrong = await chat.ask("ninety-nine foxes")
    job = await connected.job(prompt)
    assert job.error is not None
    assert f'{job.error.detail}"' in refused
    assert wrong.startswith("It failed: count must be between 1 and 4 (maxImagesPerTurn).")


@of("http", "stdio")
@on_one_loop
async def test_a_model_that_takes_nanobots_name_of_a_picture_for_ours_is_told_the_difference(
    connected: ConnectedNanobot,
) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(fresh())
        for name in ("its own id", "its own path"):
            assert "not by the id or the path of a copy" in await chat.ask(name)


@of("http", "stdio")
@on_one_loop
async def test_chats_do_not_wait_for_one_another(connected: ConnectedNanobot) -> None:
    prompts = [fresh("[slow 2]") for _ in range(4)]

    async def one(prompt: str) -> bytes:
        async with Chat(connected.nanobot) as chat:
            assert "It is under way" in await chat.ask(prompt)
            await chat.ask("And now?")
            [picture] = await chat.pictures()
            return picture

    pictures = await asyncio.gather(*map(one, prompts))
    assert pictures == [await connected.original(prompt) for prompt in prompts]
    begun = [(await connected.job(prompt)).created_at for prompt in prompts]
    assert (max(begun) - min(begun)).total_seconds() < 2 * WAIT_S  # one after the other it were three times that


@of("http", "stdio")
@on_one_loop
async def test_a_server_that_was_killed_is_found_again(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(fresh())
        await (
            restart_gateway(connected.shared_stack) if connected.owner != "nanobot" else kill_server(connected.nanobot)
        )
        assert await chat.ask(prompt := fresh("make it warmer")) == "Here it is.Done."
        assert await chat.pictures() == [await connected.original(prompt)]
    is_over_http = connected.owner != "nanobot"  # there its session lives on
    assert ("session terminated" in connected.nanobot.log) is not is_over_http


async def restart_gateway(shared_stack: SharedStack) -> None:
    """Kill the gateway, and start it again where it was."""
    shared_stack.stack.end(shared_stack.stack.gateway_at(shared_stack.url))
    assert (
        await shared_stack.stack.start_gateway(DARKROOM_PORT=str(urlsplit(shared_stack.url).port)) == shared_stack.url
    )


async def kill_server(nanobot: Nanobot) -> None:
    """Kill what nanobot has started to speak MCP with; it starts that again itself."""
    assert nanobot.process is not None
    pid = nanobot.process.pid
    [child] = [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if DARKROOM in Path(f"/proc/{child}/cmdline").read_text()
    ]
    os.kill(child, signal.SIGKILL)


@on_one_loop
async def test_two_gateways_serve_one_session(
    shared_stack: SharedStack, venvs: Venvs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = await shared_stack.stack.start_gateway(DARKROOM_TOOL_WAIT_SECONDS=str(WAIT_S))
    async with RoundRobin(shared_stack.url, other) as front, Model(paint) as model:
        account = shared_stack.account()
        config = here(EXAMPLES["http"].replace("http://127.0.0.1:8790", front.url), shared_stack, account.token)
        nanobot = Nanobot(tmp_path_factory.mktemp("two"), venvs.get(), model, config)
        async with nanobot, Chat(nanobot) as chat:
            for prompt in (fresh(), fresh("make it warmer"), fresh("make it warmer")):
                assert await chat.ask(prompt) == "Here it is.Done."
                assert len(await chat.pictures()) == 1
                front.break_all()
            await chat.ask(fresh("[slow 2]"))
            front.break_all()
            assert await chat.ask("And now?") == "Here it is.Done."
        assert (model.errors, "session terminated" in nanobot.log) == ([], False)
    assert min(front.taken) > 1
    assert len(await shared_stack.jobs(account.owner)) == 4


@on_one_loop
async def test_without_a_whitelist_loopback_is_refused(
    shared_stack: SharedStack, venvs: Venvs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = here(EXAMPLES["http"], shared_stack, shared_stack.account().token)
    del config["tools"]["ssrfWhitelist"]
    async with Model() as model:
        nanobot = Nanobot(tmp_path_factory.mktemp("refused"), venvs.get(), model, config)
        async with nanobot, Chat(nanobot) as chat:
            assert await chat.ask("Hello!") == "Hello."
    assert "blocked unsafe URL" in nanobot.log
    assert not any(name.startswith("mcp_") for name in model.asked[0].offered)
