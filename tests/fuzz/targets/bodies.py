"""Bodies in pieces: what is read does not depend on where they were cut."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise

import httpx
from hypothesis import strategies as st

from worker.answers.errors import ProviderError
from worker.http.response_body import MAX_COMMENT, read_body

_IDLE_S = 30
_KEEP_ALIVE = (
    b": OPENROUTER PROCESSING\n\n",
    b":\n",
    b"\n",
    b" ",
    b"\r\n",
    b"\t",
    b": a {\n",
    b":" + b"x" * 5000 + b"\n",
)
_UNFINISHED = (b"", b":", b": no end", b":" + b"x" * 100, b"\x0b", b"data: {}")
_CONTENT = st.binary(max_size=300) | st.sampled_from(
    (b"", b"{}", b'{"a": ": b\\n"}', b"{\n: not a comment\n}", b"  \n[1]\n: tail\n", b"x" * 3000, b"\xef\xbb\xbf{}")
)


@dataclass(frozen=True, slots=True)
class Pieces:
    """A body, where it is cut, and how much of it may come."""

    body: bytes
    cuts: tuple[int, ...]
    most: int

    def chunks(self) -> list[bytes]:
        """Cut the body."""
        places = [0, *sorted(cut % (len(self.body) + 1) for cut in self.cuts), len(self.body)]
        return [self.body[begin:end] for begin, end in pairwise(places)]


_PREFIXES = st.lists(st.sampled_from(_KEEP_ALIVE), max_size=6).map(b"".join)
_BODIES = st.builds(lambda *parts: b"".join(parts), _PREFIXES, st.sampled_from(_UNFINISHED), _CONTENT)
PIECES = st.builds(
    Pieces,
    _BODIES.filter(lambda body: b"\n" in body[:MAX_COMMENT] or len(body) < MAX_COMMENT),
    st.lists(st.integers(0, 50) | st.integers(0, 40_000), max_size=30).map(tuple),
    st.sampled_from((10, 300, 10**6, 10**6, 10**6)),
)


def _read(chunks: list[bytes], most: int) -> tuple[bytes | str, int]:
    """Read a body; answer it or the error's code, and how often it was said to begin."""
    begun: list[bool] = []

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> bytes:
        response = httpx.Response(200, content=stream())
        return bytes(await read_body(response, most, idle_s=_IDLE_S, begun=lambda: begun.append(True)))

    try:
        return asyncio.run(read()), len(begun)
    except ProviderError as error:
        return error.code, len(begun)


def cuts_do_not_matter(pieces: Pieces) -> None:
    """Check that a body is the same in pieces as it is in one, and that only keep-alive is missing."""
    found, begun = _read(pieces.chunks(), pieces.most)
    if len(pieces.body) > pieces.most:
        assert found == "answer_too_large"
        return
    whole, begun_whole = _read([pieces.body], pieces.most)
    assert found == whole
    assert begun == begun_whole <= 1
    assert found == re.sub(rb"\A(?:[ \t\n\r\f\v]|:[^\n]{0,%d}\n)+" % (MAX_COMMENT - 2), b"", pieces.body)
