"""Reference images that clients send: capped, looked at in a child process, kept by their content."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import IO

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from contract.artifacts.references import MAX_EACH
from contract.errors.catalogue.job_failure import STORAGE_FULL
from contract.errors.exceptions import Refused
from producer.api.authentication import Submitter
from producer.api.dependencies import Here
from producer.api.forms import FormImage, open_form
from producer.api.job_json import json_response
from producer.api.openapi import BODY, UPLOAD, UPLOADED, errors
from producer.api.requests import media_type, open_body
from producer.api.services.owner_turns import end_turn
from producer.error_catalogue import MULTIPART_INVALID, UNSUPPORTED_MEDIA_TYPE, UPLOAD_TOO_LARGE
from producer.imaging.intake import keep_upload
from producer.imaging.sandbox import Picture
from producer.imaging.turns import Asker

FORM_BYTES = 2**20  # around the file
IN_MEMORY = 2**16  # bytes of an image before it goes to disk

router = APIRouter(prefix="/v1/uploads", tags=["uploads"])


@router.post("", status_code=201, openapi_extra=UPLOAD, responses=UPLOADED | errors(*BODY, "507"))
async def upload(request: Request, gateway: Here, caller: Submitter) -> Response:
    """Upload an image, as the body itself or in a form's field `file`, to name it in `reference_images`."""
    rates = await caller.count(gateway)
    asker = Asker(caller.owner, request.is_disconnected)
    end_turn(request.scope)  # the sandbox has turns of its own
    async with _open_image(request) as image:
        kept = await keep_upload(gateway.pictures, caller.client.owner_images, image, asker=asker)
    return json_response(kept, status=201, headers=rates)


@asynccontextmanager
async def _open_image(request: Request) -> AsyncIterator[Picture]:
    """Receive an image, and have it for the length of the block. Raises Refused; ClientDisconnect."""
    if media_type(request) == "multipart/form-data":
        async with open_form(request, most=MAX_EACH + FORM_BYTES, most_files=1) as form:
            file = next((item for _, item in form.multi_items() if isinstance(item, UploadFile)), None)
            if file is None:
                raise Refused(MULTIPART_INVALID, reason="it has no file")
            yield FormImage(file)
    elif media_type(request).startswith("image/"):
        async with open_body(request, most=MAX_EACH, kind=UPLOAD_TOO_LARGE) as chunks:
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as received:
                await _receive(chunks, received)
                yield partial(asyncio.to_thread, _read_whole, received)
    else:
        raise Refused(UNSUPPORTED_MEDIA_TYPE, accepted="multipart/form-data, image/png, image/jpeg, image/webp")


async def _receive(chunks: AsyncIterable[bytes], file: IO[bytes]) -> None:
    """Collect a body on disk, so that a slow client costs no memory."""
    try:
        async for chunk in chunks:
            file.write(chunk)
    except OSError as error:
        raise Refused(STORAGE_FULL) from error


def _read_whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
