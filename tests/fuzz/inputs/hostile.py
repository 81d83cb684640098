"""Texts that are out to be shown as they are: markup, control characters, floods, and secrets in between."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz.wellformed import KEYS

_PIECES = (
    *("<", ">", "</", "<b>", "<!--", "-->", "<script", "/>", "<img src=x onerror=alert(1)>", "&lt;", '"', "'"),
    *(
        " ",
        "\n",
        "\r\n",
        "\t",
        "\x00",
        "\x07",
        "\x7f",
        "\x85",
        "\x9b31m",
        "\u2028",
        "\u2029",
        "\xa0",
        "\ud800",
        "\udfff",
    ),
    *("\x1b", "\x1b[", "\x1b[31m", "\x1b]0;title\x07", "\x1b[2J", "\x1b[0;1;2;3 ", "\u202e", "\u200b", "\ufeff"),
    *("Bearer ", "bearer\n", "sk-", "sk-or-v1-abcdef", "key=", "token=", "data:image/png;base64,", "iVBORw0KGgo="),
    *(
        "{provider}",
        "{0}",
        "{reason",
        "}",
        "%s",
        "[a](javascript:1)",
        ".",
        "?.",
        "…",
        "Incorrect model ID",
        "図",
        "\U0001f98a",
    ),
)
# Longer than what is looked at as one tag, until something in it is made shorter.
_LONG = tuple(f"<b{inside}>" for inside in (" " * 250, "\x00" * 250, " key=" + "A" * 250 + " ", "x" * 250))
_TIMES = st.sampled_from((*(1,) * 8, 2, 3, 20, 70, 200, 300))


def hostile(*secrets: str) -> SearchStrategy[str]:
    """Bring texts of a few odd pieces, some of them many times, with secrets among them."""
    pieces = st.sampled_from((*_PIECES, *_LONG, *(secrets or KEYS) * 6)) | st.text(max_size=8)
    repeated = st.tuples(pieces, _TIMES).map(lambda pair: pair[0] * pair[1])
    return st.lists(repeated, max_size=8).map("".join)


def padded(*secrets: str, limit: int) -> SearchStrategy[str]:
    """Bring texts with a secret near one of the places where `clean` cuts."""
    filler = st.sampled_from(("x", "x ", " ", "\x01", "<b>", "é", "\x1b[0m", "…", *secrets))
    place = st.sampled_from((limit, 20 * limit - 200, 20 * limit, 2000)).flatmap(
        lambda cut: st.integers(max(0, cut - 60), cut + 10)
    )
    secret = st.sampled_from(secrets)
    return st.builds(_filled, filler, place, secret, hostile(*secrets))


def _filled(fill: str, at: int, planted: str, tail: str) -> str:
    times, rest = divmod(at, len(fill))
    return "." * rest + fill * times + planted + tail * 50
