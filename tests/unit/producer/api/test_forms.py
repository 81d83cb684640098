"""Multipart forms: what they hold in memory is bounded, and files can be read as often as need be."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from httpx import Request as Sent
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.types import Message

from contract.artifacts.references import MAX_EACH
from contract.errors.exceptions import Refused
from producer.api.forms import MAX_TEXT, FormImage, open_form
from producer.api.services.body_budget import BodyBudget

MOST = 8 * 2**20


def form(fields: Mapping[str, str], files: Mapping[str, bytes]) -> Request:
    """Make the request of a form."""
    sent = Sent("POST", "http://a/", data=fields, files=[(name, (name, data)) for name, data in files.items()])
    body = sent.read()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": sent.headers.raw}
    made = Request(scope | {"headers": [(name.lower(), value) for name, value in sent.headers.raw]}, receive)
    made.state.bodies = BodyBudget().of("ann")
    return made


@pytest.mark.parametrize("size", [1, 2**20])
async def test_a_file_is_read_when_its_turn_has_come(size: int) -> None:
    async with open_form(form({"prompt": "fox"}, {"image": b"x" * size}), most=MOST, most_files=1) as found:
        file = found["image"]
        assert isinstance(file, UploadFile)
        image = FormImage(file)
        assert (found["prompt"], await image(), await image()) == ("fox", b"x" * size, b"x" * size)


async def test_the_texts_of_a_form_are_few_bytes_together() -> None:
    fields = {f"field-{number}": "x" * (MAX_TEXT // 4) for number in range(5)}
    with pytest.raises(Refused) as caught:
        async with open_form(form(fields, {"image": b"x"}), most=MOST, most_files=1):
            pass
    assert caught.value.code == "body_too_large"


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        FormImage(UploadFile(file=None, size=MAX_EACH + 1))  # type: ignore[arg-type]
    assert caught.value.code == "upload_too_large"
