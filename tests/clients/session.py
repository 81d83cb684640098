"""One client beside one Darkroom: what it is asked to do, and what it tells of it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.clients.environment import Environment
from tests.support.factories.images import picture
from tests.support.stack.shared_stack import SharedStack

PATIENCE_S = 120
REFERENCE = (160, 90)  # 16:9
HURRIED = {"DARKROOM_GRACE_SECONDS": "0.5", "DARKROOM_HEARTBEAT_SECONDS": "0.2", "DARKROOM_TOOL_WAIT_SECONDS": "0.5"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a client told its user: images, or an error."""

    images: tuple[bytes, ...] = ()
    kind: str = ""
    message: str = ""
    status: int | None = None

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Decode the images and tell their sizes."""
        opened = [Image.open(io.BytesIO(image)) for image in self.images]
        for image in opened:
            image.load()
        return [image.size for image in opened]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A client with a token, a gateway as it is by default, and one that is in a hurry."""

    environment: Environment
    shared: SharedStack
    hurried_url: str
    token: str
    more: Mapping[str, str]  # variables that lead to the client's own server

    async def ask(self, what: str, prompt: str, *, is_hurried: bool = False) -> Told:
        """Run the client's program once."""
        variables = {
            "URL": self.hurried_url if is_hurried else self.shared.url,
            "MODEL": self.environment.client.model,
            "TOKEN": self.token,
            "PROMPT": prompt,
            "PICTURE": str(self._reference()),
            **self.more,
        }
        if "PROXY" in self.more:
            variables |= {"URL": self.more["PROXY"], "MODEL": "hurried" if is_hurried else "default"}
        return await _told(await self._run(what, variables))

    async def _run(self, what: str, variables: Mapping[str, str]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *self.environment.command(what),
            cwd=self.environment.folder,
            env=self.environment.variables(**variables),
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                said, errors = await process.communicate()
        finally:
            end(process)
        assert process.returncode == 0, errors.decode()[-2000:]
        told: dict[str, Any] = json.loads(said.decode().splitlines()[-1])
        return told

    def _reference(self) -> Path:
        path = self.environment.folder / "reference.png"
        if not path.exists():
            Image.open(io.BytesIO(picture(max(REFERENCE)))).crop((0, 0, *REFERENCE)).save(path)
        return path

    def jobs(self, prompt: str) -> int:
        """Count the jobs that the provider was asked to work for."""
        return len({call.job_id for call in self.shared.calls(prompt)})


def end(process: Process) -> None:
    """Kill a process with all that it started."""
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


async def _told(said: Mapping[str, Any]) -> Told:
    if error := said.get("error"):
        return Told(kind=error["kind"], message=error["message"], status=error["status"])
    async with httpx.AsyncClient() as anybody:
        return Told(images=tuple([await _bytes(anybody, image) for image in said["images"]]))


async def _bytes(anybody: httpx.AsyncClient, image: str) -> bytes:
    """Take base64, or follow a link."""
    if image.startswith("http"):
        return (await anybody.get(image)).raise_for_status().content
    return base64.b64decode(image)
