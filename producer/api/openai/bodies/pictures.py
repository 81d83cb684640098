"""The images of a request, under whichever name and in whichever form a client of OpenAI's API sends them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from contract.errors.catalogue.request import TOO_MANY_REFERENCES, TYPE_ERROR, UNKNOWN_FIELD
from contract.errors.exceptions import Refused
from contract.jobs.request import MAX_REFERENCES
from producer.api.authentication import Caller
from producer.api.dependencies import Gateway
from producer.api.forms import FormImage
from producer.api.openai.bodies.data_url import decode
from producer.api.openai.bodies.json_images import JSONImage
from producer.api.services.owner_turns import end_turn
from producer.error_catalogue import MASK_NOT_SUPPORTED
from producer.imaging.intake import keep_upload
from producer.imaging.sandbox import Picture
from producer.imaging.turns import Asker

Reference = Picture | str  # an image, or the id of one that is kept here

_NAME = re.compile(
    r"(?:image|images|image_url|image_urls|input_image|input_images|input_references|reference_images)"
    r"(?:\[([0-9]{0,3})\])?",
    re.ASCII,
)
_MASK = re.compile(r"(?:mask|masks|markup)(?:\[[0-9]{0,3}\])?", re.ASCII)
_ID = re.compile(r"(?:img|up)_[0-9a-f]{1,80}", re.ASCII)
_INNER = ("image_url", "url", "b64_json", "file_id", "image")  # where an object has its image


def references_in(fields: Iterable[tuple[str, Any]]) -> list[Reference]:
    """Find the images among the fields of a body, in order.

    Raises Refused for what is no image, for a mask, and for a file that would be left out.
    """
    found: list[tuple[int, str, Any]] = []
    for position, (name, value) in enumerate(fields):
        if _is_empty(value):
            continue
        if _MASK.fullmatch(name):
            raise Refused(MASK_NOT_SUPPORTED).at("mask")
        if match := _NAME.fullmatch(name):
            found.append((int(match[1] or position), name.partition("[")[0], value))
        elif isinstance(value, UploadFile):
            raise Refused(UNKNOWN_FIELD, suggestion="image").at("image")
    found.sort(key=lambda item: item[0])
    references = [item for _, name, value in found for item in _references(value, name)]
    if len(references) > MAX_REFERENCES:
        raise Refused(TOO_MANY_REFERENCES, max=MAX_REFERENCES).at("image")
    return references


async def keep_references(
    request: Request, gateway: Gateway, caller: Caller, references: Iterable[Reference]
) -> list[str]:
    """Keep images as uploads of their owner; answer the ids of all. Raises Refused, Unavailable."""
    own, asker = caller.client.owner_images, Asker(caller.owner, request.is_disconnected)
    end_turn(request.scope)  # the sandbox has turns of its own
    return [
        reference
        if isinstance(reference, str)
        else (await keep_upload(gateway.pictures, own, reference, asker=asker, is_sent_along=True))["id"]
        for reference in references
    ]


def _is_empty(value: object) -> bool:
    if isinstance(value, UploadFile):
        return not value.size and not value.filename  # as browsers send a file that was not chosen
    return not value and not isinstance(value, int)


def _references(value: Any, name: str) -> Iterator[Reference]:
    for item in value if isinstance(value, list) else [value]:
        yield _reference(item, name)


def _reference(item: Any, name: str) -> Reference:
    """Read one image, or the id of one. Raises Refused."""
    if isinstance(item, UploadFile):
        return FormImage(item)
    inner = item
    for _ in range(2):  # {"image_url": {"url": …}}
        if isinstance(inner, Mapping):
            inner = next((inner[key] for key in _INNER if inner.get(key)), None)
    if isinstance(inner, JSONImage):
        inner.check()
        return inner
    if not isinstance(inner, str):
        raise Refused(TYPE_ERROR, field=name, expected="it must be a data URL, or a list of some").at(name)
    return inner if _ID.fullmatch(inner) else decode(inner)
