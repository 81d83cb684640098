"""nanobot's tools for images, over the queue: `generate_image`, `image_job_status`, `cancel_image_job`.

nanobot finds them by the entry points of `nanobot.tools` and imports this module while it starts, so nothing heavy
is imported here. They are there if a queue is: DARKROOM_REDIS_URL is set or a stack runs from nanobot's
configuration, and nanobot's own tool of the same name is switched off.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nanobot.agent.tools.base import Tool, ToolResult, tool_parameters
from nanobot.agent.tools.context import current_request_context
from nanobot.agent.tools.image_generation import ImageGenerationTool
from nanobot.agent.tools.schema import NumberSchema, StringSchema, tool_parameters_schema
from nanobot.config.loader import get_config_path
from nanobot.runtime_context import RuntimeContextBlock, wrap_runtime_context_lines
from nanobot.utils.artifacts import generated_image_tool_result

from contract.errors import DarkroomError
from producer.chat.turn import Turn
from producer.nanobot_gateway import Gateway
from producer.running import find_running

if TYPE_CHECKING:
    from producer.chat.opening import Opened
    from producer.chat.reception import Answer, Reception

try:
    from nanobot.channels.notification_routes import notification_metadata
except ImportError:  # nanobot 0.3.0: what belongs to a thread goes into its chat

    def notification_metadata(channel: str, source: Mapping[str, Any]) -> dict[str, Any]:
        """Keep nothing of where in a chat a message came from."""
        return {}


MEMO_S = 0.5  # a turn does not wait longer to hear what was sent meanwhile
REDIS_URL = "DARKROOM_REDIS_URL"

logger = logging.getLogger(__name__)


class Plugin:
    """What the tools of one nanobot share; nothing is opened before somebody needs it."""

    def __init__(self, bus: Any, sessions: Any) -> None:
        self._gateway = Gateway(bus, sessions, started=self._begin)
        self._opened: Opened | None = None
        self._opening = asyncio.Lock()
        self._working: asyncio.Task[None] | None = None

    async def ask(self, question: Callable[[Reception, Turn], Awaitable[Answer]]) -> str:
        """Ask the reception something for the turn that is on now, and answer as tools do."""
        try:
            opened = await self._open()
        except DarkroomError as error:
            return _error(f"Error: {error.detail}")
        answer = await question(opened.reception, self._turn())
        return _error(answer.text) if answer.is_error else answer.text

    async def remind(self, request: Any) -> Any:
        """Tell the model what was sent into its chat since its last turn, if that can be known at once."""
        if self._opened is None:
            return None
        session = request.session_key or f"{request.channel}:{request.chat_id}"
        with suppress(DarkroomError, TimeoutError):
            async with asyncio.timeout(MEMO_S):
                memos = await self._opened.mailbox.memos(session)
            return RuntimeContextBlock("darkroom", wrap_runtime_context_lines(memos)) if memos else None
        return None

    def _turn(self) -> Turn:
        """Tell who asks and where, as nanobot says."""
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

    def _begin(self) -> None:
        """Let the postman work."""
        self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            await (await self._open()).postman.work()
        except DarkroomError as error:
            logger.warning("images that end later cannot be sent: %s", error.detail)

    async def _open(self) -> Opened:
        async with self._opening:
            if self._opened is not None:
                return self._opened
            opening = await asyncio.to_thread(importlib.import_module, "producer.chat.opening")
            how = {"surroundings": self._gateway, "result": generated_image_tool_result}
            opened: Opened = await asyncio.to_thread(opening.open_reception, Path(get_config_path()), **how)
            self._opened = opened
            return opened


_plugins: WeakKeyDictionary[Any, Plugin] = WeakKeyDictionary()  # by message bus: one for each nanobot


class _OverTheQueue:
    """What the three tools have in common."""

    _plugin: Plugin

    @classmethod
    def enabled(cls, ctx: Any) -> bool:
        """Stand back where there is no queue, or nanobot's own tool is wanted."""
        return not ctx.config.image_generation.enabled and ctx.bus is not None and _has_queue()

    @property
    def concurrency_safe(self) -> bool:
        """Calls of one turn run at the same time."""
        return True


class GenerateImage(_OverTheQueue, ImageGenerationTool):  # type: ignore[misc]
    """`generate_image`: nanobot's own tool, but over the queue."""

    @classmethod
    def create(cls, ctx: Any) -> Tool:
        """Make the tool."""
        tool = cls(workspace=ctx.workspace, config=ctx.config.image_generation)
        tool._plugin = _plugin_of(ctx)
        return tool

    @property
    def description(self) -> str:
        """Tell the model what is different."""
        return (
            f"{super().description} References may also be artifact ids, or 'latest' for this chat's newest image. "
            "Images that take long are sent to the chat later: then the answer is a job id instead."
        )

    def runtime_context_provider(self) -> Callable[[Any], Awaitable[Any]]:
        """Tell the model on its next turn what was sent since."""
        return self._plugin.remind

    async def execute(self, **wishes: Any) -> str:
        """Hand a job in; answer its images, or its id when it takes longer."""
        return await self._plugin.ask(lambda reception, turn: reception.generate(turn, wishes))


class _JobTool(_OverTheQueue, Tool):  # type: ignore[misc]
    """A tool for a job that was handed in before."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    @classmethod
    def create(cls, ctx: Any) -> Tool:
        """Make the tool."""
        return cls(_plugin_of(ctx))


_JOB_ID = StringSchema("The job id that generate_image answered; without one, this chat's newest job.")


@tool_parameters(
    tool_parameters_schema(
        job_id=_JOB_ID,
        wait_seconds=NumberSchema(
            description="How long to wait for the job to end, 20 at most.", minimum=0, maximum=20
        ),
    )
)
class ImageJobStatus(_JobTool):
    """`image_job_status`: how a job stands."""

    name = "image_job_status"
    description = (
        "Look at an image job that generate_image could not finish in its turn: state, place in the queue, paths."
    )

    async def execute(self, job_id: str | None = None, wait_seconds: float = 0, **_: Any) -> str:
        """Say how a job stands."""
        return await self._plugin.ask(lambda reception, turn: reception.status(turn, job_id, wait_seconds))


@tool_parameters(tool_parameters_schema(job_id=_JOB_ID))
class CancelImageJob(_JobTool):
    """`cancel_image_job`: the user does not want it any more."""

    name = "cancel_image_job"
    description = "Cancel an image job that is still queued or being made, when the user does not want it any more."

    async def execute(self, job_id: str | None = None, **_: Any) -> str:
        """Cancel a job."""
        return await self._plugin.ask(lambda reception, turn: reception.cancel(turn, job_id))


def _plugin_of(ctx: Any) -> Plugin:
    if ctx.bus not in _plugins:
        _plugins[ctx.bus] = Plugin(ctx.bus, ctx.sessions)
    return _plugins[ctx.bus]


def _has_queue() -> bool:
    folder = Path(get_config_path()).parent
    if os.environ.get(REDIS_URL) or find_running(folder / "darkroom"):
        return True
    try:
        lines = (folder / "darkroom.env").read_text().splitlines()
    except (OSError, ValueError):
        return False
    return any(re.match(rf"\s*(?:export\s+)?{REDIS_URL}\s*=\s*\S", line, re.IGNORECASE) for line in lines)


def _error(text: str) -> str:
    error: str = ToolResult.error(text)
    return error
