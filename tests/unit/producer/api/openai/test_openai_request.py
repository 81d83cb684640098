"""OpenAI's words, turned into ours."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from contract.errors.exceptions import Refused
from contract.settings.nanobot_config import ProviderConfig
from producer.api.openai.request import OpenAIRequest, read_openai_request
from tests.support.factories.configs import some_settings


def order(any_model: bool = False, **body: Any) -> OpenAIRequest:
    """Read a request with these fields."""
    providers = {"openrouter": ProviderConfig(api_key=SecretStr("k"))}
    settings = some_settings(image={"model": "a/b"}, providers=providers, models=("c/d",), any_model=any_model)
    return read_openai_request({"prompt": "a fox", **body}, settings)


@pytest.mark.parametrize(
    ("size", "ratio", "tier"),
    [
        ("1024x1024", "1:1", "1K"),
        ("1328x1328", "1:1", "1K"),  # what nanobot asks ModelScope for, if nothing is said
        ("1472x1140", "4:3", "1K"),
        ("1140x1472", "3:4", "1K"),
        ("1792x1024", "16:9", "1K"),
        ("1536x1024", "3:2", "1K"),
        ("1024x1536", "2:3", "1K"),
        ("512x512", "1:1", "1K"),
        ("1024X1792", "9:16", "1K"),
        ("1920x1080", "16:9", "2K"),
        ("2048 x 2048", "1:1", "2K"),
        ("3840x2160", "16:9", "4K"),
        ("99999x10", "8:1", "1K"),
    ],
)
def test_any_size_becomes_the_nearest_ratio_and_tier(size: str, ratio: str, tier: str) -> None:
    fields = order(size=size).fields
    assert (fields["aspect_ratio"], fields["image_size"]) == (ratio, tier)


@pytest.mark.parametrize("size", [None, "", "auto", "AUTO"])
def test_no_size_leaves_it_to_the_configuration(size: str | None) -> None:
    assert order(size=size).fields == {"prompt": "a fox", "count": 1}


def test_our_own_words_go_before_openais() -> None:
    fields = order(size="1024x1024", aspect_ratio="16:9", image_size="4K").fields
    assert (fields["aspect_ratio"], fields["image_size"]) == ("16:9", "4K")


@pytest.mark.parametrize(
    "model", ["gpt-image-1", "gpt-image-2-2026-04-21", "chatgpt-image-latest", "dall-e-3", "openai/gpt-image-1"]
)
def test_openais_own_models_mean_the_default_one(model: str) -> None:
    assert "model" not in order(model=model).fields
    assert order(model=model).is_default_model


def test_a_known_model_is_named_and_an_unknown_one_refused_unless_any_will_do() -> None:
    assert order(model="c/d").fields["model"] == "c/d"
    assert not order(model="a/b").is_default_model
    with pytest.raises(Refused) as caught:
        order(model="e/f")
    assert (caught.value.code, caught.value.place) == ("unknown_model", ("model",))
    assert order(model="e/f", any_model=True).is_default_model


def test_the_form_of_the_answer() -> None:
    given = order(output_format="jpeg", output_compression="80", response_format="url", stream="true", user="ann")
    assert given == order(output_format="jpeg", output_compression=80, response_format="url", stream=True, user="ann")
    assert (given.mime, given.compression, given.as_url, given.is_stream) == ("image/jpeg", 80, True, True)
    plain = order()
    assert (plain.mime, plain.compression, plain.as_url, plain.is_stream) == (None, None, False, False)


@pytest.mark.parametrize(
    ("asked", "ours"), [("low", "low"), ("standard", None), ("hd", "high"), ("max", "high"), ("auto", None)]
)
def test_qualities(asked: str, ours: str | None) -> None:
    assert order(quality=asked).fields.get("quality") == ours


@pytest.mark.parametrize(
    "body",
    [
        {"n": 1.5},
        {"n": True},
        {"n": "many"},
        {"size": 1024},
        {"stream": "perhaps"},
        {"output_format": "tiff"},
        {"output_compression": 101},
        {"user": ["ann"]},
    ],
    ids=str,
)
def test_wrong_types_are_told_with_their_place(body: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        order(**body)
    assert (caught.value.code, caught.value.place) == ("type_error", tuple(body))


def test_fields_that_nobody_here_knows_are_ignored() -> None:
    assert order(moderation="low", partial_images=2, safety_identifier="x").fields == {"prompt": "a fox", "count": 1}


@pytest.mark.parametrize("n", [0, 9, "0"])
def test_how_many_is_left_to_the_request(n: object) -> None:
    assert order(n=n).fields["count"] == int(str(n))


@pytest.mark.parametrize("model", ["c/d", "d", "vendor/c/d"])
def test_a_known_model_is_found_by_its_name_with_or_without_a_vendor(model: str) -> None:
    assert order(model=model).fields["model"] == "c/d"
    assert not order(model=model).is_default_model


@pytest.mark.parametrize("n", [2.0, "2", "2.0", " 2 "])
def test_whole_numbers_may_be_spelt_otherwise(n: object) -> None:
    assert order(n=n).fields["count"] == 2


@pytest.mark.parametrize("n", [float("1e400"), "2.5", "1e1", "0x2", "2.", "--2", "٢"])
def test_other_numbers_are_refused(n: object) -> None:
    with pytest.raises(Refused) as caught:
        order(n=n)
    assert (caught.value.code, caught.value.place) == ("type_error", ("n",))


@pytest.mark.parametrize(
    ("size", "ratio"), [("9:16", "9:16"), (" 16 : 9 ", "16:9"), ("1080:1920", "9:16"), ("9:19.5", "9:19.5")]
)
def test_a_size_may_be_a_ratio(size: str, ratio: str) -> None:
    assert order(size=size).fields == {"prompt": "a fox", "count": 1, "aspect_ratio": ratio}


def test_a_size_may_be_one_of_ours() -> None:
    assert order(size="2k").fields["image_size"] == "2K"


@pytest.mark.parametrize(("asked", "mime"), [("PNG", "image/png"), ("JPG", "image/jpeg"), ("image/webp", "image/webp")])
def test_letter_case_of_formats_does_not_matter(asked: str, mime: str) -> None:
    given = order(output_format=asked, response_format="URL", quality="HIGH", stream="False")
    assert (given.mime, given.as_url, given.fields["quality"], given.is_stream) == (mime, True, "high", False)


@pytest.mark.parametrize("model", ["dall-e-3", "dall-e-2", "openai/dall-e-3"])
def test_models_of_dall_e_answer_with_links_unless_it_is_said_otherwise(model: str) -> None:
    assert order(model=model).as_url
    assert not order(model=model, response_format="b64_json").as_url
    assert not order(model=model, stream=True).as_url
    assert not order(model="gpt-image-1").as_url


@pytest.mark.parametrize("background", ["transparent", "Transparent"])
def test_a_transparent_background_is_refused_in_words(background: str) -> None:
    with pytest.raises(Refused, match="Transparent backgrounds are not supported") as caught:
        order(background=background)
    assert (caught.value.code, caught.value.place) == ("background_not_supported", ("background",))


@pytest.mark.parametrize("background", [None, "", "auto", "opaque"])
def test_any_other_background_is_what_is_made(background: str | None) -> None:
    assert order(background=background).fields == {"prompt": "a fox", "count": 1}


def test_what_the_caller_calls_our_fields() -> None:
    assert order(size="7K").names["image_size"] == "size"
    assert "image_size" not in order(image_size="7K").names
    assert order().names["count"] == "n"
