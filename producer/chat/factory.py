"""Builds the chat side of one nanobot: settings, Redis, outbox. Blocking, and heavy to import: use a thread."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from contract.artifacts.atomic_file import write_once
from contract.settings.loader import Settings, load_settings
from contract.settings.running_stack import find_running
from contract.store.keys import digest
from producer.chat.image_requests import Host, ImageRequests
from producer.chat.late_delivery import ChatSender, LateDelivery
from producer.chat.outbox import ChatOutbox
from producer.chat.turn import Route, Turn
from producer.client.connections import Connections
from producer.client.owner_client import OwnerClient


class Surroundings(Host, ChatSender, Protocol):
    """The process we are in, and its way into chats."""


class ChatRuntime(NamedTuple):
    """All that a nanobot has of Darkroom."""

    image_requests: ImageRequests
    late_delivery: LateDelivery
    outbox: ChatOutbox
    connections: Connections

    async def close(self) -> None:
        """Send nothing any more, and end the connections."""
        await self.late_delivery.close()
        await self.connections.close()


def open_image_requests(
    config: Path, *, surroundings: Surroundings, result: Callable[[Sequence[Mapping[str, Any]]], str]
) -> ChatRuntime:
    """Build the chat side of the nanobot with this config.json. Raises ConfigInvalid."""
    own_settings = load_settings(config, needs_keys=False)
    settings = _settings_of_stack(own_settings)
    connections = Connections(settings, roots=(own_settings.workspace, own_settings.media))
    outbox = ChatOutbox(connections.redis, _outbox_name(own_settings))

    def late_client(route: Route) -> OwnerClient:
        return OwnerClient(connections, owner=route.owner, names_paths=True)

    late_delivery = LateDelivery(outbox=outbox, client=late_client, post=surroundings)

    def client(turn: Turn) -> OwnerClient:
        # The chats of channels have names of their own; the command line's is called alike in every nanobot.
        place = "" if turn.hears_later else f"{outbox.name}/"
        return OwnerClient(connections, owner=place + turn.owner, names_paths=True, chat=place + turn.chat)

    image_requests = ImageRequests(
        client=client,
        outbox=outbox,
        late_delivery=late_delivery,
        host=surroundings,
        result=result,
        wait_s=own_settings.env.tool_wait_seconds,
    )
    return ChatRuntime(image_requests, late_delivery, outbox, connections)


def _settings_of_stack(own: Settings) -> Settings:
    """Take the Redis that was named, else the running stack with its providers: a demonstration has others."""
    running = find_running(own.home)
    if "redis_url" in own.env.model_fields_set or running is None:
        return own
    there = own if Path(running.config) == own.config_path else load_settings(Path(running.config), needs_keys=False)
    return there.with_redis(running.redis_url).without_keys()


def _outbox_name(settings: Settings) -> str:
    """Name this nanobot's outbox, the same after each start; by machine and place where nothing can be kept."""
    path = settings.home / "mailbox"
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, secrets.token_hex(10).encode())
        return digest(path.read_text())
    except OSError:
        return digest(f"{platform.node()}:{settings.config_path}")
