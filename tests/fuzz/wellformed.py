"""What is fit to be stored and shown: errors of ours, whose sentence is one plain line without secrets."""

from __future__ import annotations

import json
import math
import re
import unicodedata

from contract.errors.catalogue.table import KINDS
from worker.answers.errors import ProviderError, revive
from worker.answers.redaction import clean

MAX_DETAIL = 500
LEAST_OF_KEY = 8  # characters of a key that are a leak
LEAST_OF_PROMPT = 40

# No usual forms of keys, so that only their being known can take them away.
KEYS = ("custom-key-0123456789abcdefghij", "long." + "0a1b2c3d4e5f6g7h" * 4)
PROMPTS = (
    "a very red fox in the snow",
    "a very red fox\nin  the snow",
    "a very <b>red</b> fox in the snow",
    "a very red fox in the snow, " + "and another one behind it, " * 10,
    "ein sehr roter Fuchs, \u201eim Schnee\u201c \U0001f98a",
)

_MARKUP = re.compile(r"<[a-zA-Z/!?][^<>]*>")
_NOT_PLAIN = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, halves of characters, ends of lines


def assert_plain(text: str) -> None:
    """Assert that a text is one line that every terminal, page and encoding can take."""
    odd = {ascii(character) for character in text if unicodedata.category(character) in _NOT_PLAIN}
    assert not odd, f"control characters: {odd}"
    found = _MARKUP.search(text)
    assert found is None, f"markup: {found}"
    assert text == " ".join(text.split())


def assert_secret(text: str, *, prompt: str) -> None:
    """Assert that neither a key's begin nor the prompt, however it was cleaned, stands in a text."""
    assert not any(key[:LEAST_OF_KEY] in text for key in KEYS), "a part of a key"
    assert prompt[:LEAST_OF_PROMPT] not in text
    assert clean(prompt)[:LEAST_OF_PROMPT] not in text, "the prompt, cleaned"


def assert_error(error: ProviderError, *codes: str, prompt: str = PROMPTS[0]) -> None:
    """Assert that an error has one of these codes, can be shown once it is named, and be made again elsewhere."""
    assert isinstance(error, ProviderError)
    assert error.code in (codes or KINDS)
    record = json.loads(json.dumps(error.record()))
    assert revive(record).record() == record
    json.dumps(record, allow_nan=False)
    wait_s = error.retry_after_s
    assert wait_s is None or (math.isfinite(wait_s) and wait_s >= 0)
    named = error.named(secrets=(*KEYS, prompt), provider="openrouter", model="some/model", seconds=1.5)
    assert len(named.detail) <= MAX_DETAIL
    assert_plain(named.detail)
    assert_secret(named.detail, prompt=prompt)
