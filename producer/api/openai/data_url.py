"""Images in JSON: `data:image/…;base64,…`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pybase64

from contract.artifacts.references import MAX_EACH
from contract.errors.catalogue.request import TOO_MANY_REFERENCES, TYPE_ERROR
from contract.errors.exceptions import Refused
from contract.jobs.request import MAX_REFERENCES
from producer.error_catalogue import REFERENCE_NOT_A_DATA_URL, UPLOAD_TOO_LARGE

MAX_JSON_PICTURES = 32 * 2**20  # bytes of a body that may have some

_HEAD = re.compile(r"data:image/[\w.+-]{1,30}(?:;[\w=.+-]{1,60}){0,4};base64,", re.ASCII | re.IGNORECASE)


def read_urls(body: Mapping[str, Any], name: str) -> list[str]:
    """List the data URLs of a field that has one, several or none. Raises Refused."""
    value = body.get(name) or []
    urls = [value] if isinstance(value, str) else value
    if not (isinstance(urls, list) and all(isinstance(url, str) for url in urls)):
        raise Refused(TYPE_ERROR, field=name, expected="it must be a data URL, or a list of some").at(name)
    if len(urls) > MAX_REFERENCES:
        raise Refused(TOO_MANY_REFERENCES, max=MAX_REFERENCES).at(name)
    return urls


def decode(url: str) -> bytes:
    """Read the bytes of a data URL; blocking for a large one. Raises Refused."""
    head = _HEAD.match(url)
    if not head:
        raise Refused(REFERENCE_NOT_A_DATA_URL)
    if len(url) > MAX_EACH * 4 // 3 + 200:
        raise Refused(UPLOAD_TOO_LARGE, max=f"{MAX_EACH // 2**20} MiB")
    try:
        return pybase64.b64decode(url[head.end() :], validate=True)
    except ValueError as error:
        raise Refused(REFERENCE_NOT_A_DATA_URL) from error
