"""Bodies that strangers send: bounded in size and time, and JSON that means one thing only."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from contract.artifacts.references import MAX_EACH
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.catalogue.request import IDEMPOTENCY_KEY_INVALID, TYPE_ERROR
from contract.errors.exceptions import Refused
from contract.errors.kind import ErrorKind
from producer.error_catalogue import (
    BODY_TOO_LARGE,
    JSON_DUPLICATE_KEY,
    JSON_INVALID,
    MULTIPART_INVALID,
    REQUEST_TIMEOUT,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
    UPLOAD_TOO_LARGE,
)

BODY_S = 30.0
LEAST_BYTES_PER_S = 65_536  # once it has begun
MAX_JSON = 2 * 2**20  # bytes; a prompt of the most characters, each spelt as an escape, has 400 KB
MAX_PARTS = 50_000  # values of a JSON body; a prompt of nothing but commas has fewer
LARGE = 2**18  # bytes; more of JSON is read in a thread
MAX_FIELDS = 64
MAX_FIELD_BYTES = 2**20

_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


async def read_body(request: Request, *, most: int) -> bytearray:
    """Read a body of `most` bytes. Raises Refused; ClientDisconnect."""
    body = bytearray()
    async with aclosing(stream_body(request, most=most)) as chunks:
        async for chunk in chunks:
            body += chunk
    return body


async def stream_body(request: Request, *, most: int, kind: ErrorKind = BODY_TOO_LARGE) -> AsyncGenerator[bytes, None]:
    """Read a body piece by piece, of `most` bytes in all; it is counted among those of its sender while it arrives.

    Raises Refused; ClientDisconnect.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(UNSUPPORTED_ENCODING)
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise Refused(kind, max=_amount(most))
    with request.state.bodies.arrive() as count:
        count(int(length))
        received = 0
        async for chunk in _in_time(request):
            received += len(chunk)
            if received > most:
                raise Refused(kind, max=_amount(most))
            if length == "0":  # it was not told
                count(len(chunk))
            yield chunk


async def _in_time(request: Request) -> AsyncGenerator[bytes, None]:
    begun, received = asyncio.get_running_loop().time(), 0
    chunks = request.stream()
    while True:
        try:
            async with asyncio.timeout_at(begun + BODY_S + received / LEAST_BYTES_PER_S):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Refused(REQUEST_TIMEOUT) from error
        received += len(chunk)
        yield chunk


@asynccontextmanager
async def read_form(request: Request, *, most: int, most_files: int) -> AsyncIterator[FormData]:
    """Read a multipart form, files onto disk for the time being. Raises Refused; ClientDisconnect."""
    if media_type(request) != "multipart/form-data":
        raise Refused(UNSUPPORTED_MEDIA_TYPE, accepted="multipart/form-data")
    try:
        async with aclosing(stream_body(request, most=most, kind=UPLOAD_TOO_LARGE)) as chunks:
            parser = MultiPartParser(
                request.headers, chunks, max_files=most_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES
            )
            form = await parser.parse()
    except (MultiPartException, FormParserError, KeyError, UnicodeError) as error:  # KeyError: no boundary
        raise Refused(MULTIPART_INVALID) from error
    except OSError as error:
        raise Refused(STORAGE_FULL) from error
    try:
        yield form
    finally:
        await form.close()


async def read_json(request: Request, *, most: int = MAX_JSON) -> dict[str, Any]:
    """Read a JSON object. Raises Refused; ClientDisconnect."""
    if media_type(request) != "application/json":
        raise Refused(UNSUPPORTED_MEDIA_TYPE, accepted="application/json")
    body = await read_body(request, most=most)
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


async def read_file(file: UploadFile) -> bytes:
    """Read a file of a form. Raises Refused (`upload_too_large`)."""
    data = await file.read(MAX_EACH + 1)
    if len(data) > MAX_EACH:
        raise Refused(UPLOAD_TOO_LARGE, max=f"{MAX_EACH // 2**20} MiB")
    return data


def idempotency_key(request: Request) -> str | None:
    """Read the key that makes a repeat harmless. Raises Refused when there are several."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1:
        raise Refused(IDEMPOTENCY_KEY_INVALID)
    return keys[0] if keys else None
