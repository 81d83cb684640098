"""`python -m tests.chaos.arena.gateway config.json orders journal`: a gateway that hands orders in, and may be killed.

After a restart it goes on with the orders that have no answer yet, with the same idempotency keys, as a careful client
does; it exits when each order has its answer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from contract.errors.exceptions import Unavailable
from contract.settings.loader import Settings, load_settings
from producer.client.client import Darkroom
from tests.chaos.arena.journal import Journal
from tests.chaos.arena.orders import Order, read_orders

AT_ONCE = 24
PAUSE_S = 0.2


class Gateway:
    """Brings orders to their answers."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._clients: dict[str, Darkroom] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    async def serve(self, orders: list[Order], *, started: float) -> None:
        """Hand in what has no answer yet, each order at its time."""
        entries = self._journal.entries()
        ids = {entry.key: entry.job_id for entry in entries if entry.kind == "acknowledged"}
        cancelled = {entry.key for entry in entries if entry.kind in ("cancelled", "too_late")}
        tried = {entry.key for entry in entries}
        async with asyncio.TaskGroup() as group:
            for order in orders:
                if order.key in ids:
                    if order.cancel_after is not None and order.key not in cancelled:
                        group.create_task(self._cancel(order, ids[order.key]))
                elif not (order.is_hasty and order.key in tried):
                    group.create_task(self._bring(order, started))
        for client in self._clients.values():
            await client.__aexit__(None, None, None)

    async def _bring(self, order: Order, started: float) -> None:
        await asyncio.sleep(max(0.0, started + order.at - time.time()))
        while True:
            began = time.monotonic()
            try:
                async with self._places:
                    job = await self._client(order).submit(
                        prompt=order.prompt,
                        count=order.count,
                        image_size=order.image_size,
                        idempotency_key=order.key,
                    )
            except Unavailable:
                self._journal.note(order.key, "unknown", seconds=time.monotonic() - began)
                if order.is_hasty:
                    return
                await asyncio.sleep(PAUSE_S)
                continue
            self._journal.note(order.key, "acknowledged", job_id=job.id, seconds=time.monotonic() - began)
            break
        if order.cancel_after is not None:
            await asyncio.sleep(order.cancel_after)
            await self._cancel(order, job.id)

    async def _cancel(self, order: Order, job_id: str) -> None:
        while True:
            began = time.monotonic()
            try:
                _, was_possible = await self._client(order).cancel(job_id)
            except Unavailable:
                await asyncio.sleep(PAUSE_S)
                continue
            seconds = time.monotonic() - began
            self._journal.note(order.key, "cancelled" if was_possible else "too_late", job_id=job_id, seconds=seconds)
            return

    def _client(self, order: Order) -> Darkroom:
        return self._clients.setdefault(order.owner, Darkroom(self._settings, owner=order.owner))


async def main(config: Path, orders: Path, journal: Path, started: float) -> None:
    """Serve all orders of a file."""
    await Gateway(load_settings(config), Journal(journal)).serve(read_orders(orders), started=started)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])))
