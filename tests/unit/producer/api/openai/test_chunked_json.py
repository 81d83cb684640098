"""Large answers in pieces."""

from __future__ import annotations

import json
import os

import pybase64
import pytest
from starlette.types import Message

from producer.api.openai.chunked_json import MARK, PIECE, ChunkedJSONResponse, interleave
from tests.support.process.loop_stalls import watching_the_loop


async def sent(parts: list[bytes]) -> list[Message]:
    """Send parts as an answer to nobody."""
    messages: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    await ChunkedJSONResponse(parts, headers={"X-A": "b"})({"type": "http"}, receive, send)
    return messages


def test_pictures_come_where_they_belong() -> None:
    document = {"data": [{"b64_json": MARK}, {"b64_json": MARK}], "said": 'a "fox"'}
    woven = json.loads(b"".join(interleave(document, [b"AAAA", b"BBBB"])))
    assert woven == {"data": [{"b64_json": "AAAA"}, {"b64_json": "BBBB"}], "said": 'a "fox"'}
    assert json.loads(b"".join(interleave({"data": []}, []))) == {"data": []}


@pytest.mark.parametrize("pictures", [[], [b"AAAA"], [b"AAAA"] * 3])
def test_as_many_pictures_as_marks_are_needed(pictures: list[bytes]) -> None:
    with pytest.raises(ValueError, match="zip"):
        interleave([MARK, MARK], pictures)


async def test_an_answer_has_its_length_and_small_pieces() -> None:
    start, *pieces = await sent([b"[", b"7" * (2 * PIECE + 1), b"]"])
    assert {b"x-a": b"b", b"content-length": str(2 * PIECE + 3).encode()}.items() <= dict(start["headers"]).items()
    assert [len(piece["body"]) for piece in pieces] == [1, PIECE, PIECE, 1, 1, 0]
    assert [piece.get("more_body", False) for piece in pieces] == [True] * 5 + [False]


async def test_eight_large_pictures_do_not_hold_up_the_loop() -> None:
    pictures = 8 * [pybase64.b64encode(os.urandom(8 * 2**20))]
    longest = []
    for _ in range(3):  # other processes may disturb one of them
        with watching_the_loop() as stalls:
            await sent(interleave({"data": [{"b64_json": MARK} for _ in pictures]}, pictures))
        longest.append(max(stalls))
    assert min(longest) < 0.05
