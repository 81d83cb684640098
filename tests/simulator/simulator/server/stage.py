"""Takes a generation call from its record to its answer.

Open a record, read the order, check the references, take a step from the script, play it while watching
for a hang-up, finish the record.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping

from simulator.catalogue.behaviour import BEHAVIOURS, play
from simulator.catalogue.grammar import read_steps
from simulator.catalogue.moods import Moods
from simulator.catalogue.script import Script, Step
from simulator.catalogue.table import CATALOGUE
from simulator.pictures.draw import UnreadableReference, check_reference
from simulator.pictures.studio import Studio
from simulator.providers import aihubmix, openrouter
from simulator.providers.ledger import Ledger
from simulator.providers.order import Dialect, Order, Rejected
from simulator.providers.polls import PollDesk
from simulator.server.connection import Request
from simulator.server.early import EARLY
from simulator.server.exchange import Exchange
from simulator.server.ports import Ports
from simulator.server.reply import Reply


class Stage:
    """Holds what all calls share: script, studio, polled tasks, moods, extra ports and ledger."""

    def __init__(self, *, seconds: float, host: str, side: int = 0) -> None:
        self.url = ""
        self.tls_url = ""
        self.ledger = Ledger()
        self.studio = Studio(seconds=seconds, side=side)
        self.polls = PollDesk()
        self.moods = Moods()
        self.ports = Ports(host)
        variants = aihubmix.VARIANTS | openrouter.PLACES.keys()
        self._script = Script(kinds=BEHAVIOURS, variants=variants, catalogue=CATALOGUE, early=EARLY)

    def direct(
        self, steps: str | Iterable[Mapping[str, object]], *, match: str, model: str, seconds: float | None
    ) -> int:
        """Queue steps, set the usual latency and return how many steps there were, or raise ValueError."""
        parsed = read_steps(steps) if isinstance(steps, str) else list(steps)
        self._script.add(parsed, match=match, model=model)
        if seconds is not None:
            self.studio.seconds = seconds
        return len(parsed)

    def improvise(self, choose: Callable[[Order], Step]) -> None:
        """Let a function choose what happens to calls that nobody spoke about."""
        self._script.otherwise = choose

    async def clear(self) -> None:
        """Forget scripts, records, files, moods and tasks; calls under way go on."""
        self._script.clear()
        self.ledger.clear()
        self.studio.clear()
        self.moods.clear()
        await self.polls.clear()

    async def close(self) -> None:
        """Close what is open besides the usual ports."""
        await self.ports.close()
        await self.polls.clear()

    async def generate(self, dialect: Dialect, request: Request, reply: Reply) -> None:
        """Answer a generation call and keep the books."""
        call_id = self._open(dialect, request, reply)
        try:
            async with reply.watched(lambda: self.ledger.abort(call_id)):
                await self._perform(dialect, request, reply, call_id)
            if reply.gone.is_set():
                self.ledger.abort(call_id)
        finally:
            self.ledger.finish(call_id, reply)

    async def generate_early(self, dialect: Dialect, head: Request, reply: Reply) -> bool:
        """Play the step that must begin before the call is wholly read, or return False if there is none."""
        step = self._script.early_step(head.path, head.body)
        if step is None:
            return False
        call_id = self._open(dialect, head, reply)
        self.ledger.name(call_id, step.name)
        try:
            await EARLY[step.kind](dialect, reply, step)
            if reply.gone.is_set():
                self.ledger.abort(call_id)
        finally:
            self.ledger.finish(call_id, reply)
        return True

    def _open(self, dialect: Dialect, request: Request, reply: Reply) -> str:
        call_id = uuid.uuid4().hex
        self.ledger.open(call_id, dialect.NAME, request)
        reply.headers = dialect.headers(call_id)
        return call_id

    async def _perform(self, dialect: Dialect, request: Request, reply: Reply, call_id: str) -> None:
        try:
            order = dialect.read(request, call_id)
            await _check_references(order)
            step = self._next_step(order)
        except Rejected as refusal:
            body = dialect.failure(refusal.status, refusal.message, refusal.code)
            await reply.json(refusal.status, body)
            return
        self.ledger.accept(order, step.name)
        exchange = Exchange(
            request=request,
            order=order,
            step=step,
            dialect=dialect,
            reply=reply,
            ledger=self.ledger,
            studio=self.studio,
            polls=self.polls,
            moods=self.moods,
            url=self.url,
            tls_url=self.tls_url,
        )
        await play(exchange)

    def _next_step(self, order: Order) -> Step:
        try:
            return self._script.next_step(order)
        except ValueError as error:
            raise Rejected(400, str(error), "model_not_found") from None


async def _check_references(order: Order) -> None:
    for reference in order.references:
        try:
            await asyncio.to_thread(check_reference, reference)
        except UnreadableReference:
            raise Rejected(400, "The reference is not a readable image", "invalid_image") from None
