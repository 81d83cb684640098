"""Takes a generation call from its record to its answer.

Open a record, read the order, check the references, take a step from the script, play it while watching
for a hang-up, finish the record.
"""

import asyncio
import uuid
from collections.abc import Iterable, Mapping

from simulator import aihubmix
from simulator.behaviour import BEHAVIOURS, Exchange, play
from simulator.connection import Request
from simulator.draw import UnreadableReference, check_reference
from simulator.ledger import Ledger
from simulator.order import Dialect, Order, Rejected
from simulator.reply import Reply
from simulator.script import Script
from simulator.studio import PollDesk, Studio


class Stage:
    """Holds what all calls share: script, studio, polled tasks and ledger."""

    def __init__(self, *, seconds: float) -> None:
        self.base_url = ""
        self.ledger = Ledger()
        self.studio = Studio(seconds=seconds)
        self.polls = PollDesk()
        self._script = Script(kinds=BEHAVIOURS, variants=aihubmix.VARIANTS)

    def direct(self, steps: Iterable[Mapping[str, object]], *, match: str, model: str, seconds: float | None) -> None:
        """Queue steps and set the usual latency, or raise ValueError."""
        self._script.add(steps, match=match, model=model)
        if seconds is not None:
            self.studio.seconds = seconds

    async def clear(self) -> None:
        """Forget scripts, records, files and tasks; calls under way go on."""
        self._script.clear()
        self.ledger.clear()
        self.studio.clear()
        await self.polls.clear()

    async def generate(self, dialect: Dialect, request: Request, reply: Reply) -> None:
        """Answer a generation call and keep the books."""
        call_id = uuid.uuid4().hex
        self.ledger.open(call_id, dialect.NAME, request)
        reply.headers = dialect.headers(call_id)
        try:
            async with reply.watched(lambda: self.ledger.abort(call_id)):
                await self._perform(dialect, request, reply, call_id)
        finally:
            self.ledger.finish(call_id, reply)

    async def _perform(self, dialect: Dialect, request: Request, reply: Reply, call_id: str) -> None:
        try:
            order = dialect.read(request, call_id)
            await _check_references(order)
        except Rejected as refusal:
            body = dialect.failure(refusal.status, refusal.message, refusal.code)
            await reply.json(refusal.status, body)
            return
        step = self._script.next_step(order)
        self.ledger.accept(order, step.kind)
        exchange = Exchange(
            order=order,
            step=step,
            dialect=dialect,
            reply=reply,
            ledger=self.ledger,
            studio=self.studio,
            polls=self.polls,
            base_url=self.base_url,
        )
        await play(exchange)


async def _check_references(order: Order) -> None:
    for reference in order.references:
        try:
            await asyncio.to_thread(check_reference, reference)
        except UnreadableReference:
            raise Rejected(400, "The reference is not a readable image", "invalid_image") from None
