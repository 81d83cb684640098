"""Links and redirects, good and evil ones, with edits: fair ones lead to https, and all readers read the same host."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx
from hypothesis import strategies as st
from simulator.catalogue.link_rows import LINK

from contract.untrusted.ssrf import UnsafeUrl, bracketed, check_link, follow, host_of, split
from tests.fuzz.inputs.hostile import hostile, padded
from tests.fuzz.wellformed import KEYS, LEAST_OF_KEY, PROMPTS, assert_plain, assert_secret
from worker.answers.redaction import clean

_GOOD = (
    *("https://cdn.example/a.png", "https://CDN.Example:443/x?y=1#z", "https://cdn.example:8443/", "https://8.8.8.8/x"),
    *("https://[2606:4700:4700::1111]:8443/x", "https://xn--bcher-kva.example/x", "https://my_bucket.s3.example/a%2Fb"),
)
_EVIL = tuple(
    str(link)[:300]
    for variants in LINK.values()
    for step in variants.values()
    for link in step.options.get("links", ())  # type: ignore[attr-defined]
)
_ODD = (
    *(
        "@",
        ":",
        "/",
        "\\",
        "//",
        "#",
        "?",
        ".",
        "..",
        "%",
        "%00",
        "%2e",
        "[",
        "]",
        "::",
        "%25eth0",
        "0x7f.1",
        "127.0.0.1",
    ),
    *(
        "localhost",
        "user:pass@",
        "@10.0.0.1",
        ":22",
        ":443",
        ":8443",
        ":0443",
        ":٤٤٣",
        "http:",
        "https:",
        "HTTPS:",
        "file:",
    ),
    *(
        "\t",
        "\n",
        "\r",
        " ",
        "\x00",
        "\x7f",
        "\xa0",
        "\u3002",
        "\uff0e",
        "\u2028",
        "\u202e",
        "\u00ad",
        "\ud800",
        "①",
        "ß",
        "é",
    ),
    *("xn--", "a" * 64, "..", "data:,", "javascript:", "&", ";", ",", "'", "=", "10.0.0.1", "[::1]", "-", "_", "0"),
)


def _edited(url: str, edits: list[tuple[int, int, str]]) -> str:
    for at, gone, put in edits:
        at %= len(url) + 1
        url = url[:at] + put + url[at + gone :]
    return url


_EDITS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from((0, 0, 0, 1, 3, 8)), st.sampled_from(_ODD) | st.text(max_size=3)),
    max_size=3,
)
URLS = st.builds(_edited, st.sampled_from(_GOOD * 3 + _EVIL), _EDITS) | st.text(max_size=30)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a link is, and where it says to go on."""

    url: str
    location: str


REDIRECTS = st.builds(Redirect, st.sampled_from(_GOOD) | URLS, URLS | st.sampled_from(_ODD).map(lambda odd: odd + "x"))


def _assert_judged(url: str) -> None:
    try:
        parts = split(url)
        host = check_link(parts)
    except UnsafeUrl as reason:
        assert_plain(str(reason))
        return
    assert parts.scheme == "https"
    assert url[:8].lower() == "https://"
    assert parts.port in (None, 443, 8443)
    assert host.isascii()
    assert re.fullmatch(r"[a-z0-9_.:-]+", host)
    assert parts.username is None
    assert parts.password is None
    assert "@" not in parts.netloc
    _assert_read_alike(url, host, parts.port)


def _assert_read_alike(url: str, host: str, port: int | None) -> None:
    """Assert that httpx, which opens the link, reads the same host and port, or none."""
    try:
        other = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return
    assert (other.scheme, bracketed(other.raw_host.decode()), other.userinfo) == ("https", bracketed(host), b"")
    assert other.port in ({None, port} if port == 443 else {port})


def any_link_is_fair_or_unsafe(url: str) -> None:
    """Check the judgement of one link, and what the log is told of it."""
    _assert_judged(url)
    shown = host_of(url)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 100


def any_redirect_is_fair_or_unsafe(redirect: Redirect) -> None:
    """Check where a redirect leads to."""
    try:
        target = follow(redirect.url, redirect.location)
    except UnsafeUrl as reason:
        assert_plain(str(reason))
        return
    _assert_judged(target)


@dataclass(frozen=True, slots=True)
class Foreign:
    """A text with secrets in it, and how long what is shown may be."""

    text: str
    prompt: str
    limit: int


_SHOWN_CHARS = 200
_LIMITS = st.sampled_from((20, 200, 2000))
FOREIGN = st.tuples(st.sampled_from(PROMPTS), _LIMITS).flatmap(
    lambda found: st.builds(
        Foreign,
        hostile(*KEYS, found[0]) | padded(*KEYS, found[0], limit=found[1]),
        st.just(found[0]),
        st.just(found[1]),
    )
)
# What nobody has told us, but looks like a key.
_LIKE_KEYS = ("sk-or-v1-0123456789abcdef", "Bearer tok0123456789abcdef", "key=tok0123456789abcdef")
UNKNOWN = _LIMITS.flatmap(
    lambda limit: st.builds(Foreign, padded(*_LIKE_KEYS, limit=limit), st.just(""), st.just(limit))
)


def _cleaned(foreign: Foreign, *secrets: str) -> str:
    text = clean(foreign.text, secrets=secrets, limit=foreign.limit)
    assert len(text) <= foreign.limit
    if foreign.limit <= _SHOWN_CHARS:  # longer ones are cleaned again
        assert_plain(text)
    return text


def no_secret_is_left_in_a_text(foreign: Foreign) -> None:
    """Check that what is known to be secret is taken away wherever it stands, and that what is left is plain."""
    shown = _cleaned(foreign, *KEYS, foreign.prompt)
    assert_secret(shown, prompt=foreign.prompt)


def nothing_like_a_key_is_left_in_a_text(foreign: Foreign) -> None:
    """Check that what looks like a key is taken away, also where the text is cut."""
    shown = _cleaned(foreign)
    assert not any(secret[: LEAST_OF_KEY + 6] in shown for secret in _LIKE_KEYS)
