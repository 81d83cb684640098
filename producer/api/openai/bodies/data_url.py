"""Images in JSON: `data:image/…;base64,…`, or the base64 alone where its begin is that of an image."""

from __future__ import annotations

import re

import pybase64

from contract.errors.exceptions import Refused
from producer.error_catalogue import REFERENCE_NOT_A_DATA_URL

_HEAD = re.compile(
    rb"(?i:data:image\\?/[\w.+-]{1,30}(?:;[\w=.+-]{1,60}){0,4};base64,)"
    rb"|(?=iVBORw0KGgo|\\?/9j\\?/|R0lGOD[dl]|UklGR|AAAA\wGZ0eXB)",  # PNG, JPEG, GIF, WebP, HEIC and AVIF
    re.ASCII,
)
_LINE_BREAKS = {ord("\r"): None, ord("\n"): None}


def head_of(begin: bytes) -> int | None:
    """Tell where the base64 of an image begins in a text, as JSON spells it; None if it is no image."""
    head = _HEAD.match(begin)
    return head.end() if head else None


def without_line_breaks(text: str) -> str:
    """Take out what base64 of mails and of command lines has after every 60 to 76 characters."""
    return text.translate(_LINE_BREAKS) if "\n" in text or "\r" in text else text


def decode(url: str) -> bytes:
    """Read the bytes of a small image. Raises Refused."""
    start = head_of(url[:400].encode("utf-8", "replace"))
    if start is None:
        raise Refused(REFERENCE_NOT_A_DATA_URL)
    try:
        return pybase64.b64decode(without_line_breaks(url[start:]), validate=True)
    except ValueError as error:
        raise Refused(REFERENCE_NOT_A_DATA_URL) from error
