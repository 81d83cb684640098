"""Which part of an image `Range` asks for, and that a large one is read in pieces."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message

from contract.errors.exceptions import Refused
from producer.api.image_response import PIECE_BYTES, ImageFileResponse, Part, choose_part, copy_response
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar

UNCHANGED = ('"tag"', "Mon, 30 Nov 2026 00:00:00 GMT")
HEADERS = {"ETag": UNCHANGED[0]}


def chosen(wish: str, **more: str) -> Part | None:
    return choose_part(Headers({"range": wish, **more}), 10, unchanged=UNCHANGED)


@pytest.mark.parametrize(
    ("wish", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("bytes=2-", (2, 10)),
        ("bytes=2-999", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-999", (0, 10)),
    ],
)
def test_one_range_is_a_part(wish: str, part: tuple[int, int]) -> None:
    assert chosen(wish) == part


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=-0",
        "bytes=4-2",
        "bytes=0-1,3-4",
        "lines=0-1",
        "bytes=a-b",
        "bytes= 0-1",
    ],
)
def test_whatever_else_it_says_is_ignored(wish: str) -> None:
    assert chosen(wish) is None


@pytest.mark.parametrize("wish", ["bytes=10-", "bytes=10-20"])
def test_what_begins_behind_the_end_is_refused(wish: str) -> None:
    with pytest.raises(Refused) as refusal:
        chosen(wish)
    assert refusal.value.code == "range_not_satisfiable"
    assert refusal.value.values["headers"] == {"Content-Range": "bytes */10"}


@pytest.mark.parametrize(
    ("known", "is_part"), [(UNCHANGED[0], True), (UNCHANGED[1], True), ('W/"tag"', False), ('"other"', False)]
)
def test_a_part_of_another_version_is_not_answered(known: str, is_part: bool) -> None:
    assert (chosen("bytes=2-4", **{"if-range": known}) is not None) is is_part


async def test_a_large_image_comes_in_pieces() -> None:
    artifacts, data = MemoryArtifacts(), bytes(range(256)) * (PIECE_BYTES // 100)
    sidecar = await artifacts.put(a_job(), a_sidecar(data, path="memory:img_0123456789ab.png"), data)
    for wish, status, expected in (("", 200, data), (f"bytes=5-{PIECE_BYTES + 5}", 206, data[5 : PIECE_BYTES + 6])):
        image = await artifacts.open(sidecar.path)
        answer = ImageFileResponse(
            Headers({"range": wish}), image, mime="image/png", headers=HEADERS, place=ExitStack()
        )
        pieces = [piece async for piece in answer.body_iterator if isinstance(piece, bytes)]
        assert (answer.status_code, b"".join(pieces)) == (status, expected)
        assert answer.headers["content-length"] == str(len(expected))
        assert max(map(len, pieces)) == PIECE_BYTES


async def test_an_image_is_closed_though_its_client_has_gone() -> None:
    artifacts = MemoryArtifacts()
    sidecar = await artifacts.put(a_job(), a_sidecar(b"x", path="memory:img_0123456789ab.png"), b"x")
    image = await artifacts.open(sidecar.path)
    answer = ImageFileResponse(Headers(), image, mime="image/png", headers=HEADERS, place=ExitStack())

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise OSError

    with pytest.raises((OSError, ClientDisconnect, ExceptionGroup)):
        await answer({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)
    assert image.is_closed


def test_a_part_of_a_copy_is_answered() -> None:
    answer = copy_response(Headers({"range": "bytes=1-2"}), b"0123", made_at=0.0, mime="image/jpeg", headers=HEADERS)
    assert (answer.status_code, answer.body, answer.headers["content-range"]) == (206, b"12", "bytes 1-2/4")
    assert answer.headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
