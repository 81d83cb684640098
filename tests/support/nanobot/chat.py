"""A chat with nanobot over its websocket, as its own web page has it: messages, stops, and pictures that come."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

MAX_FRAME_BYTES = 2**24


class Channel(Protocol):
    """Where nanobot's websocket is, and the token that opens it."""

    @property
    def port(self) -> int: ...
    @property
    def token(self) -> str: ...
    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class Frame:
    """One thing that nanobot sent; `raw` has all of it."""

    raw: dict[str, Any]

    @property
    def event(self) -> str:
        """Tell its kind: message, delta, turn_end, …"""
        return str(self.raw["event"])

    @property
    def text(self) -> str:
        """Tell its words."""
        return str(self.raw.get("text", ""))

    @property
    def media(self) -> list[str]:
        """List the paths of files that came with it."""
        return list(self.raw.get("media", []))

    @property
    def urls(self) -> list[str]:
        """List where these files are to be had."""
        return [url["url"] for url in self.raw.get("media_urls", [])]

    @property
    def is_message(self) -> bool:
        """Say whether it is a message for the user, and no sign of a tool at work."""
        return self.event == "message" and "kind" not in self.raw


class Chat:
    """One chat of one user; with a chat's id, that chat once more. What has been heard since the last `say` counts."""

    def __init__(self, nanobot: Channel, *, client_id: str = "ann", chat_id: str = "") -> None:
        self.nanobot = nanobot
        self.client_id = client_id
        self.id = chat_id
        self.frames: list[Frame] = []
        self._mark = 0
        self._news = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def heard(self) -> list[Frame]:
        """List what has come since the user spoke."""
        return self.frames[self._mark :]

    @property
    def text(self) -> str:
        """Tell the words of this turn: what was streamed, and messages."""
        return "".join(frame.text for frame in self.heard if frame.event == "delta" or frame.is_message)

    @property
    def pictured(self) -> list[Frame]:
        """List the messages with files, of the whole chat."""
        return [frame for frame in self.frames if frame.is_message and frame.media]

    async def say(self, text: str) -> None:
        """Send a message of the user."""
        assert self._socket is not None
        self._mark = len(self.frames)
        turn = {"webui": True, "turn_id": secrets.token_hex(8)}
        await self._socket.send(json.dumps({"type": "message", "chat_id": self.id, "content": text, **turn}))

    async def hears(self, is_it: Callable[[Frame], bool], *, within_s: float = 20) -> Frame:
        """Wait until something has come since the user spoke."""
        async with asyncio.timeout(within_s):
            while not (found := [frame for frame in self.heard if is_it(frame)]):
                assert self._listening is not None
                assert not self._listening.done(), "nanobot has hung up"
                self._news.clear()
                await self._news.wait()
        return found[0]

    async def next(self) -> None:
        """Wait for anything new."""
        self._news.clear()
        await self._news.wait()

    async def hears_end(self, *, within_s: float = 20) -> str:
        """Wait until nanobot's turn is over, and tell its words."""
        await self.hears(lambda frame: frame.event == "turn_end", within_s=within_s)
        return self.text

    async def ask(self, text: str, *, within_s: float = 20) -> str:
        """Send a message, and tell the words of nanobot's whole turn."""
        await self.say(text)
        return await self.hears_end(within_s=within_s)

    async def pictures(self, *, within_s: float = 20) -> list[bytes]:
        """Wait for a message with files, and fetch them."""
        frame = await self.hears(lambda frame: frame.is_message and bool(frame.media), within_s=within_s)
        return [await self.fetch(url) for url in frame.urls]

    async def fetch(self, url: str) -> bytes:
        """Fetch a file from the address that came with a message."""
        async with httpx.AsyncClient(base_url=self.nanobot.url) as client:
            return (await client.get(url)).raise_for_status().content

    async def stop(self, *, within_s: float = 20) -> str:
        """Stop what nanobot is doing for this chat, and tell what it says to that."""
        await self.say("/stop")
        return (await self.hears(lambda frame: frame.is_message, within_s=within_s)).text

    async def __aenter__(self) -> Self:
        who = urlencode({"client_id": self.client_id, "token": self.nanobot.token})
        url = f"ws://127.0.0.1:{self.nanobot.port}/?{who}"
        self._socket = await connect(url, max_size=MAX_FRAME_BYTES, proxy=None)
        self._listening = asyncio.create_task(self._listen(self._socket))
        ready = await self.hears(lambda frame: frame.event == "ready")
        if self.id:
            await self._socket.send(json.dumps({"type": "attach", "chat_id": self.id}))
            await self.hears(lambda frame: frame.event == "attached")
        else:
            self.id = ready.raw["chat_id"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._socket is not None
        assert self._listening is not None
        await self._socket.close()
        await self._listening

    async def _listen(self, socket: ClientConnection) -> None:
        try:
            async for raw in socket:
                self.frames.append(Frame(json.loads(raw)))
                self._news.set()
        except ConnectionClosed:
            pass  # nanobot was killed
        finally:
            self._news.set()
