"""Images of a request, under whichever name and in whichever form they come."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from starlette.datastructures import Headers, UploadFile

from contract.errors.exceptions import Refused
from producer.api.forms import FormImage
from producer.api.openai.bodies.pictures import references_in
from tests.support.factories.images import picture

PICTURE = picture(16)
ENCODED = base64.b64encode(PICTURE).decode()
URL = f"data:image/png;base64,{ENCODED}"


def file(name: str = "a.png", data: bytes = PICTURE) -> UploadFile:
    """Make a file of a form."""
    return UploadFile(io.BytesIO(data), filename=name, size=len(data), headers=Headers())


@pytest.mark.parametrize(
    "body",
    [
        {"image": URL},
        {"image": [URL]},
        {"image": ENCODED},
        {"image": base64.encodebytes(PICTURE).decode()},
        {"image": URL.replace("iVBOR", "iVBOR\r\n")},
        {"images": [{"image_url": URL}]},
        {"images": [{"image_url": {"url": URL}}]},
        {"images": {"image_url": URL}},
        {"images": [{"type": "image_url", "image_url": {"url": URL}}]},
        {"images": [{"b64_json": ENCODED}]},
        {"image_url": URL},
        {"image_urls": [URL]},
        {"input_references": [{"type": "image_url", "image_url": {"url": URL}}]},
        {"image[0]": URL},
        {"image[]": ENCODED},
    ],
    ids=lambda body: str(body)[:60],
)
def test_an_image_is_found(body: dict[str, Any]) -> None:
    assert references_in(body.items()) == [PICTURE]


@pytest.mark.parametrize("begin", [b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x1cftypavif"])
def test_base64_alone_is_known_by_the_begin_of_an_image(begin: bytes) -> None:
    data = begin + bytes(range(20))
    assert references_in([("image", base64.b64encode(data).decode())]) == [data]


@pytest.mark.parametrize("name", ["image", "images", "image[]", "images[]", "image[0]", "images[7]"])
def test_files_of_a_form_are_found(name: str) -> None:
    [image] = references_in([("prompt", "a fox"), (name, file())])
    assert isinstance(image, FormImage)


async def test_files_with_numbers_are_in_their_order() -> None:
    found = references_in([(f"image[{number}]", file(data=bytes([number]))) for number in (10, 2, 0)])
    assert [await image() for image in found if isinstance(image, FormImage)] == [b"\0", b"\2", b"\n"]


@pytest.mark.parametrize("item", ["img_0123456789ab", {"file_id": "up_" + "a" * 64}])
def test_images_that_are_kept_here_are_named(item: Any) -> None:
    assert references_in([("image", item)]) == [item if isinstance(item, str) else item["file_id"]]


@pytest.mark.parametrize("name", ["mask", "mask[]", "mask[0]", "masks", "markup"])
@pytest.mark.parametrize("value", [URL, [URL], {"image_url": URL}, file()], ids=lambda value: type(value).__name__)
def test_a_mask_is_refused(name: str, value: Any) -> None:
    with pytest.raises(Refused, match="Masks are not supported") as caught:
        references_in([("image", URL), (name, value)])
    assert caught.value.place == ("mask",)


def test_a_file_that_would_be_left_out_is_refused() -> None:
    with pytest.raises(Refused, match="did you mean image") as caught:
        references_in([("picture", file())])
    assert caught.value.code == "unknown_field"


@pytest.mark.parametrize("value", [None, "", [], {}, file("", b"")], ids=str)
@pytest.mark.parametrize("name", ["image", "mask"])
def test_nothing_is_nothing(name: str, value: Any) -> None:
    assert references_in([(name, value), ("prompt", "a fox")]) == []


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("https://example.com/fox.png", "reference_not_a_data_url"),
        ({"image_url": "https://example.com/fox.png"}, "reference_not_a_data_url"),
        ("a fox", "reference_not_a_data_url"),
        ({"image_url": {"url": {"url": URL}}}, "type_error"),
        ([[URL]], "type_error"),
        ({"other": URL}, "type_error"),
        (True, "type_error"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(value: Any, code: str) -> None:
    with pytest.raises(Refused) as caught:
        references_in([("images", value)])
    assert caught.value.code == code
