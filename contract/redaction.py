"""Redaction: the one place where foreign text becomes fit to be stored and shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]+")
_MARKUP = re.compile(r"<[^>]{0,200}>")
_SECRET = re.compile(r"(?i)(bearer\s+\S+|sk-[\w-]{6,}|data:[\w/+.-]+;base64,\S+|(?:key|token|secret)=[^\s&]+)")


def clean(text: str, *, secrets: Sequence[str] = (), limit: int = 200) -> str:
    """Make a provider's text fit to be shown: no control characters, markup, keys or floods.

    `secrets` are removed wherever they stand; the result has at most `limit` characters.
    """
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    if len(text) > 20 * limit:  # the word at the cut goes too: it may be a part of a key
        text = text[: 20 * limit - 200] + text[20 * limit - 200 : 20 * limit].rpartition(" ")[0]
    text = _SECRET.sub("…", _MARKUP.sub(" ", _CONTROL.sub(" ", text)))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
