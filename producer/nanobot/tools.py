"""nanobot's tools for images, over the queue: `generate_image`, `image_job_status`, `cancel_image_job`.

`tools.imageGeneration.enabled` is the one switch. Where it is on, `generate_image` is Darkroom's: nanobot imports this
module before it asks its own tools whether they are enabled, so its own one is told, in memory, to stand back. Without
a queue Darkroom's does in every respect what nanobot's own does. nanobot imports this while it starts, so nothing heavy
is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

from nanobot.agent.tools import image_generation
from nanobot.agent.tools.base import Tool, tool_parameters
from nanobot.agent.tools.image_generation import ImageGenerationTool
from nanobot.agent.tools.registry import ToolRegistry
from nanobot.agent.tools.schema import NumberSchema, StringSchema, tool_parameters_schema
from nanobot.config.loader import get_config_path

from producer.nanobot.log import say
from producer.nanobot.queue_link import Link, link_of
from producer.nanobot.switch import is_off, told_disabled, told_off

NAME = "generate_image"
FRAMES = 5  # between the loader that has the registry and the tool that is made


class GenerateImage(ImageGenerationTool):  # type: ignore[misc]
    """`generate_image`: over the queue, or as nanobot's own tool while there is none."""

    _link: Link

    @classmethod
    def enabled(cls, ctx: Any) -> bool:
        """Follow nanobot's switch; say why there is no tool of Darkroom's."""
        if is_off(_config()):
            say(told_off())
        elif ctx.bus is not None and not ctx.config.image_generation.enabled:
            say(told_disabled(_config()))
        return _has_tools(ctx)

    @classmethod
    def create(cls, ctx: Any) -> Tool:
        """Make the tool as nanobot does."""
        tool = super().create(ctx)
        tool._take_up(link_of(ctx.bus, ctx.sessions), _registry_of_caller())
        return tool

    @classmethod
    def instead_of(cls, own: Any, link: Link, registry: Any) -> None:
        """Take the place of a tool of nanobot's own in a registry."""
        tool = cls(workspace=own.workspace, config=own.config, provider_configs=own.provider_configs)
        tool._take_up(link, registry)
        link.offer()

    def _take_up(self, link: Link, registry: Any) -> None:
        self._link = link
        link.serve(registry, self, with_queue=(ImageJobStatus(link), CancelImageJob(link)))
        link.look()

    @property
    def concurrency_safe(self) -> bool:
        """Over the queue calls of one turn run at the same time."""
        return self._link.queue is not None or bool(super().concurrency_safe)

    @property
    def description(self) -> str:
        """Tell the model what is different over the queue."""
        own = str(super().description)
        if self._link.queue is None:
            return own
        return (
            f"{own} References may also be artifact ids, or 'latest' for this chat's newest image. "
            "Images that take long are sent to the chat later: then the answer is a job id instead."
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """Offer what nanobot's own tool takes, and over the queue what else a request may have."""
        own: dict[str, Any] = super().parameters
        if self._link.queue is None:
            return own
        fields: dict[str, Any] = own["properties"]
        return {**own, "properties": _further_fields() | fields}

    def cast_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Read arguments as models write them, over the queue, before nanobot checks them."""
        if self._link.queue is not None:
            params = _understood(self, params)
        return cast("dict[str, Any]", super().cast_params(params))

    def runtime_context_provider(self) -> Callable[[Any], Awaitable[Any]]:
        """Tell the model on its next turn what was sent since."""
        return self._link.remind

    async def execute(self, **wishes: Any) -> Any:
        """Submit a job; return its images, or its id when it takes longer."""
        if self._link.look() is None:
            return await super().execute(**wishes)
        return await self._link.ask(lambda image_requests, turn: image_requests.generate(turn, wishes))


@cache
def _further_fields() -> dict[str, dict[str, Any]]:
    from producer.validation.request_fields import tool_parameters  # it needs pydantic

    return tool_parameters()


def _understood(tool: Tool, params: dict[str, Any]) -> dict[str, Any]:
    from producer.validation.tool_arguments import understand  # not while nanobot starts

    return understand(params, tool.parameters)


class _JobTool(Tool):  # type: ignore[misc]
    """A tool for a job that was submitted earlier."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @classmethod
    def enabled(cls, ctx: Any) -> bool:
        """Be there where there is a queue."""
        return _has_tools(ctx) and link_of(ctx.bus, ctx.sessions).look() is not None

    @classmethod
    def create(cls, ctx: Any) -> Tool:
        """Make the tool."""
        return cls(link_of(ctx.bus, ctx.sessions))

    @property
    def concurrency_safe(self) -> bool:
        """Calls of one turn run at the same time."""
        return True

    def cast_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Read arguments as models write them, before nanobot checks them."""
        return cast("dict[str, Any]", super().cast_params(_understood(self, params)))


_JOB_ID = StringSchema("The job id from the answer of generate_image; by default this chat's newest job.")


@tool_parameters(
    tool_parameters_schema(
        job_id=_JOB_ID,
        wait_seconds=NumberSchema(description="Seconds to wait for the job to end, at most 20.", minimum=0, maximum=20),
    )
)
class ImageJobStatus(_JobTool):
    """`image_job_status`: how a job stands."""

    name = "image_job_status"
    description = (
        "Look up an image job that generate_image could not finish in its turn: state, place in the queue, paths."
    )

    async def execute(self, job_id: str | None = None, wait_seconds: float = 0, **_: Any) -> str:
        """Say how a job stands."""
        return await self._link.ask(lambda image_requests, turn: image_requests.status(turn, job_id, wait_seconds))


@tool_parameters(tool_parameters_schema(job_id=_JOB_ID))
class CancelImageJob(_JobTool):
    """`cancel_image_job`: the user does not want it any more."""

    name = "cancel_image_job"
    description = "Cancel an image job that is still queued or being made, when the user does not want it any more."

    async def execute(self, job_id: str | None = None, **_: Any) -> str:
        """Cancel a job."""
        return await self._link.ask(lambda image_requests, turn: image_requests.cancel(turn, job_id))


def _config() -> Path:
    return Path(get_config_path())


def _stands_in(ctx: Any) -> bool:
    """Tell whether Darkroom's tool is there in the place of nanobot's own."""
    return ctx.bus is not None and not is_off(_config())


def _has_tools(ctx: Any) -> bool:
    return _stands_in(ctx) and bool(ctx.config.image_generation.enabled)


def _registry_of_caller() -> Any:
    """Find the registry that nanobot's loader fills: it tells no tool of it. Without it, what is offered stays."""
    for depth in range(1, FRAMES):
        found = sys._getframe(depth).f_locals.get("registry")
        if isinstance(found, ToolRegistry):
            return found
    return None


def _step_back(own: Any) -> Any:
    """Let nanobot's own tool be enabled only where Darkroom's is not there."""

    def enabled(cls: Any, ctx: Any) -> bool:
        return not (cls is ImageGenerationTool and _stands_in(ctx)) and bool(own.__func__(cls, ctx))

    return classmethod(enabled)


def _take_over_again(own: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Let what is saved in nanobot's Settings > Image, which makes nanobot's own tool anew, hold for Darkroom's."""

    async def reload_image_generation_tool(state: Any, registry: Any) -> Any:
        told = await own(state, registry)
        if told.get("ok") and _stands_in(state):
            _settle(link_of(state.bus, state.sessions), registry)
        return told

    return reload_image_generation_tool


def _settle(link: Link, registry: Any) -> None:
    tool = registry.get(NAME)
    if type(tool) is ImageGenerationTool:
        link.renew()  # it reads the new settings
        GenerateImage.instead_of(tool, link, registry)
    elif tool is None:
        link.withdraw()
        say(told_disabled(_config()))


_reload = _take_over_again(image_generation.reload_image_generation_tool)
ImageGenerationTool.enabled = _step_back(ImageGenerationTool.enabled)
image_generation.reload_image_generation_tool = _reload
