"""`tools.imageGeneration.enabled` is the one switch in the real nanobot, and its log says in one line what it did."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from simulator.server.server import Simulator

from producer.stack.redis_server import find_redis_server
from tests.support.nanobot.chat import Chat
from tests.support.nanobot.gateway import Nanobot, merged
from tests.support.nanobot.home import EXAMPLE, LATER, paint
from tests.support.nanobot.model import Asked, Model, Said, Say
from tests.support.nanobot.settings_page import save_image_settings
from tests.support.nanobot.venv import NANOBOT, OLDEST_NANOBOT, TOO_OLD_NANOBOT, Venvs
from tests.support.stack.shared_stack import fresh

DARKROOM = Path(sys.executable).parent / "darkroom"
QUEUE, NO_QUEUE = "generate_image goes over the queue", "no queue was found"
JOB_TOOLS = {"image_job_status", "cancel_image_job"}
EMPTY: Mapping[str, str] = {}
NOWHERE = {"DARKROOM_REDIS_URL": "redis://127.0.0.1:1/0"}  # named is enough: nobody asks it before an image is wanted

pytestmark = [
    pytest.mark.real_redis,
    pytest.mark.timeout(400),  # nanobot may have to be fetched
]
needs_redis = pytest.mark.skipif(find_redis_server() is None and not os.environ.get("CI"), reason="no Redis server")
each_version = pytest.mark.parametrize("version", [OLDEST_NANOBOT, NANOBOT])


class LoggedNanobot(Nanobot):
    """A nanobot whose log is read for what Darkroom has to say."""

    @property
    def told(self) -> list[str]:
        """List the lines of Darkroom."""
        return [line for line in self.log.splitlines() if "Darkroom: " in line]

    async def tells(self, words: str, *, times: int = 1) -> str:
        """Wait for a line, and for it to have come so many times; it is all that Darkroom has said last."""
        async with asyncio.timeout(30):
            while sum(words in line for line in self.told) < times:
                await asyncio.sleep(0.05)
        assert sum(words in line for line in self.told) == times
        last = self.told[-1]
        assert (words in last, " INFO " in last) == (True, True), self.told
        return last

    async def paints(self) -> str | None:
        """Have a picture made in a chat; the id of its job, None if nanobot's own tool has made it."""
        async with Chat(self) as chat:
            assert await chat.ask(fresh(), within_s=40) == "Here it is.Done."
            [frame] = chat.pictured
        sidecar: dict[str, Any] = json.loads(Path(frame.media[0]).with_suffix(".json").read_text())
        return sidecar.get("job_id")

    async def offers(self) -> set[str]:
        """Ask which tools the model of a chat has."""
        async with Chat(self) as chat:
            await chat.ask("no picture")
        return [asked for asked in self.model.asked if asked.tools][-1].offered

    @property
    def description(self) -> str:
        """Tell what the model was told of `generate_image` the last time."""
        return str([asked for asked in self.model.asked if asked.tools][-1].schema("generate_image")["description"])


def draw(asked: Asked) -> Said:
    """Paint what is wished for."""
    return Say("Well.") if asked.user == "no picture" else paint(asked)


@asynccontextmanager
async def a_nanobot(
    venvs: Venvs, version: str, environment: Mapping[str, str] = EMPTY, *, enabled: bool = True, env: str = ""
) -> AsyncIterator[LoggedNanobot]:
    """Start a nanobot with Darkroom in it, and no worker."""
    venv = venvs.get(version, with_darkroom=True)
    with TemporaryDirectory(prefix="dr-") as folder:
        async with Simulator(seconds=0.02, side=96) as simulator, Model(draw) as model:
            openrouter = {"apiKey": "canary-key", "apiBase": f"{simulator.url}/api/v1"}
            ours = {"providers": {"openrouter": openrouter}, "tools": {"imageGeneration": {"enabled": enabled}}}
            nanobot = LoggedNanobot(Path(folder), venv, model, merged(EXAMPLE, ours), environment)
            if env:
                (nanobot.folder / "darkroom.env").write_text(env)
            async with nanobot:
                yield nanobot
            assert "Failed to load tool plugin" not in nanobot.log
            assert version == TOO_OLD_NANOBOT or "Traceback" not in nanobot.log  # it logs who hangs up in one
            assert model.errors == []


