"""The tenant that abuses: its connections, and what it was answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.network.http_client import Answer, Connection

JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Mallory:
    """One token, all gateways, and a folder with what was drawn before."""

    ports: list[int]
    token: str
    folder: Path
    did: Counter[str] = field(default_factory=Counter)
    jobs: list[str] = field(default_factory=list)
    _turn: count[int] = field(default_factory=count)

    @property
    def port(self) -> int:
        """The next gateway's port."""
        return self.ports[next(self._turn) % len(self.ports)]

    def connection(self, token: str | None = None) -> Connection:
        """Make a connection to the next gateway."""
        return Connection(self.port, self.token if token is None else token)

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        over: Connection | None = None,
    ) -> Answer | None:
        """Ask for something and count what comes back; nothing comes back where a connection breaks."""
        connection = over or self.connection()
        try:
            answer = await connection.ask(method, target, body, headers)
        except (OSError, EOFError):
            self.did["broken"] += 1
            return None
        finally:
            if over is None:
                connection.close()
        self.did[str(answer.status)] += 1
        return answer

    async def submit(self, *, over: Connection | None = None, key: str = "", **wish: Any) -> str:
        """Hand a job in; answer its id, or nothing."""
        headers = JSON | ({"Idempotency-Key": key} if key else {})
        answer = await self.ask("POST", "/v1/jobs", json.dumps(wish).encode(), headers, over=over)
        return str(answer.json()["id"]) if answer and answer.status == 202 else ""

    async def begin(self, head: str, body: bytes = b"") -> asyncio.StreamWriter | None:
        """Send what a request begins with, and read nothing."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**16)
            writer.write(head.replace("\n", "\r\n").encode() + body)
            await writer.drain()
        except OSError:
            self.did["broken"] += 1
            return None
        self.did["begun"] += 1
        return writer

    def head(self, method: str, target: str, **headers: object) -> str:
        """Write the head of a request."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
        return f"{method} {target} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {self.token}\n{lines}\n"


async def crowd(many: int, one: Callable[[int], Awaitable[object]]) -> None:
    """Do one thing in many places at the same time, again and again; what goes wrong is done again."""

    async def again(number: int) -> None:
        while True:
            await one(number)
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for number in range(many):
            group.create_task(again(number))
