"""Pictures inside of JSON: `data:image/…;base64,…`."""

from __future__ import annotations

import re

import pybase64

from contract.errors import Refused
from contract.references import MAX_EACH

_HEAD = re.compile(r"data:image/[\w.+-]{1,30}(?:;[\w=.+-]{1,60}){0,4};base64,", re.ASCII | re.IGNORECASE)


def decode(url: str) -> bytes:
    """Read the bytes of a data URL; blocking for a large one. Raises Refused."""
    head = _HEAD.match(url)
    if not head:
        raise Refused("reference_not_a_data_url")
    if len(url) > MAX_EACH * 4 // 3 + 200:
        raise Refused("upload_too_large", max=f"{MAX_EACH // 2**20} MiB")
    try:
        return pybase64.b64decode(url[head.end() :], validate=True)
    except ValueError as error:
        raise Refused("reference_not_a_data_url") from error


def encode(data: bytes, mime: str) -> str:
    """Write bytes as a data URL; blocking for a large picture."""
    return f"data:{mime};base64,{pybase64.b64encode_as_string(data)}"
