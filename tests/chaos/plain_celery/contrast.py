"""The same storm over a plain Celery worker: the checker has to find what that loses and does twice."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from random import Random

from kombu.exceptions import OperationalError
from redis.asyncio import Redis

from contract.jobs.ids import artifact_id
from contract.jobs.job import Image, Job, JobEvent, JobState, Progress, moment
from contract.jobs.request import JobRequest
from contract.store.celery_app import broker_url
from tests.chaos.arena.arena import Arena
from tests.chaos.arena.journal import Journal
from tests.chaos.arena.orders import Order, read_orders
from tests.chaos.plain_celery.control import completed, control_app, submit
from tests.chaos.verdict.evidence import Evidence, Found

VISIBILITY_S = 30  # longer than most tasks: what runs twice does so because of a kill


@dataclass(kw_only=True)
class Contrast(Arena):
    """An arena whose workers and clients have nothing but Celery."""

    ids: dict[str, str] = field(default_factory=dict)  # the task of each order
    _clients: list[asyncio.Task[None]] = field(default_factory=list)

    def _hire(self) -> None:
        (self.folder / "images").mkdir()
        environment = {
            "CONTROL_BROKER": broker_url(self.redis.url),
            "CONTROL_CONCURRENCY": self.knobs["DARKROOM_CONCURRENCY"],
            "CONTROL_FOLDER": str(self.folder / "images"),
            "CONTROL_VISIBILITY_SECONDS": str(VISIBILITY_S),
            "CONTROL_PROVIDER": f"http://127.0.0.1:{self.provider_link.port}/api/v1",
        }
        for index in range(self.workers):
            self._enlist(f"worker-{index}", "-m", "tests.chaos.plain_celery.control", **environment)
        dice = Random(f"ids {self.seed}")
        for order in read_orders(self.folder / "orders.jsonl"):
            self.ids[order.key] = str(uuid.UUID(int=dice.getrandbits(128), version=4))
            self._clients.append(asyncio.create_task(self._bring(order)))

    async def _bring(self, order: Order) -> None:
        """Hand an order in, as often as needed, with the same task id."""
        await asyncio.sleep(max(0.0, self.started + order.at - time.time()))
        journal, began, job_id = Journal(self.folder / "journal.jsonl"), time.monotonic(), self.ids[order.key]
        while True:
            try:
                app = control_app(broker_url(self.redis.url))
                await asyncio.to_thread(submit, app, job_id=job_id, prompt=order.prompt, count=order.count)
            except OperationalError:
                await asyncio.sleep(0.2)
            else:
                journal.note(order.key, "acknowledged", job_id=job_id, seconds=time.monotonic() - began)
                return

    async def settle(self, *, within_s: float) -> bool:
        """Wait until no task is left, or nothing has been completed for long."""
        await asyncio.gather(*self._clients)
        images, last, until = self.folder / "images", -1, time.monotonic() + within_s
        async with Redis.from_url(self.redis.url) as client:
            while time.monotonic() < until and len(completed(images)) != last:
                last = len(completed(images))
                await asyncio.sleep(1.5 * VISIBILITY_S)
            return not await client.llen("celery") and not await client.hlen("unacked")

    async def gather(self) -> Evidence:
        """Put what the control left into the words of the table."""
        await asyncio.gather(*(member.stop() for member in self.crew))
        orders = read_orders(self.folder / "orders.jsonl")
        done: dict[str, list[list[str]]] = {}
        for job_id, names in completed(self.folder / "images"):
            done.setdefault(job_id, []).append(names)
        found = [_found(order, self.ids[order.key], done.get(self.ids[order.key], [])) for order in orders]
        return Evidence(
            orders=orders,
            entries=Journal(self.folder / "journal.jsonl").entries(),
            found=found,
            made=(),
            pairs={image.id: each.job.id for each in found for image in each.job.images},
            orphans=(),
        )


def _found(order: Order, job_id: str, done: list[list[str]]) -> Found:
    count = sum(map(len, done))
    job = Job(
        id=job_id,
        state=JobState.SUCCEEDED if done else JobState.QUEUED,
        owner=order.owner,
        conversation=None,
        created_at=moment(0),
        started_at=None,
        ended_at=None,
        request=JobRequest(prompt=order.prompt, count=order.count, aspect_ratio="1:1", image_size="1K"),
        position=None,
        progress=Progress(done=min(count, order.count), count=order.count, message=""),
        images=tuple(_image(job_id, index) for index in range(count)),
        attempts=(),
        degraded=None,
        cost_usd=None,
        error=None,
    )
    ends = tuple(JobEvent(type="succeeded", at=moment(0)) for _ in done)
    return Found(key=order.key, job=job, events=ends, calls=0, attempts=frozenset())


def _image(job_id: str, index: int) -> Image:
    name = artifact_id(job_id, index)
    size = {"width": 96, "height": 96, "bytes": 1}
    return Image(id=name, index=index, path=name, mime="image/png", sha256="", sidecar=name, **size)
