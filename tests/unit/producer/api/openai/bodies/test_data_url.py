"""Pictures inside of JSON."""

from __future__ import annotations

import base64

import pytest

from contract.errors.exceptions import Refused
from producer.api.openai.bodies.data_url import decode
from producer.api.openai.bodies.pictures import references_in

PICTURE = bytes(range(256))
URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()


def test_a_picture_is_decoded() -> None:
    assert decode(URL) == PICTURE


@pytest.mark.parametrize(("value", "count"), [(None, 0), ("", 0), (URL, 1), ([URL, URL], 2)])
def test_a_field_has_none_one_or_several(value: object, count: int) -> None:
    assert references_in({"image": value}.items()) == [PICTURE] * count


@pytest.mark.parametrize(
    ("value", "code"), [(7, "type_error"), ([7], "type_error"), ([URL] * 17, "too_many_references")]
)
def test_other_values_are_refused_with_their_place(value: object, code: str) -> None:
    with pytest.raises(Refused) as caught:
        references_in({"image": value}.items())
    assert (caught.value.code, caught.value.place) == (code, ("image",))


def test_parameters_and_letter_case_do_not_matter() -> None:
    assert decode("DATA:image/svg+xml;charset=utf-8;BASE64,AAEC") == b"\x00\x01\x02"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "AAEC",
        "https://example.com/fox.png",
        "data:text/html;base64,AAEC",
        "data:image/png,AAEC",
        "data:image/png;base64,AA",
        "data:image/png;base64,A A E C",
        "data:image/png;base64,ÄÄÄÄ",
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(Refused) as caught:
        decode(url)
    assert caught.value.code == "reference_not_a_data_url"
