"""`/mcp`: the MCP server over HTTP, behind the same tokens, rights and rates as everything else.

Answers are streams of events and begin at once: nanobot lets no other request of its own begin until an answer's
head is there. A body is looked at here before the SDK sees it, which would repeat what is wrong with it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types import INVALID_REQUEST, PARSE_ERROR, jsonrpc_message_adapter
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from contract.errors.exceptions import Refused
from contract.jobs.job import Image
from producer.api.authentication import Caller, identify
from producer.api.dependencies import Gateway, Here
from producer.api.job_json import base_url
from producer.api.requests import LARGE, MAX_JSON, check_json, parse_json, read_body
from producer.api.services.waits import KeptPlaces
from producer.api.sessions.sessions import Session, Sessions
from producer.client.owner_client import OwnerClient
from producer.error_catalogue import FORBIDDEN, GATEWAY_STOPPING
from producer.mcp.answer import Links
from producer.tokens import Right

NO_SESSION = "There is no such session; open another one."
SHOW_S = 5.0  # that an answer waits for room for its images
SMALL = 2**16  # bytes of a message; only a submit, which its tool counts, has more
TOO_MANY = "You have too many sessions in use; close some."

router = APIRouter()


@dataclass(frozen=True, slots=True)
class TokenCaller:
    """The caller of a tool over HTTP."""

    gateway: Gateway
    caller: Caller
    base: str
    kept: KeptPlaces

    @property
    def client(self) -> OwnerClient:
        """The client of the token's owner."""
        return self.caller.client

    def check(self, right: Right) -> None:
        """Let only tokens with a right pass. Raises Refused (`forbidden`)."""
        if not self.caller.may(right):
            raise Refused(FORBIDDEN, right=right)

    async def count(self) -> None:
        """Count a submit. Raises Refused (`rate_limited`, `too_busy`), Unavailable."""
        await self.caller.count(self.gateway)

    async def count_miss(self) -> None:
        """Count that somebody asked for what does not exist. Raises Refused (`rate_limited`), Unavailable."""
        await self.gateway.rates.count_miss(f"{self.caller.token.name}\n{self.caller.owner}")

    def wait(self) -> AbstractContextManager[bool]:
        """Be among the answers that wait for a while, if there is room, and tell if so."""
        return self.gateway.waits.join_if_possible(self.caller.owner)

    async def may_show(self) -> bool:
        """Wait a moment for a place among the answers with images, which is kept until the response has left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SHOW_S):
                while not self.kept.keep(self.gateway.tool_answers.join_if_possible(self.caller.owner)):
                    await asyncio.sleep(SHOW_S / 20)
                return True
        return False

    def links(self, image: Image) -> Links:
        """Tell where an image can be had."""
        return Links(
            url=f"{self.base}/v1/artifacts/{image.id}",
            signed_url=self.base + self.gateway.links.sign(image.id),
            path=image.path if self.caller.may(Right.PATHS) else None,
        )

    def status_url(self, job_id: str) -> str:
        """Tell at which address a job is looked at."""
        return f"{self.base}/v1/jobs/{job_id}"


def welcome(request: Request) -> TokenCaller:
    """Find the caller of a tool, as authenticated when the request came in."""
    gateway: Gateway = request.app.state.gateway
    return TokenCaller(gateway, request.state.caller, base_url(request, gateway), request.state.kept)


@router.api_route("/mcp", methods=["GET", "POST", "DELETE"], include_in_schema=False)
async def speak(request: Request, gateway: Here, caller: Annotated[Caller, Depends(identify)]) -> Response:
    """Let the MCP server answer, if the request is one message of JSON-RPC and its session is the caller's."""
    body, message = b"", None
    if request.method == "POST":
        body = await _receive(request, gateway, caller)
        try:
            message = parse_json(body) if len(body) < LARGE else await asyncio.to_thread(parse_json, body)
        except Refused as error:
            return _wrong(400, PARSE_ERROR, error.detail)
        if not _is_message(message):
            return _wrong(400, INVALID_REQUEST, "A body is one JSON-RPC message.")
    sessions: Sessions = request.app.state.sessions
    named = request.headers.get(MCP_SESSION_ID_HEADER)
    if gateway.disconnects.is_closing:
        raise Refused(GATEWAY_STOPPING, retry_after_s=1)
    version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER)
    session = await sessions.find(named, caller.owner, version) if named is not None else None
    if named is not None and session is None:
        return _wrong(404, INVALID_REQUEST, NO_SESSION)
    is_first = session is None and isinstance(message, dict) and message.get("method") == "initialize"
    if request.method == "GET":
        return _Followed(gateway, caller, sessions, session)
    return _Spoken(sessions, session, caller.owner, body, message, is_first=is_first)


