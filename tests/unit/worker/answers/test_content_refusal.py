"""Refused content in the words of every vendor's list, and what only looks like it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.answers.content_refusal import is_refused, refusal_in
from worker.answers.error_classification import of_error_object, of_status
from worker.answers.untrusted_json import Json

CODES = [
    *("moderation_blocked", "content_policy_violation", "content_filter", "CONTENT_FILTERED", "Request Moderated"),
    *("Content Moderated", "InputTextSensitiveContentDetected", "OutputImageSensitiveContentDetected.Policy"),
    *("InputImageRiskDetection", "DataInspectionFailed", "data_inspection_failed", "IPInfringementSuspect", "1301"),
    *("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION"),
    *("IMAGE_RECITATION", "MODEL_ARMOR", "JAILBREAK", "PUBLIC_ERROR_UNSAFE_GENERATION", "sensitive_words_detected"),
    "ResponsibleAIPolicyViolation",
]
NO_REFUSALS = [
    *(
        "STOP",
        "MAX_TOKENS",
        "NO_IMAGE",
        "IMAGE_OTHER",
        "OTHER",
        "MALFORMED_RESPONSE",
        "invalid_request",
        "1302",
        "1026",
    ),
    *("insufficient_quota", "rate_limit_exceeded", "permission_denied", "stop", "", "content"),
]


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_vendors_lists_is_a_refusal(code: str) -> None:
    assert is_refused(code=code)


@pytest.mark.parametrize("code", NO_REFUSALS)
def test_other_codes_are_none(code: str) -> None:
    assert not is_refused(code=code)


@pytest.mark.parametrize(
    "said",
    [
        "Your request was rejected as a result of our safety system.",
        "Your request was rejected by the safety system. safety_violations=[violence]",
        "Output blocked by content filtering policy",
        "This request violates OpenAI's usage policies.",
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "Input data may contain inappropriate content.",
        "Sensitive words detected",
        "That goes against our content policy.",
    ],
)
def test_sentences_that_only_mean_a_refusal_are_one(said: str) -> None:
    assert is_refused(said=said)


@pytest.mark.parametrize(
    "said",
    [
        "I'm sorry, I can't create that image.",
        "No endpoints found matching your data policy (Free model training).",
        "Your organization must be verified to use the model.",
        "The content-type is not supported",
        "Rate limit reached for moderation of images per minute",
        "Insufficient credits. Safety first.",
    ],
)
def test_other_sentences_are_none(said: str) -> None:
    assert not is_refused(said=said)


UPSTREAM: dict[str, Json] = {
    "openai": {"error": {"message": "No.", "code": "moderation_blocked", "type": "image_generation_user_error"}},
    "azure": {"error": {"code": "BadRequest", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
    "google": {"error": {"code": 400, "message": "No.", "details": [{"reason": "PUBLIC_ERROR_UNSAFE_GENERATION"}]}},
    "google list": [{"error": {"code": 400, "status": "BLOCKLIST", "message": "No."}}],
    "google answer": {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
    "dashscope": {"code": "DataInspectionFailed", "message": "No.", "request_id": "7"},
    "ark": {"error": {"code": "InputTextSensitiveContentDetected", "message": "No."}},
    "minimax": {"base_resp": {"status_code": 1027, "status_msg": "No."}},
    "zhipu": {"error": {"code": "1301", "message": "No."}},
    "fal": {"detail": [{"loc": ["body", "prompt"], "msg": "No.", "type": "content_policy_violation"}]},
    "words": {"error": {"message": "Your request was rejected as a result of our safety system."}},
    "xai": {"data": [{"respect_moderation": False}]},
}


@pytest.mark.parametrize("name", UPSTREAM)
def test_an_upstream_s_refusal_is_one_however_it_is_quoted(name: str) -> None:
    upstream = UPSTREAM[name]
    text = json.dumps(upstream)
    quoted: list[Json] = [upstream, text, json.dumps({"error": {"metadata": {"raw": text}}})]
    for raw in quoted:
        for code in (400, 502):
            error = {"code": code, "message": "Provider returned error", "metadata": {"raw": raw}}
            found = of_status(code, {}, {"error": error})
            assert (found.outcome, found.code) == ("rejected", "content_refused"), raw
            assert found.values["reason"] not in ("", "Provider returned error")
            assert of_error_object(error).outcome == "rejected"
    assert of_status(400, {}, upstream).outcome == "rejected" or name == "google list"


@pytest.mark.parametrize(
    "raw", ['{"error": {"code": "moderation_blocked", "mess', '400: {"code": "moderation_blocked"}']
)
def test_json_that_is_cut_off_or_has_words_before_it_is_read_for_its_codes(raw: str) -> None:
    assert of_error_object({"code": 400, "metadata": {"raw": raw}}).outcome == "rejected"
    assert of_status(400, {}, {"error": {"message": raw}}).outcome == "rejected"


def test_what_the_upstream_said_stands_where_the_gateway_says_nothing() -> None:
    for raw in ({"error": {"message": "Bad size."}}, '{"error": {"message": "Bad size."}}', "Bad size."):
        error = {"code": 400, "message": "Provider returned error", "metadata": {"raw": raw}}
        found = of_status(400, {}, {"error": error})
        assert (found.code, found.values["reason"]) == ("bad_parameters", "Bad size.")
        error["message"] = "A word of its own"
        assert of_status(400, {}, {"error": error}).values["reason"] == "A word of its own"


def test_an_attempt_at_another_upstream_that_was_refused_counts() -> None:
    earlier = [{"code": 502}, {"code": 400, "message": "x", "raw": '{"error": {"code": "moderation_blocked"}}'}]
    error = {"code": 500, "message": "Provider returned error", "metadata": {"previous_errors": earlier}}
    assert of_status(500, {}, {"error": error}).outcome == "rejected"


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=4)
NAMED = st.dictionaries(st.sampled_from(["raw", "message", "code", "error", "metadata"]), JSON, max_size=4)


@given(st.recursive(NAMED, lambda inner: st.dictionaries(st.just("raw"), inner | inner.map(json.dumps)), max_leaves=4))
def test_anything_may_be_quoted(value: Json) -> None:
    refusal_in(value)


def test_depth_and_size_of_what_is_quoted_are_bounded() -> None:
    deep: Json = {"code": "moderation_blocked"}
    for _ in range(5000):
        deep = {"metadata": deep}
    assert refusal_in(deep) is None
    assert refusal_in({"raw": "[" * 100_000}) is None
    assert refusal_in([{}] * 100_000 + [{"code": "moderation_blocked"}]) is None
