"""Redaction: the one place where foreign text becomes fit to be stored and shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Terminal sequences (CSI, OSC), control characters, what turns the direction of writing, halves of characters.
_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)?"
    r"|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_MARKUP = re.compile(r"<[^<>]{0,200}>")
LEAST = 4  # characters of a secret that can be told from other words
BEGIN = 32  # characters of a secret; a text that has these may have been cut in the midst of it
_SECRET = re.compile(r"(?i)(bearer\s+\S+|sk-[\w-]{6,}|data:[\w/+.-]+;base64,\S+|(?:key|token|secret)=[^\s&]+)")


def clean(text: str, *, secrets: Sequence[str] = (), limit: int = 200) -> str:
    """Make a provider's text fit to be shown: no control characters, markup, keys or floods.

    `secrets` are removed wherever they stand; the result has at most `limit` characters.
    """
    for secret in secrets:
        text = _without(text, secret)
    if len(text) > 20 * limit:  # the word at the cut goes too: it may be a part of a key
        text = text[: 20 * limit - 200] + text[20 * limit - 200 : 20 * limit].rpartition(" ")[0]
    text = _plain(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _without(text: str, secret: str) -> str:
    """Take a secret out of a text, also one that was cleaned, or cut off, before."""
    for form in (secret, _plain(secret)):
        if len(form) < LEAST:
            continue
        text = text.replace(form, "…")
        if len(form) > BEGIN and (place := text.find(form[:BEGIN])) >= 0:
            text = text[:place] + "…"
        end = text.rstrip("…")
        begin = next((size for size in range(BEGIN, LEAST, -1) if end.endswith(form[:size])), 0)
        text = end[:-begin] + "…" if begin else text
    return text


def _plain(text: str) -> str:
    text = _one_line(_CONTROL.sub(" ", text))
    for _ in range(2):  # without its secrets a long tag may be short enough to be seen as one
        text = _one_line(_SECRET.sub("…", _MARKUP.sub(" ", text)))
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())
