"""Large answers in pieces."""

from __future__ import annotations

import json
import os
from io import BytesIO

import pybase64
import pytest
from starlette.types import Message

from producer.api.openai.chunked_json import (
    MARK,
    PIECE,
    RAW,
    Base64Image,
    ChunkedJSONResponse,
    Part,
    SpooledBase64,
    StoredBase64,
    interleave,
    pieces_of,
)
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar
from tests.support.process.loop_stalls import watching_the_loop

LOCATOR = "memory:img_0123456789ab.png"


async def sent(parts: list[Part]) -> list[Message]:
    """Send parts as an answer to nobody."""
    messages: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        messages.append(message)

    await ChunkedJSONResponse(parts, headers={"X-A": "b"})({"type": "http"}, receive, send)
    return messages


async def woven(document: object, pictures: list[Part]) -> object:
    return json.loads(b"".join([piece async for piece in pieces_of(interleave(document, pictures))]))


async def test_pictures_come_where_they_belong() -> None:
    document = {"data": [{"b64_json": MARK}, {"b64_json": MARK}], "said": 'a "fox"'}
    told = {"data": [{"b64_json": "AAAA"}, {"b64_json": "BBBB"}], "said": 'a "fox"'}
    assert await woven(document, [b"AAAA", b"BBBB"]) == told
    assert await woven({"data": []}, []) == {"data": []}


@pytest.mark.parametrize("pictures", [[], [b"AAAA"], [b"AAAA"] * 3])
def test_as_many_pictures_as_marks_are_needed(pictures: list[Part]) -> None:
    with pytest.raises(ValueError, match="zip"):
        interleave([MARK, MARK], pictures)


async def test_an_answer_has_its_length_and_small_pieces() -> None:
    start, *pieces = await sent([b"[", b"7" * (2 * PIECE + 1), b"]"])
    assert {b"x-a": b"b", b"content-length": str(2 * PIECE + 4).encode()}.items() <= dict(start["headers"]).items()
    assert [len(piece["body"]) for piece in pieces] == [1, PIECE, PIECE, 1, 1, 1, 0]
    assert [piece.get("more_body", False) for piece in pieces] == [True] * 6 + [False]
    assert pieces[-2]["body"] == b"\n"


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    return MemoryArtifacts()


@pytest.fixture(params=[0, 1, 2, 3, RAW, 2 * RAW + 1])
async def data(request: pytest.FixtureRequest, artifacts: MemoryArtifacts) -> bytes:
    data = os.urandom(request.param)
    await artifacts.put(a_job(), a_sidecar(data, path=LOCATOR), data)
    return data


async def test_an_image_is_encoded_while_it_leaves(artifacts: MemoryArtifacts, data: bytes) -> None:
    with BytesIO() as file:
        images: list[Base64Image] = [StoredBase64(artifacts, LOCATOR, len(data)), SpooledBase64(file, data)]
        for image in images:
            pieces = [piece async for piece in image.pieces()]
            assert max(map(len, pieces), default=0) <= PIECE
            assert sum(map(len, pieces)) == len(image)
            assert pybase64.b64decode(b"".join(pieces)) == data


async def test_an_answer_whose_image_is_deleted_breaks_off(artifacts: MemoryArtifacts) -> None:
    _, *pieces = await sent([b"[", StoredBase64(artifacts, LOCATOR, 3), b"]"])
    assert [piece["body"] for piece in pieces] == [b"["]
    assert pieces[-1]["more_body"]


async def test_eight_large_pictures_do_not_hold_up_the_loop() -> None:
    picture: Part = pybase64.b64encode(os.urandom(8 * 2**20))
    pictures = 8 * [picture]
    longest = []
    for _ in range(3):  # other processes may disturb one of them
        with watching_the_loop() as stalls:
            await sent(interleave({"data": [{"b64_json": MARK} for _ in pictures]}, pictures))
        longest.append(max(stalls))
    assert min(longest) < 0.05
