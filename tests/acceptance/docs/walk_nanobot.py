"""nanobot as README and docs/howto/nanobot.md say: with the plugin, and without it by configuration alone.

tests/acceptance/docs/test_pages.py runs this in a network of its own: chat model, channel, gateway and Redis stand
where the pages name them.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from producer.stack.redis_server import find_redis_server
from tests.support.nanobot.chat import Chat
from tests.support.nanobot.gateway import accepting
from tests.support.nanobot.home import paint
from tests.support.nanobot.model import Asked, Call, Model, Said, Say
from tests.support.pages.block import Block, How, blocks
from tests.support.pages.desk import IS_UP, Desk, open_desk
from tests.support.pages.terminal import open_terminal, staying

KEY = {"OPENROUTER_API_KEY": "a-key"}
SERVER = Path("/srv/darkroom/config.json")  # of the page
TOOLS = {"generate_image", "mcp_darkroom_generate_image"}
WITH, WITHOUT = (Path(os.environ[f"PAGES_NANOBOT_{which}"]) / "bin" for which in ("WITH", "WITHOUT"))


class Websocket(NamedTuple):
    """The channel of the page's configurations."""

    port: int = 8765
    token: str = "a-secret-of-yours"
    url: str = "http://127.0.0.1:8765"


@pytest.mark.timeout(300)
async def test_nanobot(tmp_path: Path) -> None:
    plugin, *others = [block for block in blocks("docs/howto/nanobot.md") if block.how is How.CONFIG]
    assert [block.heading for block in others] == ["modelscope", "openai", "custom", "http", "stdio"]
    up, gateway, token = [block for block in blocks() if block.how is How.NANOBOT]
    async with open_desk(tmp_path) as desk, Model(_draw, port=8000) as model:
        _configure(desk.home, plugin.text)
        async with staying(up, desk.clone("up"), desk.activated | KEY, ready=IS_UP):
            await _chat(gateway, desk)
            async with _redis_and_worker(desk):
                environment = {"DARKROOM_TOKEN": await _token(token, desk)}
                async with asyncio.TaskGroup() as agents:
                    for block in others:
                        agents.create_task(_ask_once(block, desk, environment))
                jobs = await _jobs(desk, "nanobot") | await _jobs(desk, "nanobot", DARKROOM_CONFIG=str(SERVER))
        assert jobs == {(_prompt(block), "succeeded") for block in others}
        assert model.errors == []


async def _chat(gateway: Block, desk: Desk) -> None:
    """Have a picture made in a chat, over the queue."""
    environment = {**desk.environment, **KEY, "PATH": f"{WITH}:{os.environ['PAGES_PATH']}"}
    ready = "Darkroom: generate_image goes over the queue"
    async with staying(gateway, desk.folder, environment, ready=ready) as told:
        await accepting(Websocket().port)
        async with Chat(Websocket()) as chat:
            assert await chat.ask("a red fox", within_s=60) == "Here it is.Done."
            assert len(await chat.pictures()) == 1
        assert await _jobs(desk, f"websocket:{chat.id}:ann") == {("a red fox", "succeeded")}, told


async def _ask_once(block: Block, desk: Desk, environment: dict[str, str]) -> None:
    """Have a picture made by a nanobot that is configured as a block says; only stdio needs the command `darkroom`."""
    home = desk.folder / block.heading
    _configure(home, block.text)
    path = (str(WITHOUT), *([desk.activated["PATH"]] if block.heading == "stdio" else []), os.environ["PAGES_PATH"])
    environment = {**desk.environment, **environment, "HOME": str(home), "PATH": ":".join(path)}
    async with open_terminal(home, environment) as terminal:
        assert "Done." in await terminal.ask(f"nanobot agent --no-markdown -m '{_prompt(block)}'", within_s=120)


@asynccontextmanager
async def _redis_and_worker(desk: Desk) -> AsyncIterator[None]:
    """Run the Redis of docs/howto/redis.md, and a worker for the configuration that the page names."""
    [conf] = [block for block in blocks() if block.how is How.REDIS]
    folder = desk.clone("redis")
    (folder / "redis.conf").write_text(conf.text)
    first = next(block for block in blocks("README.md") if block.how is How.CONFIG)
    _configure(SERVER.parent, first.text, nanobots=".")
    environment = desk.activated | KEY | {"DARKROOM_CONFIG": str(SERVER)}
    async with (
        staying(_typed(f"{find_redis_server()} redis.conf"), folder, environment, ready="Ready to accept"),
        staying(_typed("darkroom worker"), folder, environment),
        open_terminal(folder, environment) as terminal,
    ):
        told = await terminal.ask(
            'until darkroom doctor > told; grep -q "worker: 1 running" told; do sleep 0.2; done; cat told'
        )
        assert "ok   redis safety: keeps every accepted job\n" in told
        yield


async def _token(block: Block, desk: Desk) -> str:
    async with open_terminal(desk.clone("token"), desk.activated) as terminal:
        await terminal.type(block)
        return (await terminal.ask("echo $DARKROOM_TOKEN")).strip()


async def _jobs(desk: Desk, owner: str, **environment: str) -> set[tuple[str, str]]:
    """List an owner's jobs: prompts and states."""
    async with open_terminal(desk.folder, desk.activated | environment) as terminal:
        jobs = json.loads(await terminal.ask(f"darkroom list --json --owner {owner}"))
    return {(job["request"]["prompt"], job["state"]) for job in jobs}


def _draw(asked: Asked) -> Said:
    """Paint in a chat; the one-shot agent only calls the tool that there is."""
    if not asked.user.startswith("one shot"):
        return paint(asked)
    [tool] = TOOLS & asked.offered
    return Say("Done.") if asked.results else Call([(tool, {"prompt": asked.user})])


def _prompt(block: Block) -> str:
    return f"one shot by {block.heading}"


def _configure(home: Path, text: str, *, nanobots: str = ".nanobot") -> None:
    folder = home / nanobots
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(text)


def _typed(line: str) -> Block:
    return Block("", "", 0, "sh", line)
