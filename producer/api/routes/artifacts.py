"""Images over HTTP: the bytes, a thumbnail, the sidecar; by token or by a signed link."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from contract.artifacts.sidecar import Sidecar, read_record
from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import TYPE_ERROR
from contract.untrusted.imaging.inspect import EXTENSIONS
from producer.api.authentication import Reader, identify, needs
from producer.api.dependencies import Gateway, Here
from producer.api.job_json import json_response
from producer.api.openapi import IMAGE, SIDECAR, errors
from producer.client.owner_client import OwnerClient
from producer.error_catalogue import RANGE_NOT_SATISFIABLE
from producer.imaging.thumbnails import SIDES
from producer.tokens import Right

may_read = needs(Right.READ)
_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-[1-9][0-9]{0,14})")
FOREVER = "private, max-age=31536000, immutable"

NOBODY = ""  # owns nothing: a signed link tells of no owner
router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])
Side = Annotated[
    int | None,
    Query(
        description=f"A smaller picture, with sides of at most {', '.join(map(str, SIDES))}.",
        json_schema_extra={"enum": [*SIDES]},
    ),
]


@router.get("/{artifact_id}", response_class=Response, responses=IMAGE | errors("403", "404", "416"))
async def image(
    request: Request,
    gateway: Here,
    artifact_id: str,
    thumbnail: Side = None,
    expires: Annotated[int | None, Query(ge=0, description="Of a signed link.")] = None,
    signature: Annotated[str | None, Query(max_length=64, description="Of a signed link.")] = None,
) -> Response:
    """Get an image. It never changes, so it may be kept for ever; parts of it are answered to `Range`."""
    if thumbnail is not None and thumbnail not in SIDES:
        raise Refused(TYPE_ERROR, field="thumbnail", expected=f"it must be of {SIDES}").at("query", "thumbnail")
    if signature is None:
        path = await _own(request, gateway, artifact_id)
    else:
        gateway.links.check(artifact_id, thumbnail=thumbnail, expires=expires or 0, signature=signature)
        nobody = OwnerClient(gateway.connections, owner=NOBODY, names_paths=False)
        path = await nobody.owner_images.find_signed(artifact_id)
    sidecar = await asyncio.to_thread(read_record, path)
    etag = f'"{sidecar.sha256[:32]}{f"-{thumbnail}" if thumbnail else ""}"'
    headers = {
        "Cache-Control": FOREVER,
        "ETag": etag,
        "Content-Disposition": f'inline; filename="{sidecar.id}.{EXTENSIONS[sidecar.mime]}"',
        "Cross-Origin-Resource-Policy": "same-origin" if signature is None else "cross-origin",
    }
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    if thumbnail is not None:
        path, mime = await gateway.thumbnails.find(sidecar, path, side=thumbnail)
    else:
        mime = sidecar.mime
    await _choose_range(request, path)
    return FileResponse(path, headers=headers, media_type=mime)


@router.get("/{artifact_id}/sidecar", responses=SIDECAR | errors("404"))
async def sidecar(request: Request, gateway: Here, caller: Reader, artifact_id: str) -> Response:
    """Get what is known of an image: the JSON beside it. Host paths are for tokens with the right `paths` only."""
    path = await caller.client.owner_images.find(artifact_id)
    record = await asyncio.to_thread(read_record, path)
    return json_response(shown(record, with_paths=caller.may(Right.PATHS)))


def shown(record: Sidecar, *, with_paths: bool) -> dict[str, object]:
    """Make the JSON of a sidecar for its owner."""
    return record.model_dump(mode="json", exclude=set() if with_paths else {"path", "source_images"})


async def _choose_range(request: Request, path: Path) -> None:
    """Let a wish for one range pass, and ignore whatever else `Range` may say, as it is only a wish.

    Raises Refused when nothing is there.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found and found[1]:
        first, last = int(found[1]), int(found[2] or found[1])
        size = (await asyncio.to_thread(path.stat)).st_size
        if size <= first <= last:
            raise Refused(RANGE_NOT_SATISFIABLE, headers={"Content-Range": f"bytes */{size}"})
        found = found if first <= last else None
    if not found:
        request.scope["headers"] = [header for header in request.scope["headers"] if header[0] != b"range"]


async def _own(request: Request, gateway: Gateway, artifact_id: str) -> Path:
    """Find an image by the token of its owner."""
    caller = await may_read(await identify(request, gateway))
    return await caller.client.owner_images.find(artifact_id)
