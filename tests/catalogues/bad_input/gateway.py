"""One gateway for all the bad input, with a finished job behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from simulator.server.server import Simulator

from producer.tokens import Right, Tokens
from tests.catalogues.bad_input.case import Case
from tests.catalogues.bad_input.paths import lay
from tests.support.stack.redis_server import RealRedis
from tests.support.stack.stack import Stack

RATES = "darkroom:rate"
SESSIONS = (":sessions", ":sessions_in_use")
PLENTY = {"DARKROOM_RATE": "1000000/minute", "DARKROOM_MISS_RATE": "1000000/minute"}
PROMPT = "canary-prompt: a red fox"


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """The gateway, who may use it, and what it must not have changed; `job` is a finished one of Ann's."""

    stack: Stack
    url: str
    tokens: Mapping[str, str] = field(repr=False)
    client: httpx.Client
    redis: Redis
    job: dict[str, Any]
    took_s: list[float] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Tell where it listens."""
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    @property
    def image(self) -> dict[str, Any]:
        """Show Ann's image."""
        return dict(self.job["images"][0])

    def headers(self, who: str = "ann") -> dict[str, str]:
        """Show somebody's token, or none."""
        return {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}

    def ask(self, method: str, path: str, who: str = "ann", **more: Any) -> httpx.Response:
        """Ask as somebody."""
        headers = self.headers(who) | dict(more.pop("headers", {}))
        return self.client.request(method, path, headers=headers, **more)

    def play(self, case: Case) -> httpx.Response:
        """Make the request of a case."""
        names = {"IMAGE": self.image["id"], "ID": self.job["id"], "TOKEN": self.tokens["ann"]}
        path = case.path
        for name, value in names.items():
            path = path.replace(name, value)
        answer = self.ask(case.method, path, case.who, headers=case.headers, content=case.body)
        self.took_s.append(answer.elapsed.total_seconds())
        return answer

    def keys(self) -> set[str]:
        """List all keys in Redis but for those that count requests, and those of MCP sessions."""
        keys = {key for key in map(str, self.redis.scan_iter(count=1000)) if not key.startswith(RATES)}
        return {key for key in keys if not key.endswith(SESSIONS)}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Make sure that nothing new is in Redis afterwards."""
        before = self.keys()
        yield
        if new := sorted(self.keys() - before):
            raise AssertionError(f"new in Redis: {new}")


@asynccontextmanager
async def open_gateway(folder: Path, redis: RealRedis) -> AsyncIterator[Gateway]:
    """Start it; a worker makes Ann's image and is gone again."""
    async with Simulator(seconds=0) as simulator:
        stack = Stack(folder, redis, simulator)
        try:
            lay(folder / "workspace")
            (temporary := folder / "temporary").mkdir()
            tokens = make_tokens(stack)
            await stack.start_worker()
            url = await stack.start_gateway(HOME=str(folder), TMPDIR=str(temporary), **PLENTY)
            with httpx.Client(base_url=url, timeout=30) as client:
                made = await asyncio.to_thread(make_image, client, tokens["ann"])
                stack.workers[0].terminate()
                stack.workers[0].wait()
                with Redis.from_url(redis.url, decode_responses=True) as direct:
                    yield Gateway(stack=stack, url=url, tokens=tokens, client=client, redis=direct, job=made)
        finally:
            stack.stop()


def make_image(client: httpx.Client, token: str) -> dict[str, Any]:
    """Have a job done while the simulator's loop runs."""
    headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=30"}
    answer = client.post("/v1/jobs", json={"prompt": PROMPT}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def make_tokens(stack: Stack) -> dict[str, str]:
    """Make a token for everybody: of some rights, of all, of none any more."""
    tokens = {name: stack.token(name) for name in ("ann", "bob", "carl")}
    tokens["bot"] = stack.token("bot", rights=list(Right))
    tokens["reader"] = stack.token("reader", rights=[Right.READ])
    tokens["late"] = Tokens(stack.settings().tokens_path).create("late", expires_in_s=-1)
    return tokens
