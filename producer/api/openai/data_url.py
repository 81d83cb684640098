"""Images in JSON: `data:image/…;base64,…`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pybase64

from contract.errors.catalogue.request import TOO_MANY_REFERENCES, TYPE_ERROR
from contract.errors.exceptions import Refused
from contract.jobs.request import MAX_REFERENCES
from producer.api.openai.json_images import JSONImage
from producer.error_catalogue import REFERENCE_NOT_A_DATA_URL
from producer.imaging.sandbox import Picture

_HEAD = re.compile(r"data:image/[\w.+-]{1,30}(?:;[\w=.+-]{1,60}){0,4};base64,", re.ASCII | re.IGNORECASE)


def images_in(body: Mapping[str, Any], name: str) -> list[Picture]:
    """List the images of a field that has one data URL, several or none. Raises Refused."""
    value = body.get(name) or []
    urls = value if isinstance(value, list) else [value]
    if not all(isinstance(url, str | JSONImage) for url in urls):
        raise Refused(TYPE_ERROR, field=name, expected="it must be a data URL, or a list of some").at(name)
    if len(urls) > MAX_REFERENCES:
        raise Refused(TOO_MANY_REFERENCES, max=MAX_REFERENCES).at(name)
    return [_image(url) for url in urls]


def _image(url: str | JSONImage) -> Picture:
    """Find the image of a data URL. Raises Refused."""
    if isinstance(url, str):
        return decode(url)
    url.check()
    return url


def decode(url: str) -> bytes:
    """Read the bytes of a small data URL. Raises Refused."""
    head = _HEAD.match(url)
    if not head:
        raise Refused(REFERENCE_NOT_A_DATA_URL)
    try:
        return pybase64.b64decode(url[head.end() :], validate=True)
    except ValueError as error:
        raise Refused(REFERENCE_NOT_A_DATA_URL) from error
