"""Base64 texts and data URLs as providers spell them, and as nobody should (P57, P58)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st
from simulator.providers.spelling import PREFIXES, TEXTS, UNREADABLE, USUAL_PREFIX

from tests.fuzz.wellformed import assert_error
from worker.answers.errors import Interrupted
from worker.sandbox.child import decode_picture, is_link

Way = Callable[[str], str]

_BLANKS = st.sampled_from((" ", "\n", "\r\n", "\t", "  ", "\f"))


def _broken(blank: str, every: int) -> Way:
    return lambda text: blank.join(text[at : at + every] for at in range(0, len(text), every))


def _escaped(characters: str) -> Way:
    return lambda text: "".join(quote(one, safe="") if one in characters else one for one in text)


def _around(before: str, after: str) -> Way:
    return lambda text: before + text + after


_GAPS = st.builds(_broken, _BLANKS, st.integers(1, 80)) | st.builds(_around, _BLANKS, _BLANKS)
_LETTERS = st.sampled_from(("unpadded", "url_safe", "usual")).map(TEXTS.__getitem__)
_ESCAPES = st.sampled_from(("+", "/", "=", "+/=", "ABCDEFabcdef+/=")).map(_escaped)
_FAIR = st.tuples(st.lists(_LETTERS, max_size=2), st.lists(_GAPS, max_size=2)).map(lambda ways: [*ways[0], *ways[1]])
_FOUL: st.SearchStrategy[Way] = (
    st.sampled_from(UNREADABLE).map(TEXTS.__getitem__)
    | st.builds(_around, st.text(max_size=5), st.text(max_size=5))
    | st.sampled_from((*"ABCD=%", "%2", "==", "%3D", "\x00", ",", "data:,")).map(lambda odd: _around("", odd))
    | st.sampled_from((*"ABCD=%", "%2", "==", "\x00", ",", "data:")).map(lambda odd: _around(odd, ""))
)
# What is not said to be base64 is so only if nothing in it is escaped.
_UNMARKED = st.sampled_from((PREFIXES["only_marker"], PREFIXES["not_marked"]))
_WRITTEN = tuple(prefix for name, prefix in PREFIXES.items() if name not in ("only_marker", "not_marked"))
_MARKED = st.sampled_from((*_WRITTEN, USUAL_PREFIX, " \n" + USUAL_PREFIX, USUAL_PREFIX + "\r\n", USUAL_PREFIX.title()))


@dataclass(frozen=True, slots=True)
class Spelling:
    """A picture's bytes, and a text that stands for them, more or less."""

    data: bytes
    text: str


def _spelt(data: bytes, prefix: str, ways: list[Way]) -> Spelling:
    text = base64.b64encode(data).decode()
    for way in ways:
        text = way(text)
    return Spelling(data, prefix + text)


_DATA = st.binary(min_size=1, max_size=60) | st.sampled_from((b"\xfb\xff\xbf" * 20, b"\xff" * 61, b"\x89PNG\r\n\x1a\n"))
FAIR = (
    st.builds(_spelt, _DATA, _UNMARKED, _FAIR)
    | st.builds(_spelt, _DATA, _MARKED, st.builds(lambda ways, escape: [*ways, escape], _FAIR, _ESCAPES | _LETTERS))
    | st.builds(lambda data, prefix: Spelling(data, prefix + quote(data)), _DATA.map(b"\xff".__add__), _UNMARKED)
)
_ANY_WAYS = st.lists(_LETTERS | _GAPS | _ESCAPES | _FOUL, min_size=1, max_size=4)
FOUL = st.builds(_spelt, _DATA, _MARKED | _UNMARKED, _ANY_WAYS)
ANY_TEXT = st.text(max_size=80) | st.text(alphabet="AB+/-_=%2d:,; \n\x00é", max_size=60)


def any_text_is_bytes_or_a_bad_image(text: str) -> None:
    """Check that a text is decoded to something, or refused for what it is."""
    assert isinstance(is_link(text), bool)
    try:
        data = decode_picture(text)
    except Interrupted as error:
        assert_error(error, "bad_image")
    else:
        assert data
        assert isinstance(data, bytes)


def a_foul_spelling_is_bytes_or_a_bad_image(spelling: Spelling) -> None:
    """Check the same of what was base64 once."""
    any_text_is_bytes_or_a_bad_image(spelling.text)


def a_fair_spelling_is_decoded(spelling: Spelling) -> None:
    """Check that what can be understood is, to the last byte."""
    assert not is_link(spelling.text)
    assert decode_picture(spelling.text) == spelling.data