@contextmanager
def a_stack(nanobot: Nanobot, **more: str) -> Iterator[None]:
    """Run `darkroom up` from a nanobot's configuration."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    place = {"HOME": str(nanobot.folder), "DARKROOM_CONFIG": str(nanobot.config), "DARKROOM_PORT": "0"}
    environment = {**kept, **place, **more}
    with subprocess.Popen([DARKROOM, "up"], env=environment, stderr=subprocess.PIPE, text=True) as up:
        assert up.stderr is not None
        lines = []
        for line in iter(up.stderr.readline, ""):
            lines.append(line)
            if "Ctrl-C stops" in line:
                break
        try:
            assert "Ctrl-C stops" in lines[-1], lines
            yield
        finally:
            up.terminate()
            up.communicate(timeout=60)


@needs_redis
@each_version
async def test_a_queue_is_used_while_there_is_one_and_settings_that_are_saved_hold(venvs: Venvs, version: str) -> None:
    async with a_nanobot(venvs, version) as nanobot:
        line = await nanobot.tells(NO_QUEUE)
        assert "`darkroom up`" in line
        assert "nanobot's own tool makes the images" in line
        assert await nanobot.paints() is None
        assert not JOB_TOOLS & await nanobot.offers()
        own = nanobot.description
        with a_stack(nanobot):
            await nanobot.tells(QUEUE)
            assert await nanobot.paints()
            assert await nanobot.offers() >= JOB_TOOLS | {"generate_image"}
            assert nanobot.description != own

            await save_image_settings(nanobot, default_aspect_ratio="16:9")
            await nanobot.tells(QUEUE, times=2)
            assert await nanobot.paints()
            await save_image_settings(nanobot, enabled=False)
            await nanobot.tells("enabled is false")
            assert not (JOB_TOOLS | {"generate_image"}) & await nanobot.offers()
            await save_image_settings(nanobot, enabled=True)
            await nanobot.tells(QUEUE, times=3)
            assert await nanobot.paints()
        await nanobot.tells(NO_QUEUE, times=2)
        assert await nanobot.paints() is None
        assert not JOB_TOOLS & await nanobot.offers()
        assert nanobot.description == own
        await save_image_settings(nanobot, default_aspect_ratio="1:1")
        await nanobot.tells(NO_QUEUE, times=3)
        assert await nanobot.paints() is None


@needs_redis
async def test_what_was_ordered_before_the_stack_was_stopped_comes_when_it_is_back(venvs: Venvs) -> None:
    async with a_nanobot(venvs, NANOBOT, {"DARKROOM_TOOL_WAIT_SECONDS": "1"}) as nanobot, Chat(nanobot) as chat:
        with a_stack(nanobot, DARKROOM_DRAIN_SECONDS="0"):
            await nanobot.tells(QUEUE)
            assert await chat.ask(fresh("[slow 4]")) == LATER
        await nanobot.tells(NO_QUEUE, times=2)
        assert chat.pictured == []
        with a_stack(nanobot):
            [picture] = await chat.pictures(within_s=60)
            assert picture


@each_version
async def test_a_queue_that_is_named_is_used_from_the_start(venvs: Venvs, version: str) -> None:
    async with a_nanobot(venvs, version, NOWHERE) as nanobot:
        line = await nanobot.tells(QUEUE)
        assert "DARKROOM_REDIS_URL" in line
        assert NOWHERE["DARKROOM_REDIS_URL"] not in nanobot.log  # it may hold a password
        assert await nanobot.offers() >= JOB_TOOLS | {"generate_image"}
        assert len(nanobot.told) == 1


@each_version
async def test_switched_off_there_is_no_image_tool_until_it_is_switched_on(venvs: Venvs, version: str) -> None:
    async with a_nanobot(venvs, version, NOWHERE, enabled=False) as nanobot:
        assert "so there is no image tool" in await nanobot.tells("enabled is false")
        assert not (JOB_TOOLS | {"generate_image"}) & await nanobot.offers()
        await save_image_settings(nanobot, enabled=True)
        await nanobot.tells(QUEUE)
        assert await nanobot.offers() >= JOB_TOOLS | {"generate_image"}
        assert len(nanobot.told) == 2


@pytest.mark.parametrize("where", ["environment", "file"])
@pytest.mark.parametrize("enabled", [True, False])
async def test_the_plugin_can_be_told_to_leave_nanobot_alone(venvs: Venvs, where: str, enabled: bool) -> None:
    env = "export DARKROOM_PLUGIN='off'  # for now\n" if where == "file" else ""
    environment = {"DARKROOM_PLUGIN": "off"} if where == "environment" else {}
    async with a_nanobot(venvs, NANOBOT, NOWHERE | environment, enabled=enabled, env=env) as nanobot:
        await nanobot.tells("DARKROOM_PLUGIN is off")
        assert ("generate_image" in await nanobot.offers()) is enabled
        if enabled:
            assert await nanobot.paints() is None
        await save_image_settings(nanobot, enabled=True, default_aspect_ratio="16:9")
        assert await nanobot.paints() is None
        assert not JOB_TOOLS & await nanobot.offers()
        assert len(nanobot.told) == 1


async def test_a_nanobot_that_is_too_old_is_told_so_in_one_line(venvs: Venvs) -> None:
    async with a_nanobot(venvs, TOO_OLD_NANOBOT, NOWHERE) as nanobot:
        line = await nanobot.tells("needs nanobot 0.3.0 or newer, and this is 0.2.2")
        assert line.endswith("nanobot stays as it is.")
        assert "generate_image" in await nanobot.offers()
        assert len(nanobot.told) == 1


async def test_the_one_shot_agent_shows_none_of_these_lines(venvs: Venvs) -> None:
    async with a_nanobot(venvs, NANOBOT) as nanobot:
        told = await nanobot.ask_once("no picture")
    assert "Well." in told
    assert "Darkroom:" not in told
