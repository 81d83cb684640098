"""OpenRouter on the wire: exact request bodies, and every shape of an answer that is documented or was seen."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from contract.settings.nanobot_config import ProviderConfig
from worker.answers.errors import ProviderError
from worker.answers.untrusted_json import Json
from worker.providers.openrouter import OPENROUTER
from worker.providers.provider import Answer, ImageCall

CONFIG = ProviderConfig(api_key=SecretStr("sk-or-test"))
ASK = ImageCall(prompt="a red fox", model="openai/gpt-5.4-image-2", aspect_ratio="1:1", image_size="1K")
DATA_URL = "data:image/png;base64,iVBORw0KGgo="


def body(ask: ImageCall = ASK, **extra_body: Json) -> dict[str, Json]:
    config = CONFIG.model_copy(update={"extra_body": extra_body})
    return OPENROUTER.build_request(ask, config, OPENROUTER.api_base).body


def test_the_request_is_a_chat_completion_with_modalities() -> None:
    call = OPENROUTER.build_request(ASK, CONFIG, OPENROUTER.api_base)
    assert call.url == "https://openrouter.ai/api/v1/chat/completions"
    assert call.headers == {"Authorization": "Bearer sk-or-test", "Content-Type": "application/json"}
    assert call.body == {
        "model": "openai/gpt-5.4-image-2",
        "messages": [{"role": "user", "content": "a red fox"}],
        "modalities": ["image", "text"],
        "stream": False,
        "image_config": {"aspect_ratio": "1:1", "image_size": "1K"},
    }


@pytest.mark.parametrize(
    ("ratio", "size", "image_config"),
    [
        ("16:9", "4K", {"aspect_ratio": "16:9", "image_size": "4K"}),
        ("auto", "2K", {"image_size": "2K"}),
        ("3:4", "auto", {"aspect_ratio": "3:4"}),
        ("auto", "auto", None),
    ],
)
def test_auto_means_that_a_hint_is_left_out(ratio: str, size: str, image_config: Json) -> None:
    assert body(replace(ASK, aspect_ratio=ratio, image_size=size)).get("image_config") == image_config


@pytest.mark.parametrize(
    ("ratio", "size", "image_config"),
    [
        ("1:1", "1536x1024", {"aspect_ratio": "3:2", "image_size": "1K"}),
        ("auto", "1024x1536", {"aspect_ratio": "2:3", "image_size": "1K"}),
        ("16:9", "3840x2160", {"aspect_ratio": "16:9", "image_size": "4K"}),
        ("16:9", "1344x768", {"aspect_ratio": "16:9", "image_size": "1K"}),
        ("1:1", "512", {"aspect_ratio": "1:1", "image_size": "1K"}),
        ("9:19.5", "1K", {"aspect_ratio": "9:19.5", "image_size": "1K"}),
    ],
)
def test_pixels_become_the_nearest_ratio_and_hint(ratio: str, size: str, image_config: Json) -> None:
    assert body(replace(ASK, aspect_ratio=ratio, image_size=size))["image_config"] == image_config


def test_references_stand_beside_the_prompt() -> None:
    assert body(replace(ASK, references=(DATA_URL, "data:,2")))["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a red fox"},
                {"type": "image_url", "image_url": {"url": DATA_URL}},
                {"type": "image_url", "image_url": {"url": "data:,2"}},
            ],
        }
    ]


def test_extra_body_replaces_what_it_names() -> None:
    made = body(modalities=["image"], provider={"sort": "price"}, image_config={"image_size": "2K"})
    assert made["modalities"] == ["image"]
    assert made["provider"] == {"sort": "price"}
    assert made["image_config"] == {"image_size": "2K"}


def test_a_fallback_keeps_the_other_wishes_of_extra_body() -> None:
    ask = replace(ASK, image_size="1K", quality="low", is_chosen=True)
    made = body(ask, image_config={"image_size": "4K", "style": "oil"})
    assert made["image_config"] == {"style": "oil", "aspect_ratio": "1:1", "image_size": "1K", "quality": "low"}


def test_a_fallback_cleans_an_extra_body_of_the_wrong_type() -> None:
    assert body(replace(ASK, is_chosen=True), image_config="4K")["image_config"] == {
        "aspect_ratio": "1:1",
        "image_size": "1K",
    }


@pytest.mark.parametrize(
    ("size", "smaller"),
    [
        *(("4K", "2K"), ("2K", "1K"), ("1K", None), ("512", None), ("auto", None)),
        *(("4096x4096", "2K"), ("2048x2048", "1K"), ("3000x100", None), ("1024x1024", None), ("1536x1024", None)),
    ],
)
def test_smaller_is_the_next_tier(size: str, smaller: str | None) -> None:
    assert OPENROUTER.smaller(size) == smaller


def chat(message: Json = None, **more: Json) -> dict[str, Json]:
    return {"id": "gen-1", "choices": [{"message": message, **more}]}


def images(*links: Json) -> dict[str, Json]:
    return chat({"role": "assistant", "content": "", "images": list(links)})


@pytest.mark.parametrize(
    ("answer", "pictures"),
    [
        (images({"type": "image_url", "image_url": {"url": DATA_URL}}), (DATA_URL,)),
        (images({"image_url": {"url": "https://cdn.example/x.png"}}), ("https://cdn.example/x.png",)),
        (images({"imageUrl": {"url": DATA_URL}}), (DATA_URL,)),
        (images({"image_url": DATA_URL}), (DATA_URL,)),
        (images({"image_url": None, "imageUrl": {"url": DATA_URL}}), (DATA_URL,)),
        (images({"image_url": {"url": "one"}}, {"image_url": {"url": "two"}}), ("one", "two")),
        (images({"image_url": {"url": 7}}, {"image_url": {"url": "two"}}), ("two",)),
        ({"error": None, **images({"image_url": {"url": DATA_URL}})}, (DATA_URL,)),
        (chat({"images": [{"image_url": {"url": DATA_URL}}]}, error=None, finish_reason="stop"), (DATA_URL,)),
        ({"choices": [{"message": {}}, *images({"image_url": {"url": "b"}})["choices"]]}, ("b",)),
    ],
    ids=[
        "data",
        "https",
        "camel",
        "bare",
        "null-twin",
        "two",
        "wrong-type",
        "null-error",
        "choice-null-error",
        "later",
    ],
)
def test_pictures_are_found(answer: Json, pictures: tuple[str, ...]) -> None:
    assert OPENROUTER.parse_response(answer) == Answer(pictures=pictures)


@pytest.mark.parametrize(
    ("cost", "read"),
    [(0.04, 0.04), (0, 0.0), (None, None), ("0.04", None), (-1, None), (True, None), (float("nan"), None), ({}, None)],
    ids=repr,
)
def test_the_cost_is_read_if_it_is_one(cost: Json, read: float | None) -> None:
    answer = {**images({"image_url": {"url": DATA_URL}}), "usage": {"cost": cost}}
    assert OPENROUTER.parse_response(answer).cost_usd == read


ERROR = {"code": 429, "message": "slow down"}
AVAILABILITY = {
    "error_type": "provider_overloaded",
    "http_status": 503,
    "message": "no capacity",
    "availability": {"code": "temporarily_unavailable", "retryable": True, "retry_after": None},
}


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        ({"error": ERROR}, "rate_limited", "provider_rate_limited"),
        (chat({"content": "half"}, error=ERROR, finish_reason="error"), "rate_limited", "provider_rate_limited"),
        (
            chat({"images": [{"image_url": {"url": DATA_URL}}]}, error={"code": 502}, finish_reason="error"),
            "transient",
            "provider_down",
        ),
        ({"error": AVAILABILITY}, "transient", "provider_down"),
        ({"error": {"code": 402, "message": "Insufficient credits"}}, "unusable", "provider_credits"),
        (
            {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"]}}},
            "rejected",
            "content_refused",
        ),
        (
            {"error": {"code": 400, "metadata": {"error_type": "content_policy_violation"}}},
            "rejected",
            "content_refused",
        ),
        (chat({"content": None}, finish_reason="content_filter"), "rejected", "content_refused"),
        (chat({}, finish_reason="stop", native_finish_reason="IMAGE_SAFETY"), "rejected", "content_refused"),
        (chat({}, native_finish_reason="PROHIBITED_CONTENT"), "rejected", "content_refused"),
        ({"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}, "rejected", "content_refused"),
        (chat({}, finish_reason="error"), "transient", "provider_error"),
        ({"choices": []}, "interrupted", "no_image"),
        ({"choices": None}, "interrupted", "provider_bad_answer"),
        (chat({"content": "", "images": None}), "interrupted", "provider_bad_answer"),
        (chat({"images": "none"}), "interrupted", "provider_bad_answer"),
        (chat({"images": [7, {"image_url": 7}, {"image_url": {"url": " "}}]}), "interrupted", "provider_bad_answer"),
        (chat(None, finish_reason=7), "interrupted", "no_image"),
    ],
    ids=[
        *("top", "choice", "choice-with-picture", "availability", "credits", "moderation", "policy"),
        *(
            "content-filter",
            "image-safety",
            "prohibited",
            "block-reason",
            "error-only",
            "empty-choices",
            "null-choices",
            "null-images",
        ),
        *("images-text", "wrong-types", "null-message"),
    ],
)
def test_what_is_no_picture_is_told_apart(answer: Json, outcome: str, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(answer)
    assert (caught.value.outcome, caught.value.code) == (outcome, code)


GARBLED: dict[str, list[Json]] = {
    "choices": [None, 7, "none", {}, {"message": {}}, [7], [None], ["text"], [[]], [{}, {"message": 7}]],
    "message": [7, "text", [], [{}]],
    "images": [None, {}, "", "none", 7, [None], [7], [{}], [{"image_url": {}}], [{"image_url": {"url": 7}}]],
}
SILENT: dict[str, list[Json]] = {
    "choices": [[], [{}], [{}, {"message": None}], [{"delta": {}}], [{"message": {"content": "No."}}, 7]],
    "message": [None, {}, {"content": None}, {"content": ""}, {"content": 7}, {"content": "No."}],
    "images": [[]],
}


def putting(name: str, value: Json) -> Json:
    if name == "choices":
        return {"choices": value}
    return chat(value if name == "message" else {name: value})


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *((name, value, "provider_bad_answer") for name, values in GARBLED.items() for value in values),
        *((name, value, "no_image") for name, values in SILENT.items() for value in values),
    ],
    ids=str,
)
def test_p45_to_p48_what_makes_no_sense_is_told_from_silence(name: str, value: Json, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(putting(name, value))
    assert (caught.value.outcome, caught.value.code) == ("interrupted", code)


@pytest.mark.parametrize("choices", [[], [{}], [{"finish_reason": "stop"}], None, 7], ids=str)
def test_p47_a_prompt_that_was_blocked_is_refused_whatever_else_is_there(choices: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response({"choices": choices, "promptFeedback": {"blockReason": "OTHER"}})
    assert (caught.value.code, caught.value.values) == ("content_refused", {"reason": "OTHER"})


@pytest.mark.parametrize("feedback", [None, 7, {}, {"blockReason": None}, {"blockReason": ""}, [{"blockReason": "X"}]])
def test_p47_a_feedback_without_a_reason_refuses_nothing(feedback: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response({"choices": [], "promptFeedback": feedback})
    assert caught.value.code == "no_image"


@pytest.mark.parametrize("error", [{}, {"error": None}, {"error": {}}, {"error": ""}, {"error": 7}], ids=str)
def test_p44_a_choice_that_ended_in_an_error_brings_no_picture(error: dict[str, Json]) -> None:
    message = {"images": [{"image_url": {"url": DATA_URL}}]}
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(chat(message, finish_reason="error", **error))
    assert (caught.value.outcome, caught.value.code) == ("transient", "provider_error")


def test_p46_what_the_model_said_instead_is_passed_on() -> None:
    with pytest.raises(ProviderError) as caught:
        OPENROUTER.parse_response(chat({"content": "I can't\x1b[31m create <b>that</b>."}))
    assert caught.value.named().detail == "The model answered without an image. It said: I can't create that ."


def test_p35_the_reasons_of_a_refusal_are_passed_on() -> None:
    answer = {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence", "gore"]}}}
    with pytest.raises(ProviderError, match=r"refused this prompt or image \(violence, gore\)"):
        OPENROUTER.parse_response(answer)
