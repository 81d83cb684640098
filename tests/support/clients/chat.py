"""A reception and a postman in a chat that only listens, with a test that works instead of a worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import DarkroomError
from contract.jobs.ids import artifact_id
from contract.jobs.job import JobState
from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from contract.store.keys import EVENTS_CHANNEL
from producer.chat.factory import ChatRuntime, open_image_requests
from producer.chat.turn import Route, Turn
from tests.support.factories.images import picture
from tests.support.factories.job_store import JobStore
from tests.support.factories.sidecars import AS_ASKED, a_sidecar
from tests.support.store.table import claimed

CHATTY = Turn(
    channel="websocket",
    chat_id="1",
    sender_id="ann",
    session="websocket:1",
    id="turn",
    thread={"t": 1},
    hears_later=True,
)


def render(artifacts: Sequence[Mapping[str, Any]]) -> str:
    """Write artifacts as nanobot's own tool would."""
    return json.dumps({"artifacts": list(artifacts), "next_step": "Show them."})


@dataclass
class Chat:
    """What nanobot's gateway is to reception and postman."""

    channels: set[str] = field(default_factory=lambda: {"websocket"})
    sent: list[tuple[Route, str, list[str]]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    works_on: asyncio.Event = field(default_factory=asyncio.Event)
    has_answered: asyncio.Event = field(default_factory=asyncio.Event)
    is_broken: bool = False

    def reaches(self, channel: str) -> bool:
        """Tell whether a channel is there."""
        return channel in self.channels

    async def goes_on(self) -> None:
        """Wait until the test says that the process works on."""
        await self.works_on.wait()

    async def after_turn(self, route: Route) -> None:
        """Wait until the test says that the model has answered."""
        await self.has_answered.wait()

    async def send(self, route: Route, text: str, media: Sequence[str]) -> bool:
        """Keep what is sent."""
        self.sent.append((route, text, list(media)))
        self.news.set()
        return not self.is_broken

    async def hears(self, count: int = 1) -> list[tuple[Route, str, list[str]]]:
        """Wait until so much was sent."""
        async with asyncio.timeout(10):
            while len(self.sent) < count:
                self.news.clear()
                await self.news.wait()
        return self.sent


class Hand:
    """Does a worker's work by hand."""

    def __init__(self, store: JobStore, media: Path) -> None:
        self.store = store
        self._media = media

    async def develop(
        self,
        job_id: str,
        *,
        count: int = 1,
        degraded: str | None = None,
        files: bool = True,
        ending: JobState | None = JobState.SUCCEEDED,
    ) -> None:
        """Make a job's images and end it, or leave it running."""
        lease = await claimed(self.store, job_id)
        for index in range(count):
            await self.store.add_image(lease, self._write(job_id, index, degraded, files=files).image())
        if ending is not None:
            await self.store.end(lease, ending)

    async def fail(self, job_id: str, code: str = "content_refused") -> None:
        """End a job without images."""
        lease = await claimed(self.store, job_id)
        await self.store.end(lease, JobState.FAILED, DarkroomError(KINDS[code]))

    async def chat_messages(self) -> list[str]:
        """List the jobs that have a message in any mailbox."""
        boxes = [box async for box in self.store.redis.scan_iter("darkroom:mail:*")]
        return [str(job_id) for box in boxes for job_id in await self.store.redis.zrange(box, 0, -1)]

    async def handed_in(self, number: int = 1) -> list[str]:
        """Wait until so many jobs were handed in; their ids, the oldest first."""
        async with asyncio.timeout(10):
            while len(ids := await self.store.redis.zrange("darkroom:queued", 0, -1)) < number:
                await asyncio.sleep(0.01)
        return [str(job_id) for job_id in ids]

    async def is_awaited(self) -> None:
        """Wait until somebody listens for news of jobs."""
        async with asyncio.timeout(10):
            while not dict(await self.store.redis.pubsub_numsub(EVENTS_CHANNEL)).get(EVENTS_CHANNEL):
                await asyncio.sleep(0.01)

    def _write(self, job_id: str, index: int, degraded: str | None, *, files: bool) -> Sidecar:
        folder = self._media / "generated" / "2026-11-27"
        folder.mkdir(parents=True, exist_ok=True)
        name = artifact_id(job_id, index)
        data = picture(8)
        sidecar = a_sidecar(
            data,
            id=name,
            path=str(folder / f"{name}.png"),
            job_id=job_id,
            index=index,
            width=8,
            height=8,
            delivered=AS_ASKED.model_copy(update={"image_size": "512"}) if degraded else AS_ASKED,
            degraded=degraded,
        )
        if files:
            Path(sidecar.path).write_bytes(data)
            Path(sidecar.path).with_suffix(".json").write_text(sidecar.model_dump_json())
        return sidecar


@asynccontextmanager
async def nanobot(
    folder: Path, redis_url: str, chat: Chat, *, wait_s: float = 0.0
) -> AsyncIterator[tuple[ChatRuntime, Hand]]:
    """Open the reception of a nanobot in a folder."""
    config = folder / "config.json"
    providers = {"openrouter": {"apiKey": "key"}}
    config.write_text(json.dumps({"providers": providers, "agents": {"defaults": {"workspace": str(folder)}}}))
    (folder / "darkroom.env").write_text(f"DARKROOM_REDIS_URL={redis_url}\nDARKROOM_TOOL_WAIT_SECONDS={wait_s}\n")
    opened = await asyncio.to_thread(open_image_requests, config, surroundings=chat, result=render)
    async with open_redis(redis_url) as client:
        yield opened, Hand(JobStore(client, Doorbell()), folder / "media")
    await opened.close()
