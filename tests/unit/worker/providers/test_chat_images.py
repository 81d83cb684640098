"""Images are found in a chat completion wherever gateways put them, and in one kind of place."""

from __future__ import annotations

import pytest

from worker.answers.errors import ProviderError
from worker.answers.untrusted_json import Json
from worker.providers.aihubmix import AIHUBMIX
from worker.providers.openrouter import OPENROUTER

LINK = "https://cdn.example/a.png"
PNG = "iVBORw0KGgo="
DATA = f"data:image/png;base64,{PNG}"
WORDS: Json = {"type": "text", "text": f"Here is [more]({LINK})."}


def said(content: Json, **message: Json) -> Json:
    return {"choices": [{"message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    ("part", "picture"),
    [
        ({"type": "image_url", "image_url": {"url": DATA}}, DATA),
        ({"type": "image_url", "image_url": LINK}, LINK),
        ({"type": "output_image", "image_url": {"url": LINK}}, LINK),
        ({"type": "output_image", "b64_json": "anything"}, "anything"),
        ({"type": "output_image", "url": LINK}, LINK),
        ({"type": "image", "image": DATA}, DATA),
        ({"type": "image", "image": {"url": LINK}}, LINK),
        ({"type": "image", "data": PNG, "mimeType": "image/png"}, PNG),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, PNG),
        ({"type": "image", "source": {"type": "url", "url": LINK}}, LINK),
        ({"inline_data": {"mime_type": "image/png", "data": PNG}}, PNG),
        ({"inlineData": {"mimeType": "image/png", "data": PNG}}, PNG),
        ({"type": "image_generation_call", "result": PNG}, PNG),
        ({"type": "file", "mime_type": "image/png", "data": PNG}, PNG),
        ({"type": "image", "url": LINK, "b64_json": PNG}, PNG),
        ({"type": "text", "text": f"![fox]({LINK})"}, LINK),
        (f"![fox]({LINK})", LINK),
    ],
    ids=str,
)
def test_a_part_of_the_content_is_an_image(part: Json, picture: str) -> None:
    assert OPENROUTER.parse_response(said([WORDS, part])).pictures == (picture,)
    assert OPENROUTER.parse_response(said(part)).pictures == (picture,)


@pytest.mark.parametrize(
    "part",
    [
        *({"type": "image", "url": "/files/a.png"}, {"type": "image", "data": "not a picture"}, {"type": "image"}),
        *({"type": "image_url", "image_url": None}, {"type": "image_url", "image_url": {"url": 7}}),
        *({"inline_data": {"mime_type": "audio/wav", "data": "UklGRg=="}}, {"type": "output_image", "b64_json": 7}),
    ],
    ids=str,
)
def test_a_broken_part_is_no_image(part: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(said([part]))
    assert caught.value.code == "provider_bad_answer"


@pytest.mark.parametrize(
    "part",
    [
        *(WORDS, {"type": "audio", "data": DATA, "mime_type": "audio/wav"}, {"type": "url_citation", "url": LINK}),
        *({"type": "image", "image": DATA, "thought": True}, {"image_url": {"url": DATA, "partial": True}}, 7, None),
        {"type": "file", "data": DATA, "mimeType": "application/pdf"},
    ],
    ids=str,
)
def test_other_parts_are_none(part: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(said([part]))
    assert caught.value.code == "no_image"


@pytest.mark.parametrize(
    ("answer", "pictures"),
    [
        (said("", b64_json=PNG), (PNG,)),
        (said("", images=[{"b64_json": PNG}, {"url": LINK}]), (PNG, LINK)),
        (said("", images=[DATA, PNG, LINK]), (DATA, PNG, LINK)),
        (said("", image=DATA), (DATA,)),
        (said("", image_url={"url": LINK}), (LINK,)),
        (said("", multi_mod_content=[WORDS, {"inline_data": {"data": PNG}}]), (PNG,)),
        ({"choices": [{"message": {"content": ""}, "b64_json": PNG}]}, (PNG,)),
        ({"choices": [{"delta": {"content": f"![fox]({LINK})"}}]}, (LINK,)),
        ({"created": 1, "data": [{"b64_json": PNG}, {"url": LINK}]}, (PNG, LINK)),
        ({"data": {"url": LINK}}, (LINK,)),
        ({"b64_json": PNG}, (PNG,)),
        ({"output": [{"type": "message"}, {"type": "image_generation_call", "result": PNG}]}, (PNG,)),
        ({"output": [{"content": [WORDS, {"type": "output_image", "image_url": LINK}]}]}, (LINK,)),
    ],
    ids=str,
)
def test_other_fields_hold_images(answer: Json, pictures: tuple[str, ...]) -> None:
    assert OPENROUTER.parse_response(answer).pictures == pictures


def test_the_first_kind_of_place_counts_as_others_repeat_it() -> None:
    markdown = f"![fox]({LINK})"
    image: Json = {"image_url": {"url": DATA}}
    assert OPENROUTER.parse_response(said(markdown, images=[image])).pictures == (DATA,)
    assert OPENROUTER.parse_response(said([{"type": "text", "text": markdown}, image])).pictures == (DATA,)
    assert OPENROUTER.parse_response(said(markdown, images=[])).pictures == (LINK,)
    assert OPENROUTER.parse_response(said(markdown, images=[{"image_url": {"url": 7}}])).pictures == (LINK,)


@pytest.mark.parametrize("refused", [{"finish_reason": "content_filter"}, {"native_finish_reason": "IMAGE_SAFETY"}])
def test_a_link_in_words_beside_a_refusal_is_no_picture(refused: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response({"choices": [{"message": {"content": f"![policy]({LINK})"}, **refused}]})
    assert caught.value.code == "content_refused"


def test_what_is_said_in_parts_is_passed_on() -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(said([{"type": "text", "text": "I cannot"}, {"type": "text", "text": "draw."}]))
    assert "It said: I cannot draw." in caught.value.named().detail


@pytest.mark.parametrize(
    "answer",
    [
        said(f"![fox]({LINK})"),
        said([{"type": "image_url", "image_url": {"url": LINK}}]),
        {"output": [{"text": f"Done. ![fox]({LINK})"}]},
        {"output": f"![fox]({LINK})"},
        {"status": "succeeded", "output": [f"![fox]({LINK})"]},
    ],
    ids=str,
)
def test_a_prediction_may_be_a_chat_or_words(answer: Json) -> None:
    assert AIHUBMIX.parse_response(answer).pictures == (LINK,)
    assert AIHUBMIX.parse_poll
    assert AIHUBMIX.parse_poll(answer).pictures == (LINK,)
