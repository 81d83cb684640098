"""Pictures inside of JSON."""

from __future__ import annotations

import pytest

from contract.errors import Refused
from producer.api.data_url import decode, encode

PICTURE = bytes(range(256))


def test_what_is_encoded_is_decoded() -> None:
    assert decode(encode(PICTURE, "image/png")) == PICTURE


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
