"""JSON with images as base64: the images go to disk while the body arrives, and the rest is parsed without them."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import Any

import pybase64
from fastapi import Request

from contract.artifacts.references import MAX_EACH
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.catalogue.request import TOO_MANY_REFERENCES
from contract.errors.exceptions import Refused
from contract.jobs.request import MAX_REFERENCES
from producer.api.openai.bodies.data_url import head_of, without_line_breaks
from producer.api.requests import MAX_JSON, check_json, open_body, parse_object
from producer.error_catalogue import BODY_TOO_LARGE, REFERENCE_NOT_A_DATA_URL, UPLOAD_TOO_LARGE

MAX_JSON_PICTURES = 32 * 2**20  # bytes of a body that may have some
SMALL = 2**14  # bytes of a text that stays in the JSON
MOST = 2 * MAX_REFERENCES  # images, as fields that are ignored may have some, too
IN_MEMORY = 2**16  # bytes of an image before it goes to disk
PIECE = 2**18  # bytes that are decoded together
MAX_DEPTH = 3  # of an image in a field: [{"image_url": {"url": …}}]

_MARK = secrets.token_hex(16)  # stands in place of an image
_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_ESCAPE = 6  # bytes of the longest escape


@asynccontextmanager
async def open_json_images(request: Request) -> AsyncIterator[dict[str, Any]]:
    """Read a JSON object with large data URLs as JSONImage, for the length of the block.

    Raises Refused; ClientDisconnect.
    """
    check_json(request)
    async with open_body(request, most=MAX_JSON_PICTURES) as chunks:
        with ExitStack() as files:
            split = JSONSplitter(files)
            try:
                async for chunk in chunks:
                    split.take(chunk)
            except OSError as error:
                raise Refused(STORAGE_FULL) from error
            body = await parse_object(split.rest)
            yield {name: split.image_of(value) for name, value in body.items()}


class JSONImage:
    """An image out of a data URL, on disk if it is large."""

    def __init__(self, files: ExitStack) -> None:
        self._file = files.enter_context(SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - the stack closes it
        self._raw = bytearray()  # as it stands in the JSON
        self._encoded = ""  # of base64, less than four characters
        self._size = 0
        self._is_padded = False  # then nothing may follow
        self._is_broken = False

    def write(self, raw: bytes) -> None:
        """Take the next piece of its base64, as it stands in the JSON. Raises OSError."""
        self._raw += raw
        if len(self._raw) >= PIECE:
            escape = self._raw.rfind(b"\\", len(self._raw) - _ESCAPE)
            self._decode(len(self._raw) if escape < 0 else escape)

    def end(self) -> None:
        """Take what is left. Raises OSError."""
        self._decode(len(self._raw))
        self._is_broken |= bool(self._encoded)

    def check(self) -> None:
        """Raises Refused for what is not base64, and for an image that is too large."""
        if self._size > MAX_EACH:
            raise Refused(UPLOAD_TOO_LARGE, max=f"{MAX_EACH // 2**20} MiB")
        if self._is_broken:
            raise Refused(REFERENCE_NOT_A_DATA_URL)

    async def __call__(self) -> bytes:
        """Read it."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def _decode(self, end: int) -> None:
        raw = bytes(self._raw[:end])
        del self._raw[:end]
        if self._is_broken or self._size > MAX_EACH:
            return
        try:
            text = json.loads(b'"%s"' % raw) if b"\\" in raw else raw.decode("ascii")
            text = self._encoded + without_line_breaks(text)
            whole = len(text) // 4 * 4
            data = pybase64.b64decode(text[:whole], validate=True)
        except ValueError:
            self._is_broken = True
            return
        self._is_broken = self._is_padded and bool(text)
        self._is_padded = data != b"" and text[:whole].endswith("=")
        self._encoded = text[whole:]
        self._size += len(data)
        self._file.write(data)


class JSONSplitter:
    """Takes JSON piece by piece, and keeps its large data URLs apart from the `rest`."""

    def __init__(self, files: ExitStack) -> None:
        self.rest = bytearray()
        self._files = files
        self._images: list[JSONImage] = []
        self._is_text = False
        self._begin: bytearray | None = None  # of a text that may turn out to be an image
        self._image: JSONImage | None = None
        self._cut = b""  # the half of an escape

    def take(self, chunk: bytes) -> None:
        """Take the next piece. Raises Refused when the rest is too large, OSError."""
        chunk, self._cut = self._cut + chunk, b""
        at = 0
        while at < len(chunk):
            at = self._take_text(chunk, at) if self._is_text else self._take_other(chunk, at)
            if len(self.rest) > MAX_JSON:
                raise Refused(BODY_TOO_LARGE, max=f"{MAX_JSON // 2**20} MiB without its images")

    def image_of(self, value: Any, *, depth: int = MAX_DEPTH) -> Any:
        """Put the images of a field in place of their marks, also in the objects of a list."""
        if isinstance(value, str):
            return self._images[int(value.removeprefix(_MARK))] if value.startswith(_MARK) else value
        if depth and isinstance(value, list):
            return [self.image_of(item, depth=depth - 1) for item in value]
        if depth and isinstance(value, dict):
            return {name: self.image_of(item, depth=depth - 1) for name, item in value.items()}
        return value

    def _take_other(self, chunk: bytes, at: int) -> int:
        """Take what is no text, to the quote that begins one; answer where it ends."""
        quote = chunk.find(b'"', at)
        end = len(chunk) if quote < 0 else quote + 1
        self.rest += chunk[at:end]
        if quote >= 0:
            self._is_text, self._begin = True, bytearray()
        return end

    def _take_text(self, chunk: bytes, at: int) -> int:
        """Take a text, to its end if that is there; answer where it ends."""
        end = _end_of_text(chunk, at)
        self._take_part(chunk[at:end])
        if end == len(chunk):
            return end
        if chunk[end : end + 1] == b"\\":  # the last one
            self._cut = b"\\"
            return len(chunk)
        self._end_text()
        return end + 1

    def _take_part(self, raw: bytes) -> None:
        if self._image is not None:
            self._image.write(raw)
        elif self._begin is None:
            self.rest += raw
        else:
            self._begin += raw
            if len(self._begin) >= SMALL:
                self._decide(bytes(self._begin))

    def _decide(self, begin: bytes) -> None:
        """Tell by its begin whether a text that is not small is an image. Raises Refused for too many of them."""
        self._begin = None
        if (start := head_of(begin)) is not None:
            if len(self._images) == MOST:
                raise Refused(TOO_MANY_REFERENCES, max=MAX_REFERENCES)
            self._image = JSONImage(self._files)
            self._image.write(begin[start:])
            self.rest += f"{_MARK}{len(self._images)}".encode()
            self._images.append(self._image)
        else:
            self.rest += begin

    def _end_text(self) -> None:
        if self._image is not None:
            self._image.end()
        self.rest += b'"' if self._begin is None else self._begin + b'"'
        self._is_text, self._begin, self._image = False, None, None


def _end_of_text(chunk: bytes, at: int) -> int:
    """Find the quote that ends a text, or the last backslash if its escape is cut, or the end of what is there."""
    quote = chunk.find(b'"', at)
    end = len(chunk) if quote < 0 else quote
    if chunk.find(b"\\", at, end) < 0:  # as in most base64, which is looked through much faster so
        return end
    found = _TEXT.match(chunk, at)
    return found.end() if found else at
