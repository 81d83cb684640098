"""A Darkroom that the tests of a module share: a worker, a gateway as it is by default, and one that is in a hurry."""

from __future__ import annotations

import asyncio
import base64
import io
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from simulator.providers.ledger import Call
from simulator.server.server import Simulator

from contract.jobs.job import Job, JobState
from contract.redis.client import open_redis
from contract.store.keys import owner_key
from producer.tokens import Right
from tests.support.stack.redis_server import running_redis
from tests.support.stack.stack import Stack

MODEL = "openai/gpt-5.4-image-2"  # the default one
OTHER_MODEL = "google/gemini-3-pro-image"
MOST = 50  # accounts
SIDE = 96  # pixels, enlarged to what is asked for: drawing larger ones takes time
SQUARE = (1024, 1024)  # pixels of what is asked for by default
KNOBS = {"DARKROOM_MODELS": OTHER_MODEL, "DARKROOM_BREAKER_SECONDS": "0.1"}
IMPATIENT = {
    "DARKROOM_GRACE_SECONDS": "0.2",
    "DARKROOM_HEARTBEAT_SECONDS": "0.1",
    "DARKROOM_LINGER_SECONDS": "0.1",
    "DARKROOM_POLLING_LINGER_SECONDS": "2",
    "DARKROOM_TOOL_WAIT_SECONDS": "0.3",
}


class Account(NamedTuple):
    """Somebody without any jobs."""

    owner: str
    token: str


class SharedStack:
    """The addresses, and what can be seen from behind."""

    url = ""
    impatient_url = ""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.reader = stack.token("reader", rights=[Right.READ])
        self.service = stack.token("service", rights=list(Right))
        self._accounts = [Account(name, stack.token(name)) for name in (f"ann-{number}" for number in range(MOST))]

    async def start(self) -> None:
        """Start the worker and the gateways."""
        urls = self.stack.start_gateway(), self.stack.start_gateway(**IMPATIENT)
        self.url, self.impatient_url, _ = await asyncio.gather(*urls, self.stack.start_worker())

    def account(self) -> Account:
        """Hand out an account that nobody has used; gateways take a second to see a new one."""
        return self._accounts.pop()

    def calls(self, prompt: str) -> list[Call]:
        """List the provider's calls for a prompt."""
        return [call for call in self.stack.simulator.ledger if prompt in call.prompt]

    async def called(self, prompt: str) -> Call:
        """Wait until the provider is asked."""
        return await self._seen(prompt, lambda call: True)

    async def given_up(self, prompt: str) -> Call:
        """Wait until the provider's connection is closed."""
        return await self._seen(prompt, lambda call: call.aborted_by_client)

    async def jobs(self, owner: str) -> list[Job]:
        """List an owner's jobs."""
        async with self.stack.client(owner) as client:
            return await client.list()

    async def cancel(self, owner: str) -> None:
        """Cancel an owner's latest job."""
        async with self.stack.client(owner) as client:
            await client.cancel((await client.list())[0].id)

    async def forget_recent(self, owner: str) -> None:
        """Forget what an owner asked for of late, as time would."""
        async with open_redis(self.stack.redis.url) as redis:
            for key in [key async for key in redis.scan_iter(owner_key(owner, "recent:*"))]:
                await redis.delete(key)

    async def cancelled(self, owner: str) -> None:
        """Wait until an owner's only job is cancelled."""
        async with asyncio.timeout(10), self.stack.client(owner) as client:
            [job] = await client.list()
            assert (await client.wait(job.id)).state is JobState.CANCELLED

    async def _seen(self, prompt: str, is_it: Callable[[Call], bool]) -> Call:
        async with asyncio.timeout(10):
            while not (found := [call for call in self.calls(prompt) if is_it(call)]):
                await asyncio.sleep(0.02)
            return found[0]


@asynccontextmanager
async def open_shared_stack(folder: Path) -> AsyncIterator[SharedStack]:
    """Start everything, and stop it."""
    with running_redis() as redis:
        async with Simulator(seconds=0.02, side=SIDE) as simulator:
            stack = Stack(folder, redis, simulator)
            stack.environment |= KNOBS | {"HOME": str(folder)}
            try:
                shared_stack = SharedStack(stack)
                await shared_stack.start()
                yield shared_stack
                assert "Traceback" not in stack.logs("gateway")
            finally:
                stack.stop()


def fresh(words: str = "a red fox") -> str:
    """Make a prompt, or a name, that nobody else has."""
    return f"{words} {secrets.token_hex(6)}"


def opened(encoded: str) -> Image.Image:
    """Decode base64 to a picture."""
    return Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)))
