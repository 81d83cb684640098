"""Redaction: the one place where foreign text becomes fit to be stored and shown."""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Iterator, Sequence
from urllib.parse import quote, quote_plus

# Terminal sequences (CSI, OSC), control characters, what turns the direction of writing, halves of characters.
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?"
    r"|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_MARKUP = re.compile(r"<[^<>]{0,200}>")
LEAST = 4  # characters of a secret that can be told from other words
RUN = 12  # characters in a row that a text has from a secret by no accident
_SECRET = re.compile(r"(?i)(bearer\s+\S+|sk-[\w-]{6,}|data:[\w/+.-]+;base64,\S+|(?:key|token|secret)=[^\s&]+)")
_HEX = re.compile(r"[0-9a-fA-F]{12}")
_BASE64 = re.compile(r"[\w+/-]{12}")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # unlike lower() it keeps every place


def clean(text: str, *, secrets: Sequence[str] = (), limit: int = 200) -> str:
    """Make a provider's text fit to be shown: no control characters, markup, keys or floods.

    `secrets` are removed wherever a part of them stands, however it is spelt; the result has at most
    `limit` characters.
    """
    whole, text = text, text[: 20 * limit]
    for secret in secrets:
        for form in _spellings(secret, text):
            text = _without(text, form)
    if len(whole) > 20 * limit:  # the word at the cut goes too: it may be a part of a key
        text = text[:-200] + text[-200:].rpartition(" ")[0]
    text = _plain(text)
    for secret in secrets:
        text = _without(text, _plain(secret))  # blanks, markup or invisible signs may have been set into it
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _spellings(secret: str, text: str) -> Iterator[str]:
    """Spell a secret as it is, as it was cleaned before, and in the ways of which a text shows signs."""
    yield secret
    yield _plain(secret)
    data = secret.encode("utf-8", "surrogatepass")
    if "\\" in text:
        yield json.dumps(secret)[1:-1]
        yield repr(data)[2:-1]
    if "%" in text or "+" in text:
        yield quote(data, safe="")
        yield quote_plus(data)
    if _HEX.search(text):
        yield data.hex()
    if _BASE64.search(text):
        for before in range(3):
            coded = base64.b64encode(bytes(before) + data).decode().rstrip("=")[4 if before else 0 : -1]
            yield coded
            yield coded.translate(str.maketrans("+/", "-_"))


def _without(text: str, secret: str) -> str:
    """Take out of a text what it has from a secret, also a beginning at which it was cut."""
    size = min(RUN, len(secret))
    if size < LEAST:
        return text
    low, form = text.translate(_LOWER), secret.translate(_LOWER)
    runs = {form[start : start + size] for start in range(len(form) - size + 1)}
    kept: list[str] = []
    place = 0
    for start in range(len(low) - size + 1):
        if low[start : start + size] in runs:
            if start > place or not kept:
                kept += [text[place:start], " …" if text[start] == " " else "…"]
            place = start + size
    text = re.sub("…+", "…", "".join([*kept, text[place:]]))
    end = text.rstrip("…")
    tail = end[-size:].translate(_LOWER)
    begin = next((part for part in range(size - 1, LEAST, -1) if tail.endswith(form[:part])), 0)
    return end[:-begin] + "…" if begin else text


def _plain(text: str) -> str:
    text = _one_line(_CONTROL.sub(" ", text))
    for _ in range(2):  # without its secrets a long tag may be short enough to be seen as one
        text = _one_line(_SECRET.sub("…", _MARKUP.sub(" ", text)))
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())
