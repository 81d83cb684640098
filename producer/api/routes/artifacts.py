"""Images over HTTP: the bytes, a thumbnail, the sidecar; by token or by a signed link."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from contract.artifacts.sidecar import Sidecar
from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND, TYPE_ERROR
from contract.errors.exceptions import Refused, Unavailable
from contract.untrusted.imaging.limits import EXTENSIONS
from producer.api.authentication import Reader, identify, needs
from producer.api.dependencies import Gateway, Here
from producer.api.image_response import ImageFileResponse, copy_response
from producer.api.job_json import json_response
from producer.api.openapi import IMAGE, SIDECAR, errors
from producer.api.services.owner_turns import end_turn
from producer.client.owner_images import find_image
from producer.client.redis_deadline import redis_deadline
from producer.imaging.thumbnails import SIDES
from producer.imaging.turns import Asker
from producer.tokens import Right

may_read = needs(Right.READ)
FOREVER = "private, max-age=31536000, immutable"

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])
Side = Annotated[
    int | None,
    Query(
        description=f"A smaller image, with sides of at most {', '.join(map(str, SIDES))}: a JPEG, or a PNG if one can "
        "see through it.",
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
        locator = await _own(request, gateway, artifact_id)
    else:
        gateway.links.check(artifact_id, thumbnail=thumbnail, expires=expires or 0, signature=signature)
        locator = await find_image(gateway.connections.artifacts, gateway.connections.store, artifact_id)
    artifacts = gateway.connections.artifacts
    sidecar = await artifacts.sidecar(locator)
    etag = f'"{sidecar.sha256[:32]}{f"-{thumbnail}" if thumbnail else ""}"'
    headers = {
        "Cache-Control": FOREVER,
        "ETag": etag,
        "Cross-Origin-Resource-Policy": "same-origin" if signature is None else "cross-origin",
    }
    if etag in [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    if thumbnail is None:
        return await _original(request, gateway, locator, sidecar, headers | _named(sidecar.id, sidecar.mime))
    stored = await artifacts.stat(locator)
    if stored is None:
        raise Refused(ARTIFACT_NOT_FOUND)
    if (kept := await gateway.thumbnails.kept(sidecar.id, side=thumbnail)) is None:
        asker = await asker_of(request, gateway, sidecar)
        end_turn(request.scope)  # the sandbox has turns of its own
        kept = await gateway.thumbnails.find(sidecar, locator, side=thumbnail, asker=asker)
    data, mime = kept
    headers |= _named(f"{sidecar.id}-{thumbnail}", mime)
    return copy_response(request.headers, data, made_at=stored.modified_at, mime=mime, headers=headers)


@router.get("/{artifact_id}/sidecar", responses=SIDECAR | errors("404"))
async def sidecar(request: Request, gateway: Here, caller: Reader, artifact_id: str) -> Response:
    """Get the sidecar of an image. Host paths are only for tokens with the right `paths`."""
    record = await caller.client.artifacts.sidecar(await caller.client.owner_images.find(artifact_id))
    return json_response(shown(record, with_paths=caller.may(Right.PATHS)))


def _named(name: str, mime: str) -> dict[str, str]:
    """Name the file that a client may save, by what it is."""
    return {"Content-Disposition": f'inline; filename="{name}.{EXTENSIONS[mime]}"'}


def shown(record: Sidecar, *, with_paths: bool) -> dict[str, object]:
    """Make the JSON of a sidecar for its owner."""
    return record.model_dump(mode="json", exclude=set() if with_paths else {"path", "source_images"})


async def _original(
    request: Request, gateway: Gateway, locator: str, sidecar: Sidecar, headers: dict[str, str]
) -> Response:
    owner = (await asker_of(request, gateway, sidecar)).turn
    turn = partial(gateway.pieces.take, owner)
    with ExitStack() as place:
        place.enter_context(gateway.answers.join(owner))
        try:
            found = await gateway.connections.artifacts.open(locator)
        except FileNotFoundError as error:
            raise Refused(ARTIFACT_NOT_FOUND) from error
        try:
            return ImageFileResponse(request.headers, found, mime=sidecar.mime, headers=headers, place=place, turn=turn)
        except Refused:
            await found.close()
            raise


async def _own(request: Request, gateway: Gateway, artifact_id: str) -> str:
    """Find an image by the token of its owner."""
    caller = await may_read(await identify(request, gateway))
    return await caller.client.owner_images.find(artifact_id)


async def asker_of(request: Request, gateway: Gateway, sidecar: Sidecar) -> Asker:
    """Tell whose turn it is to have an image: its owner's, whom a signed link does not name."""
    try:
        async with redis_deadline():
            owner = await gateway.connections.store.image_owner(sidecar.id)
    except Unavailable:
        owner = ""
    return Asker(sidecar.job_id, request.is_disconnected, owner_digest=owner)  # the job's, if it was forgotten
