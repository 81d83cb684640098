"""Multipart forms: their files go to disk as they arrive, and their texts are few bytes together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from contract.artifacts.references import MAX_EACH
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.exceptions import Refused
from producer.api.requests import MAX_JSON, media_type, open_body
from producer.error_catalogue import BODY_TOO_LARGE, MULTIPART_INVALID, UNSUPPORTED_MEDIA_TYPE, UPLOAD_TOO_LARGE

MAX_FIELDS = 64
MAX_FIELD_BYTES = 2**20
MAX_TEXT = MAX_JSON  # bytes of all fields without a file


class _Parser(MultiPartParser):
    """Starlette's, with a bound on what it holds in memory."""

    spool_max_size = 2**16  # bytes of a file in memory
    _text = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a part. Raises Refused."""
        if self._current_part.file is None:
            self._text += end - start
            if self._text > MAX_TEXT:
                raise Refused(BODY_TOO_LARGE, max=f"{MAX_TEXT // 2**20} MiB without its files")
        super().on_part_data(data, start, end)


@asynccontextmanager
async def open_form(request: Request, *, most: int, most_files: int) -> AsyncIterator[FormData]:
    """Read a multipart form, its files onto disk for the time being. Raises Refused; ClientDisconnect."""
    if media_type(request) != "multipart/form-data":
        raise Refused(UNSUPPORTED_MEDIA_TYPE, accepted="multipart/form-data")
    async with open_body(request, most=most, kind=UPLOAD_TOO_LARGE) as chunks:
        try:
            parser = _Parser(
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


class FormImage:
    """A file of a form, read when its turn has come."""

    def __init__(self, file: UploadFile) -> None:
        """Take a file. Raises Refused (`upload_too_large`)."""
        if (file.size or 0) > MAX_EACH:
            raise Refused(UPLOAD_TOO_LARGE, max=f"{MAX_EACH // 2**20} MiB")
        self._file = file

    async def __call__(self) -> bytes:
        """Read it."""
        await self._file.seek(0)
        return await self._file.read()
