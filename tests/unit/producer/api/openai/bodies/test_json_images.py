"""Images are taken out of JSON while it arrives, however it is cut into pieces, and the rest means what it meant."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pybase64
import pytest

from contract.artifacts.references import MAX_EACH
from contract.errors.exceptions import Refused
from producer.api.openai.bodies.json_images import PIECE, SMALL, JSONImage, JSONSplitter
from producer.api.requests import MAX_JSON, parse_json

PICTURE = os.urandom(3 * PIECE + 1)
HEAD = "data:image/png;base64,"
URL = HEAD + pybase64.b64encode(PICTURE).decode()


@pytest.fixture
def files() -> Iterator[ExitStack]:
    with ExitStack() as files:
        yield files


def split(files: ExitStack, text: bytes, *, size: int = 2**16) -> dict[str, Any]:
    """Let JSON arrive in pieces, and parse what is left."""
    splitter = JSONSplitter(files)
    for start in range(0, len(text), size):
        splitter.take(text[start : start + size])
    return {name: splitter.image_of(value) for name, value in parse_json(splitter.rest).items()}


def content(image: Any) -> bytes:
    assert isinstance(image, JSONImage)
    image.check()
    return asyncio.run(image())


@pytest.mark.parametrize("size", [7, 1000, 65_536, 10**7])
def test_images_come_out_whole_wherever_the_body_is_cut(files: ExitStack, size: int) -> None:
    text = json.dumps({"prompt": 'a "fox" \\ \n ü', "image": [URL, URL], "small": HEAD + "AAEC"})
    found = split(files, text.encode(), size=size)
    assert [content(image) for image in found.pop("image")] == [PICTURE, PICTURE]
    assert found == {"prompt": 'a "fox" \\ \n ü', "small": HEAD + "AAEC"}


@pytest.mark.parametrize(("plain", "escaped"), [("/", r"\/"), ("+", r"\u002B"), ("=", r"\u003d")])
@pytest.mark.parametrize("size", [11, 65_536])
def test_base64_may_be_escaped_as_json_encoders_do(files: ExitStack, plain: str, escaped: str, size: int) -> None:
    text = json.dumps({"image": URL}).replace(plain, escaped)
    assert content(split(files, text.encode(), size=size)["image"]) == PICTURE


def test_escapes_of_nothing_but_escapes_cost_little(files: ExitStack) -> None:
    text = b'{"image": "' + HEAD.encode() + rb"\/" * 2**21 + b'"}'
    assert len(content(split(files, text)["image"])) == 2**21 * 3 // 4


@pytest.mark.parametrize("wrong", ["!", "=", "AA==AAAA", "A", "\\t", "ä", "\\\\", "\\q"])
@pytest.mark.parametrize("before", [SMALL, PIECE - len(HEAD) - 4, 2 * PIECE])
def test_what_is_not_base64_is_refused(files: ExitStack, wrong: str, before: int) -> None:
    text = b'{"image": "' + HEAD.encode() + b"A" * (before // 4 * 4) + wrong.encode() + b'"}'
    with pytest.raises(Refused) as caught:
        content(split(files, text)["image"])
    assert caught.value.code == "reference_not_a_data_url"


def test_an_image_that_is_too_large_is_refused(files: ExitStack) -> None:
    image = JSONImage(files)
    for _ in range(MAX_EACH // (PIECE // 4 * 3) + 2):
        image.write(b"A" * PIECE)
    image.end()
    with pytest.raises(Refused) as caught:
        image.check()
    assert caught.value.code == "upload_too_large"


def test_long_texts_that_are_no_images_stay_up_to_a_bound(files: ExitStack) -> None:
    prompt = "data:text/html;base64," + "A" * 4 * SMALL
    assert split(files, json.dumps({"prompt": prompt}).encode()) == {"prompt": prompt}
    with pytest.raises(Refused) as caught:
        split(files, json.dumps({"prompt": "x" * MAX_JSON}).encode())
    assert caught.value.code == "body_too_large"


def test_so_many_images_are_taken_at_most(files: ExitStack) -> None:
    text = json.dumps({"other": [HEAD + "A" * SMALL] * 40}).encode()
    with pytest.raises(Refused) as caught:
        split(files, text)
    assert caught.value.code == "too_many_references"


@pytest.mark.parametrize("broken", ['{"image": "', f'{{"image": "{URL}', f'{{"image": "{URL}", }}', f"[{URL}]"])
def test_json_that_is_broken_is_no_json(files: ExitStack, broken: str) -> None:
    with pytest.raises(Refused) as caught:
        split(files, broken.encode())
    assert caught.value.code in ("json_invalid", "body_too_large")


def test_a_key_that_is_there_twice_is_seen(files: ExitStack) -> None:
    with pytest.raises(Refused) as caught:
        split(files, f'{{"image": "{URL}", "image": "{URL}"}}'.encode())
    assert caught.value.code == "json_duplicate_key"


@pytest.mark.parametrize("size", [11, 1000, 65_536])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_base64_may_have_line_breaks_and_no_head(files: ExitStack, line_break: str, size: int) -> None:
    data = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + PICTURE
    encoded = pybase64.b64encode(data).decode()
    lines = line_break.join(encoded[at : at + 76] for at in range(0, len(encoded), 76)) + line_break
    found = split(files, json.dumps({"image": lines, "images": [HEAD + lines]}).encode(), size=size)
    assert [content(found["image"]), content(found["images"][0])] == [data, data]


def test_images_are_found_in_objects_of_a_list(files: ExitStack) -> None:
    found = split(files, json.dumps({"images": [{"image_url": URL}, {"image_url": {"url": URL}}]}).encode())
    first, second = found["images"]
    assert [content(first["image_url"]), content(second["image_url"]["url"])] == [PICTURE, PICTURE]
