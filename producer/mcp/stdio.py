"""MCP on stdin and stdout, for a chat program that starts it on this machine: `darkroom mcp`."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from mcp.server.stdio import stdio_server

from contract.jobs.job import Image
from contract.telemetry.logs import log_to_stderr
from producer.client.owner_client import OwnerClient
from producer.imaging.thumbnails import Thumbnails
from producer.mcp.answer import Links
from producer.mcp.image_content import ImageContents
from producer.mcp.server import Tools, build_server
from producer.tokens import Right


@dataclass(frozen=True, slots=True)
class LocalCaller:
    """The user of this machine, who may do everything and name paths."""

    client: OwnerClient

    def check(self, right: Right) -> None:
        """Let everything pass."""

    async def count(self) -> None:
        """Count nothing."""

    async def count_miss(self) -> None:
        """Count nothing."""

    def wait(self) -> AbstractContextManager[bool]:
        """Wait whenever that is wished."""
        return nullcontext(True)

    async def may_show(self) -> bool:
        """Show all images: there is one client."""
        return True

    def links(self, image: Image) -> Links:
        """Tell where an image lies."""
        return Links(path=image.path)

    def status_url(self, job_id: str) -> str | None:
        """Tell of no address: there is no gateway."""
        return None


async def serve(darkroom: OwnerClient) -> int:
    """Answer on stdin and stdout until stdin ends; whatever is logged goes to stderr."""
    log_to_stderr(logging.WARNING, layout="%(levelname)s %(name)s: %(message)s")
    settings, caller = darkroom.settings, LocalCaller(darkroom)
    pictures = darkroom.connections.sandbox
    async with stdio_server() as (given, told):
        prints = ImageContents(pictures, Thumbnails(darkroom.artifacts, pictures))
        tools = Tools(prints=prints, wait_s=settings.env.tool_wait_seconds)
        server = build_server(tools, lambda _: caller)
        await server.run(given, told, server.create_initialization_options())
        await tools.stopped.close()
    return 0
