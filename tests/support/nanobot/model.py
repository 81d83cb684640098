"""A chat model on loopback that says what a test's script says: OpenAI's chat completions, streamed and whole.

A script is a function from what was asked to a `Say` or a `Call`; it may be a coroutine function, and then other chats
are answered while one of them waits.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.network.loopback import LoopbackServer

NAME = "scripted"
Message = dict[str, Any]


@dataclass(frozen=True)
class Say:
    """A final answer."""

    text: str


@dataclass(frozen=True)
class Call:
    """Calls of tools, all in one turn: names and arguments."""

    tools: list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Asked:
    """One request: the conversation so far, and the tools that are offered."""

    messages: list[Message]
    tools: list[Message]
    is_stream: bool

    @property
    def user(self) -> str:
        """Tell what the user said last: the first paragraph, as nanobot appends context in further ones."""
        return self._last_user.partition("\n\n")[0]

    @property
    def context(self) -> str:
        """Tell the runtime context that nanobot has appended to it."""
        return self._last_user.partition("\n\n")[2]

    @property
    def results(self) -> list[Any]:
        """List what the tools answered since the user spoke, parsed where it is JSON."""
        return _results(self._since)

    @property
    def paths(self) -> list[str]:
        """List the paths of the pictures among these results."""
        return _paths(self.results)

    @property
    def all_results(self) -> list[Any]:
        """List what the tools answered in the whole conversation."""
        return _results(self.messages)

    @property
    def all_paths(self) -> list[str]:
        """List the paths of the pictures among these."""
        return _paths(self.all_results)

    @property
    def offered(self) -> set[str]:
        """Name the tools that are offered."""
        return {tool["function"]["name"] for tool in self.tools}

    def schema(self, tool: str) -> dict[str, Any]:
        """Find how a tool describes itself: name, description, parameters."""
        [found] = [offer["function"] for offer in self.tools if offer["function"]["name"] == tool]
        return dict(found)

    @property
    def _last_user(self) -> str:
        return next((_text(message) for message in reversed(self.messages) if message["role"] == "user"), "")

    @property
    def _since(self) -> list[Message]:
        start = max((at for at, message in enumerate(self.messages) if message["role"] == "user"), default=0)
        return self.messages[start:]


Said = Say | Call
TITLE = Say("Pictures")  # what nanobot asks for without tools, after a chat's first turn
Script = Callable[[Asked], Said | Awaitable[Said]]


class Model(LoopbackServer):
    """Answers by a script, which a test may replace at any time, and remembers what it was asked."""

    def __init__(self, answer: Script = lambda _: Say("Hello."), *, port: int = 0) -> None:
        super().__init__(port=port)
        self.answer = answer
        self.asked: list[Asked] = []
        self.errors: list[Exception] = []

    @property
    def url(self) -> str:
        """Return the base that nanobot's config names."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and keep what is wrong with it or with the answer."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            [length] = re.findall(r"^content-length: *(\d+)\r$", head, re.MULTILINE | re.IGNORECASE)
            writer.write(await self._reply(json.loads(await reader.readexactly(int(length)))))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            raise  # nanobot has been ended
        except Exception as error:
            self.errors.append(error)
            raise

    async def _reply(self, body: dict[str, Any]) -> bytes:
        asked = Asked(body["messages"], body.get("tools") or [], bool(body.get("stream")))
        self.asked.append(asked)
        said = self.answer(asked) if asked.tools else TITLE
        if inspect.isawaitable(said):
            said = await said
        if asked.is_stream:
            events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(said))
            return _http("text/event-stream", f"{events}data: [DONE]\n\n")
        return _http("application/json", json.dumps(_whole(said)))


def _http(kind: str, text: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _message(said: Said) -> Message:
    if isinstance(said, Say):
        return {"role": "assistant", "content": said.text}
    functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in said.tools]
    calls = [
        {"index": index, "id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}
        for index, function in enumerate(functions)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _whole(said: Said) -> dict[str, Any]:
    choice = {"index": 0, "message": _message(said), "finish_reason": _reason(said)}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {**_frame("chat.completion"), "choices": [choice], "usage": usage}


def _chunks(said: Said) -> Iterator[dict[str, Any]]:
    frame = _frame("chat.completion.chunk")
    for delta, reason in ((_message(said), None), ({}, _reason(said))):
        yield {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _frame(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(8)}", "object": kind, "created": 0, "model": NAME}


def _reason(said: Said) -> str:
    return "stop" if isinstance(said, Say) else "tool_calls"


def _results(messages: list[Message]) -> list[Any]:
    return [_parsed(_text(message)) for message in messages if message["role"] == "tool"]


def _paths(results: list[Any]) -> list[str]:
    found = (result.get("artifacts", []) for result in results if isinstance(result, dict))
    return [artifact["path"] for artifacts in found for artifact in artifacts]


def _text(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