async def _receive(request: Request, gateway: Gateway, caller: Caller) -> bytes:
    """Receive a message, a large one only within the rate. Raises Refused, Unavailable; ClientDisconnect."""
    check_json(request)
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > SMALL:
        await caller.check_rate(gateway)
    return bytes(await read_body(request, most=MAX_JSON))


class _Spoken(Response):
    """What the SDK answers to a request whose body was read."""

    def __init__(
        self, sessions: Sessions, session: Session | None, owner: str, body: bytes, message: Any, *, is_first: bool
    ) -> None:
        super().__init__()
        self._is_first = is_first
        self._message = message
        self._sessions = sessions
        self._session = session
        self._owner = owner
        self._given: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, for as long as that takes."""

        async def given() -> Message:
            message, self._given = self._given, None
            return message or await receive()

        with closing(KeptPlaces()) as scope.setdefault("state", {})["kept"]:
            if not self._is_first:
                await self._sessions.serve(self._session, self._message, scope, given, send)
            elif not await self._sessions.begin(self._owner, scope, given, send):
                await _wrong(429, INVALID_REQUEST, TOO_MANY)(scope, receive, send)


class _Followed(Response):
    """The stream of a session, which ends when its caller's token is revoked."""

    def __init__(self, gateway: Gateway, caller: Caller, sessions: Sessions, session: Session | None) -> None:
        super().__init__()
        self._gateway = gateway
        self._caller = caller
        self._sessions = sessions
        self._session = session
        self._is_open = False  # an answer has begun and is not over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it for as long as that takes. Raises Refused (`too_many_waits`, `too_busy`) before it begins."""
        client = self._caller.client
        revoked = asyncio.create_task(self._gateway.token_watch.until_revoked(client.may_go_on))

        async def received() -> Message:
            receiving = asyncio.ensure_future(receive())
            try:
                await asyncio.wait({receiving, revoked}, return_when=asyncio.FIRST_COMPLETED)
                return {"type": "http.disconnect"} if revoked.done() else await receiving
            finally:
                receiving.cancel()

        async def sent(message: Message) -> None:
            self._is_open = bool(message.get("more_body", message["type"] == "http.response.start"))
            await send(message)

        try:
            with self._gateway.waits.join(self._caller.owner):
                await self._sessions.handle(self._session, scope, received, sent)
            if self._is_open:
                await send({"type": "http.response.body", "body": b""})
        finally:
            revoked.cancel()


def _is_message(value: Any) -> bool:
    """Tell whether a body is one message; the SDK would take one with an odd id for a message without any."""
    try:
        jsonrpc_message_adapter.validate_python(value, by_name=False)
    except ValidationError:
        return False
    return isinstance(value.get("id", 0), str | int)


def _wrong(status: int, code: int, words: str) -> Response:
    """Write an error of JSON-RPC to no message in particular."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": words}}
    headers = {"Retry-After": "5"} if status == 429 else None
    return Response(json.dumps(error) + "\n", status, headers=headers, media_type="application/json")
