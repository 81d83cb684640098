"""The real nanobot as processes: its gateway, which is stopped, killed and started again, and its one-shot agent.

The gateway is forked from a process of its environment that has imported nanobot, as that takes a second; what it
imports of Darkroom it imports itself. The one-shot agent, and the gateway of tests/acceptance/docs, start as people
start them.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from producer.stack.ports import free_port
from tests.support.nanobot.model import NAME, Model
from tests.support.nanobot.venv import USED, Venv
from tests.support.process.fork_server import ForkedProcess, ForkServer, Start

Config = Mapping[str, Any]
START_S = 60
STOP_S = 20
# Refuses at once: nanobot looks for tiktoken's table there, and while a lookup is lost all its chats stand still.
AWAY = {"HTTPS_PROXY": "http://127.0.0.1:9"}
CAN_FORK = bool(sys.platform == "linux")
QUIET = {"NANOBOT_SKIP_WEBUI_BUILD": "1", "NO_COLOR": "1", "COLUMNS": "200"}


class Nanobot:
    """A nanobot whose home, config, workspace and media lie in one folder; the folder outlives its processes."""

    def __init__(
        self,
        folder: Path,
        venv: Venv,
        model: Model,
        config: Config | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.venv = venv
        self.model = model
        self.token = secrets.token_hex(8)
        self.port = free_port()
        self.environment = dict(environment or {})
        self.process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self.started_in_s: list[float] = []
        folder.mkdir(exist_ok=True)
        self.write_config(config or {})

    @property
    def url(self) -> str:
        """Return where it serves pictures."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def media(self) -> Path:
        """Tell where it keeps pictures."""
        return self.folder / "media"

    @property
    def config(self) -> Path:
        """Tell where its config is."""
        return self.folder / "config.json"

    @property
    def log(self) -> str:
        """Read what all its processes have logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("nanobot-*.log")))

    def write_config(self, config: Config) -> None:
        """Write a config; where the model, the chat and the workspace are is put in."""
        here: Config = {
            "agents": {"defaults": {"workspace": str(self.folder / "workspace"), "provider": "vllm", "model": NAME}},
            "providers": {"vllm": {"apiBase": self.model.url, "apiKey": "none"}},
            "channels": {
                "websocket": {"enabled": True, "host": "127.0.0.1", "port": self.port, "token": self.token},
            },
            "gateway": {"port": free_port(), "heartbeat": {"enabled": False}},
        }
        self.config.write_text(json.dumps(merged(config, here), indent=2))

    async def start(self) -> None:
        """Start the gateway and wait until chats can reach it."""
        began = time.monotonic()
        log = self.folder / f"nanobot-{len(self.started_in_s)}.log"
        log.touch()
        self.process = await asyncio.to_thread(self._start, log)
        async with asyncio.timeout(START_S):
            while not await _accepts(self.port):
                assert self.process.poll() is None, self.log
                await asyncio.sleep(0.05)
        self.started_in_s.append(time.monotonic() - began)
        print(f"nanobot: started in {self.started_in_s[-1]:.1f} s")

    async def stop(self) -> None:
        """Ask the gateway to end, and wait until it has."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, STOP_S)

    def kill(self) -> None:
        """Kill the gateway with all that it started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    async def ask_once(self, message: str, *, within_s: float = 60) -> str:
        """Run the one-shot agent to its end, and answer what it printed."""
        process = await asyncio.create_subprocess_exec(
            *self._command("agent", "-m", message, "--no-markdown"),
            cwd=self.folder,
            env=self._environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(within_s):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        assert process.returncode == 0, told.decode()
        return told.decode()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _start(self, log: Path) -> subprocess.Popen[bytes] | ForkedProcess:
        """Start the gateway; blocking, as the first start imports nanobot."""
        program, *arguments = self._command("gateway")
        environment = self._environment()
        if CAN_FORK:
            files = {"output": str(log), "errors": str(log), "folder": str(self.folder)}
            start = Start(program=program, arguments=arguments, environment=environment, **files)
            return _imported(self.venv).start(start)
        with log.open("ab") as written:
            return subprocess.Popen(
                [program, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                start_new_session=True,
            )

    def _command(self, command: str, *arguments: str) -> list[str]:
        return [str(self.venv.nanobot), command, *arguments, "--config", str(self.config)]

    def _environment(self) -> dict[str, str]:
        return {**_plain(), "HOME": str(self.folder), **self.environment}


def _plain() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "TMPDIR") if name in os.environ}
    return {**kept, **QUIET, **AWAY}


@cache
def _imported(venv: Venv) -> ForkServer:
    """Start what has imported the nanobot of an environment."""
    return ForkServer(*USED, environment={**_plain(), "HOME": str(venv.folder)}, python=venv.python)


def merged(config: Config, over: Config) -> dict[str, Any]:
    """Lay one config over another, section by section."""
    both = {
        name: merged(config[name], over[name])
        for name in config.keys() & over.keys()
        if isinstance(config[name], Mapping) and isinstance(over[name], Mapping)
    }
    return {**config, **over, **both}


async def accepting(port: int) -> None:
    """Wait until chats can reach a nanobot."""
    async with asyncio.timeout(START_S):
        while not await _accepts(port):
            await asyncio.sleep(0.05)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
