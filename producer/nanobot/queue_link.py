"""The link between one nanobot and the queue: found, told in nanobot's log, opened, and found anew when it changes."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nanobot.agent.tools.base import ToolResult
from nanobot.agent.tools.context import current_request_context
from nanobot.config.loader import get_config_path
from nanobot.runtime_context import RuntimeContextBlock, wrap_runtime_context_lines
from nanobot.utils.artifacts import generated_image_tool_result

from contract.errors.exceptions import DarkroomError
from producer.chat.turn import Turn
from producer.nanobot.log import say
from producer.nanobot.message_bus import MessageBusObserver
from producer.nanobot.switch import Queue, find_queue, told_queue

if TYPE_CHECKING:
    from producer.chat.factory import ChatRuntime
    from producer.chat.image_requests import ChatAnswer, ImageRequests

try:
    from nanobot.channels.notification_routes import notification_metadata
except ImportError:  # nanobot 0.3.0: what belongs to a thread goes into its chat

    def notification_metadata(channel: str, source: Mapping[str, Any]) -> dict[str, Any]:
        """Keep nothing of where in a chat a message came from."""
        return {}


MEMO_S = 0.5  # a turn does not wait longer to hear what was sent meanwhile
RETIRE_S = 900.0  # no tool waits for longer

logger = logging.getLogger(__name__)


class Link:
    """What the tools of one nanobot share; nothing is opened before somebody needs it."""

    def __init__(self, bus: Any, sessions: Any) -> None:
        self.queue: Queue | None = None
        self._gateway = MessageBusObserver(bus, sessions, beat=self._beat)
        self._has_looked = False
        self._registry: Any = None
        self._tool: Any = None
        self._with_queue: Sequence[Any] = ()
        self._is_withdrawn = False
        self._opened: ChatRuntime | None = None
        self._opening = asyncio.Lock()
        self._working: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    def serve(self, registry: Any, tool: Any, *, with_queue: Sequence[Any]) -> None:
        """Offer a tool in a registry from now on, and some more while there is a queue."""
        self._registry, self._tool, self._with_queue = registry, tool, with_queue
        self._is_withdrawn = False

    def offer(self) -> None:
        """Register the tools that work now; what the model is told of them is asked for anew."""
        if self._registry is None:
            return
        if not self._is_withdrawn:
            self._registry.register(self._tool)
        for tool in self._with_queue:
            if self.queue is None or self._is_withdrawn:
                self._registry.unregister(tool.name)
            else:
                self._registry.register(tool)

    def withdraw(self) -> None:
        """Offer nothing any more; what was ordered is still sent."""
        self._is_withdrawn = True
        self.offer()

    def look(self) -> Queue | None:
        """Look for the queue; when that has changed, say so and offer what works."""
        config = Path(get_config_path())
        queue = find_queue(config)
        if self._has_looked and queue == self.queue:
            return queue
        if has_changed := self._has_looked:
            self.renew()
        self._has_looked, self.queue = True, queue
        if not self._is_withdrawn:
            say(told_queue(queue, config))
        if has_changed:
            self.offer()
        return queue

    def renew(self) -> None:
        """Look for the queue and open it anew for what comes; tools that are waiting keep their connections."""
        self._has_looked = False
        if self._working is not None:
            self._working.cancel()
            self._working = None
        if self._opened is not None:
            retiring = asyncio.create_task(_retire(self._opened))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
            self._opened = None

    async def ask(self, question: Callable[[ImageRequests, Turn], Awaitable[ChatAnswer]]) -> str:
        """Ask the reception something for the turn that is on now, and answer as tools do."""
        try:
            opened = await self._open()
        except DarkroomError as error:
            return _error(f"Error: {error.detail}")
        answer = await question(opened.image_requests, self._turn())
        return _error(answer.text) if answer.is_error else answer.text

    async def remind(self, request: Any) -> Any:
        """Tell the model what was sent into its chat since its last turn, if that can be known at once."""
        self.look()
        if self._opened is None:
            return None
        session = request.session_key or f"{request.channel}:{request.chat_id}"
        with suppress(DarkroomError, TimeoutError):
            async with asyncio.timeout(MEMO_S):
                notes = await self._opened.outbox.notes(session)
            return RuntimeContextBlock("darkroom", wrap_runtime_context_lines(notes)) if notes else None
        return None

    def _turn(self) -> Turn:
        """Read sender and chat from nanobot's context."""
        request = current_request_context()
        if request is None:  # somebody calls the tool without a chat
            return Turn(channel="direct", chat_id="direct", sender_id="", session="direct")
        return Turn(
            channel=request.channel,
            chat_id=request.chat_id,
            sender_id=request.sender_id or "",
            session=request.session_key or f"{request.channel}:{request.chat_id}",
            id=request.turn_id or request.message_id,
            thread=notification_metadata(request.channel, request.metadata),
            hears_later=self._gateway.reaches(request.channel),
        )

    def _beat(self) -> None:
        """Look for the queue while the gateway runs, and let the postman work as soon as there is one."""
        if self.look() is not None and self._working is None:
            self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            await (await self._open()).late_delivery.work()
        except DarkroomError as error:
            logger.warning("images that end later cannot be sent: %s", error.detail)

    async def _open(self) -> ChatRuntime:
        async with self._opening:
            if self._opened is not None:
                return self._opened
            opening = await asyncio.to_thread(importlib.import_module, "producer.chat.factory")
            how = {"surroundings": self._gateway, "result": generated_image_tool_result}
            opened: ChatRuntime = await asyncio.to_thread(opening.open_image_requests, Path(get_config_path()), **how)
            self._opened = opened
            return opened


async def _retire(opened: ChatRuntime) -> None:
    """Let an old way to the queue end what it has begun, but send no messages of its own accord."""
    await opened.late_delivery.close()
    await asyncio.sleep(RETIRE_S)
    await opened.close()


_links: WeakKeyDictionary[Any, Link] = WeakKeyDictionary()  # by message bus: one for each nanobot


def link_of(bus: Any, sessions: Any) -> Link:
    """Find the link of a nanobot, or make it."""
    if bus not in _links:
        _links[bus] = Link(bus, sessions)
    return _links[bus]


def _error(text: str) -> str:
    error: str = ToolResult.error(text)
    return error
