"""nanobot's gateway, as a tool inside it sees it: is it there, does it go on, and the way into its channels.

A tool is made before the event loop runs, and is told nothing of channels. But the code that sends what nanobot has to
say takes it from the message bus, once a second at least: that is where this module listens. If the channel manager
comes for a message, this process is a gateway and its channels can be reached; a command line never has one.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from nanobot.bus.events import OutboundMessage

from producer.chat.turn import Route

PAUSES_S = (1.0, 2.0)  # between attempts to send
ANSWER_S = 30.0  # for the model to end its turn
START_S = 10.0  # for a channel to start
CHANNEL_MANAGER = "nanobot.channels.manager"
_ANSWERS = frozenset({"NoneType", "StreamedResponseEvent", "StreamEndEvent", "TurnEndEvent"})  # kinds of events

logger = logging.getLogger(__name__)


class MessageBusObserver:
    """The gateway around us, unknown until its channel manager shows itself."""

    def __init__(self, bus: Any, sessions: Any, *, beat: Callable[[], None]) -> None:
        self._sessions = sessions
        self._on_beat = beat
        self._manager: Any = None
        self._beat = asyncio.Event()
        self._answered: dict[tuple[str, str], asyncio.Event] = {}
        consume: Callable[[], Awaitable[Any]] = bus.consume_outbound

        def consume_outbound() -> Awaitable[Any]:
            self._meet(sys._getframe(1).f_locals.get("self"))
            return self._overhear(consume)

        bus.consume_outbound = consume_outbound

    def reaches(self, channel: str) -> bool:
        """Tell whether something can be sent over a channel by itself."""
        return self._manager is not None and self._manager.get_channel(channel) is not None

    async def goes_on(self) -> None:
        """Return once it is known that this process works on: never, if it is about to end."""
        await self._beat.wait()

    async def after_turn(self, route: Route) -> None:
        """Return when the model has answered in a chat, or has taken very long to."""
        answered = self._answered.setdefault((route.channel, route.chat_id), asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await answered.wait()

    async def send(self, route: Route, text: str, media: Sequence[str]) -> bool:
        """Send something into a chat and note it in its session; tell whether the channel has taken it."""
        message = OutboundMessage(
            channel=route.channel, chat_id=route.chat_id, content=text, media=list(media), metadata=dict(route.thread)
        )
        for pause_s in (*PAUSES_S, None):
            try:
                await (await self._running(route.channel)).send(message)
                break
            except Exception as error:  # noqa: BLE001 - whatever a channel raises; its text may hold what was to be sent
                logger.warning("a message could not be sent over %s: %s", route.channel, type(error).__name__)
            if pause_s is None:
                return False
            await asyncio.sleep(pause_s)
        self._note(route, text, media)
        return True

    async def _running(self, name: str) -> Any:
        """Wait for a channel that is still starting: before, some take everything and send nothing."""
        async with asyncio.timeout(START_S):
            while (channel := self._manager.get_channel(name)) is None or not channel.is_running:
                await asyncio.sleep(0.2)
        return channel

    def _meet(self, caller: object) -> None:
        if type(caller).__module__ != CHANNEL_MANAGER:
            return
        self._beat.set()
        self._beat = asyncio.Event()
        self._manager = caller
        self._on_beat()

    async def _overhear(self, consume: Callable[[], Awaitable[Any]]) -> Any:
        message = await consume()
        event = getattr(message, "event", None)
        if type(event).__name__ in _ANSWERS and not getattr(event, "resuming", False):
            answered = self._answered.pop((message.channel, message.chat_id), None)
            if answered is not None:
                answered.set()
        return message

    def _note(self, route: Route, text: str, media: Sequence[str]) -> None:
        """Put what was sent into the chat's history, as nanobot does with what its message tool sends."""
        try:
            session = self._sessions.get_or_create(route.session)
            session.add_message("assistant", text, _channel_delivery=True, media=list(media))
            self._sessions.save(session)
        except Exception as error:  # noqa: BLE001 - it was sent; its text may hold what was
            logger.warning("a message could not be noted in its session: %s", type(error).__name__)
