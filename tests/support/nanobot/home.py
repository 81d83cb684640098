"""A nanobot with Darkroom in it: one config.json for both, a worker, a simulated provider, and a model that paints."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.catalogue.script import Step
from simulator.providers.order import Order
from simulator.server.server import Simulator

from contract.jobs.job import Job
from contract.redis.client import open_redis
from tests.support.nanobot.chat import Chat, Frame
from tests.support.nanobot.gateway import Nanobot, merged
from tests.support.nanobot.model import Asked, Call, Model, Said, Say
from tests.support.nanobot.venv import Venv
from tests.support.stack.redis_server import running_redis
from tests.support.stack.stack import Stack

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = json.loads(
    (DOCS / "howto/nanobot.md").read_text().split("\n## With Darkroom inside")[1].split("```json\n")[1].split("```")[0]
)
SKILLS = DOCS / "skills"
SIDE = 96  # pixels, enlarged to what is asked for: drawing larger ones takes time
WAIT_S = 2.5  # of a tool for its job
KNOBS = {
    "DARKROOM_BREAKER_SECONDS": "0.1",
    "DARKROOM_LEASE_SECONDS": "5",
    "DARKROOM_TOOL_WAIT_SECONDS": str(WAIT_S),
}
LATER = "It is being made."


@dataclass(frozen=True)
class Home:
    """Where nanobot and Darkroom live together."""

    stack: Stack
    nanobot: Nanobot
    model: Model
    simulator: Simulator

    async def jobs(self, chat: Chat) -> list[Job]:
        """List the jobs of a chat, the newest first."""
        async with self.stack.client(owner_of(chat)) as client:
            return await client.list()

    async def all_is_sent(self) -> None:
        """Wait until nanobot's mailbox is empty."""
        async with open_redis(self.stack.redis.url) as redis, asyncio.timeout(20):
            while [box async for box in redis.scan_iter("darkroom:mail:*")]:  # a sorted set without members is gone
                await asyncio.sleep(0.05)

    def history(self) -> list[str]:
        """List what nanobot has kept of all chats: the words of each message."""
        lines = [line for path in self.nanobot.folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
        return [str(message.get("content")) for message in map(json.loads, lines) if message.get("role") == "assistant"]

    async def called(self, prompt: str) -> None:
        """Wait until the provider is asked."""
        async with asyncio.timeout(20):
            while not any(prompt in call.prompt for call in self.simulator.ledger):
                await asyncio.sleep(0.02)

    async def is_over(self, job: Job) -> Job:
        """Wait until a job is over."""
        async with self.stack.client(job.owner) as client:
            return await client.wait(job.id, timeout_s=30)


def has_picture(frame: Frame) -> bool:
    """Say whether a message came with pictures."""
    return frame.is_message and bool(frame.media)


def owner_of(chat: Chat) -> str:
    """Name whose jobs those of a chat are."""
    return f"websocket:{chat.id}:{chat.client_id}"


def paint(asked: Asked) -> Said:
    """Do what a chat model would: a line of the user is a picture; what comes later is left to come."""
    if not asked.results:
        return Call([("generate_image", order(line, asked)) for line in asked.user.split("\n")])
    answers = [result for result in asked.results if isinstance(result, dict)]
    paths = [artifact["path"] for answer in answers for artifact in answer.get("artifacts", [])]
    if paths and not any(str(result).startswith("Message sent") for result in asked.results):
        return Call([("message", {"content": "Here it is.", "media": paths})])
    errors = [str(result) for result in asked.results if str(result).startswith("Error")]
    later = [answer for answer in answers if answer.get("status") in ("queued", "running")]
    return Say(" ".join(errors) if errors else LATER if later else "Done.")


def order(line: str, asked: Asked) -> dict[str, Any]:
    """Read a wish; one for something warmer is an edit of what the context tells of, else of the last picture."""
    if "oblong" in line:
        return {"prompt": line, "aspect_ratio": "7:99"}
    if "warmer" not in line:
        return {"prompt": line, **({"aspect_ratio": "16:9"} if "wide" in line else {})}
    told = [json.loads(found) for found in asked.context.splitlines() if found.startswith('{"event"')]
    paths = [path for memo in told for path in memo["artifact_paths"]] or asked.all_paths
    return {"prompt": line, "reference_images": paths[-1:]}


@asynccontextmanager
async def open_home(folder: Path, venv: Venv, **knobs: str) -> AsyncIterator[Home]:
    """Start all of it, and end it."""
    with running_redis() as redis:
        async with Simulator(seconds=0.02, side=SIDE) as simulator, Model(paint) as model:
            simulator.improvise(_small)
            stack = Stack(folder, redis, simulator)
            stack.environment |= KNOBS | {"HOME": str(folder)} | knobs
            both = json.loads(stack.config.read_text())
            del both["agents"]  # nanobot's workspace is the one
            nanobot = Nanobot(folder, venv, model, merged(EXAMPLE, both), stack.environment)
            shutil.copytree(SKILLS, folder / "workspace" / "skills")
            try:
                await stack.start_worker()
                async with nanobot:
                    yield Home(stack, nanobot, model, simulator)
                assert "Traceback" not in nanobot.log
                assert model.errors == []
            finally:
                stack.stop()


def _small(order: Order) -> Step:
    if "late failure" in order.prompt:
        return Step("status", {"status": 400, "failure": "refusal", "seconds": 4}, "status")
    return Step(name="ok")
