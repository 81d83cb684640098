"""Bodies that strangers send: bounded in size and time, and JSON that means one thing only."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import Request

from contract.errors.catalogue.request import IDEMPOTENCY_KEY_INVALID, TYPE_ERROR
from contract.errors.exceptions import Refused
from contract.errors.kind import ErrorKind
from producer.error_catalogue import (
    BODY_TOO_LARGE,
    JSON_DUPLICATE_KEY,
    JSON_INVALID,
    REQUEST_TIMEOUT,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
)

BODY_S = 30.0
LEAST_BYTES_PER_S = 65_536  # on average
MAX_JSON = 2 * 2**20  # bytes; a prompt of the most characters, each spelt as an escape, has 400 KB
MAX_PARTS = 50_000  # values of a JSON body; a prompt of nothing but commas has fewer
LARGE = 2**18  # bytes; more of JSON is read in a thread

_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


async def read_body(request: Request, *, most: int) -> bytearray:
    """Read a body of `most` bytes. Raises Refused; ClientDisconnect."""
    body = bytearray()
    async with open_body(request, most=most) as chunks:
        async for chunk in chunks:
            body += chunk
    return body


@asynccontextmanager
async def open_body(
    request: Request, *, most: int, kind: ErrorKind = BODY_TOO_LARGE
) -> AsyncIterator[AsyncGenerator[bytes, None]]:
    """Read a body piece by piece, of `most` bytes in all; to the end of the block it counts among its sender's.

    Raises Refused; ClientDisconnect.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(UNSUPPORTED_ENCODING)
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise Refused(kind, max=_amount(most))
    with request.state.bodies.arrive() as count:
        count(int(length))
        async with aclosing(_counted(request, most, kind, count if length == "0" else None)) as chunks:
            yield chunks


async def _counted(
    request: Request, most: int, kind: ErrorKind, count: Callable[[int], None] | None
) -> AsyncGenerator[bytes, None]:
    """Read a body, and `count` it if its length was not told. Raises Refused; ClientDisconnect."""
    received = 0
    async for chunk in _in_time(request):
        received += len(chunk)
        if received > most:
            raise Refused(kind, max=_amount(most))
        if count is not None:
            count(len(chunk))
        yield chunk


async def _in_time(request: Request) -> AsyncGenerator[bytes, None]:
    """Read a body that keeps coming: each BODY_S bring what the least speed brings in that time, or the end."""
    loop = asyncio.get_running_loop()
    until, received = loop.time() + BODY_S, 0
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(until):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Refused(REQUEST_TIMEOUT) from error
        received += len(chunk)
        if received >= BODY_S * LEAST_BYTES_PER_S:
            until, received = loop.time() + BODY_S, 0
        yield chunk


async def read_json(request: Request, *, most: int = MAX_JSON) -> dict[str, Any]:
    """Read a JSON object. Raises Refused; ClientDisconnect."""
    check_json(request)
    return await parse_object(await read_body(request, most=most))


def check_json(request: Request) -> None:
    """Require a body of JSON. Raises Refused."""
    if media_type(request) != "application/json":
        raise Refused(UNSUPPORTED_MEDIA_TYPE, accepted="application/json")


async def parse_object(body: bytes | bytearray) -> dict[str, Any]:
    """Parse a JSON object, a large one in a thread. Raises Refused."""
    value = parse_json(body) if len(body) < LARGE else await asyncio.to_thread(parse_json, body)
    if not isinstance(value, dict):
        raise Refused(TYPE_ERROR, field="The body", expected="it must be an object")
    return value


def parse_json(body: bytes | bytearray) -> Any:
    """Parse JSON that every reader understands alike. Raises Refused (`json_invalid`, `json_duplicate_key`)."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_PARTS:  # they take 40 times their size, and seconds
        raise Refused(JSON_INVALID, reason="it has too many values")
    try:
        text = body.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float)
        if _ESCAPED_HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise Refused(JSON_INVALID, reason=f"{error.msg}, line {error.lineno} column {error.colno}") from error
    except UnicodeError as error:
        raise Refused(JSON_INVALID, reason="it has broken characters") from error
    except RecursionError as error:
        raise Refused(JSON_INVALID, reason="it is nested too deeply") from error
    except ValueError as error:  # an integer of thousands of digits
        raise Refused(JSON_INVALID, reason="it has a number out of range") from error
    return value


def media_type(request: Request) -> str:
    """Tell the type of a body without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _amount(most: int) -> str:
    return f"{most // 2**20} MiB" if most >= 2**20 else f"{most} bytes"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused(JSON_DUPLICATE_KEY)
    return found


def _no_number(_: str) -> float:
    raise ValueError


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def idempotency_key(request: Request) -> str | None:
    """Read the key that makes a repeat harmless. Raises Refused when there are several."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise Refused(IDEMPOTENCY_KEY_INVALID)
    return keys[0] if keys else None
