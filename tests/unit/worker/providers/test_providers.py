"""One conformance suite for all providers; what each of them says on the wire is in its own tests."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from contract.settings.nanobot_config import ProviderConfig
from worker.answers.errors import ProviderError
from worker.answers.untrusted_json import Json
from worker.providers.provider import Answer, ImageCall, Provider
from worker.providers.registry import PROVIDERS

BASE = "https://provider.example/v1"
KEY = "sk-conformance-0123456789"
ASK = ImageCall(prompt="a red fox", model="vendor/model", aspect_ratio="16:9", image_size="1K")
REFERENCE = "data:image/png;base64,AAAA"
CONFIG = ProviderConfig(
    api_key=SecretStr(KEY),
    extra_headers={"X-Title": SecretStr("bot"), "Content-Type": SecretStr("application/json; charset=utf-8")},
    extra_body={"quality": "high", "size": "333x333", "image_config": {"style": "oil"}, "nested": {"a": [1]}},
)

every_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)


@every_provider
@pytest.mark.parametrize("is_chosen", [False, True])
def test_building_a_request_is_pure(provider: Provider, is_chosen: bool) -> None:
    config = copy.deepcopy(CONFIG)
    ask = replace(ASK, is_chosen=is_chosen, quality="low", references=(REFERENCE,))
    first = provider.build_request(ask, config, BASE)
    first_text = json.dumps([first.url, first.headers, first.body])
    second = provider.build_request(ask, config, BASE)
    assert first_text == json.dumps([second.url, second.headers, second.body])
    assert first.body is not second.body
    assert config == CONFIG


@every_provider
def test_the_call_goes_below_the_api_base_with_the_key_and_the_configured_headers(provider: Provider) -> None:
    call = provider.build_request(ASK, CONFIG, BASE)
    assert call.url.startswith(BASE + "/")
    assert call.headers == {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json; charset=utf-8",
        "X-Title": "bot",
    }


@every_provider
def test_a_configured_header_may_replace_the_key(provider: Provider) -> None:
    config = CONFIG.model_copy(update={"extra_headers": {"Authorization": SecretStr("Basic abc")}})
    assert provider.build_request(ASK, config, BASE).headers["Authorization"] == "Basic abc"


@every_provider
def test_the_body_holds_the_prompt_once_and_the_references(provider: Provider) -> None:
    call = provider.build_request(replace(ASK, references=(REFERENCE, REFERENCE)), CONFIG, BASE)
    text = json.dumps(call.body)
    assert text.count("a red fox") == 1
    assert text.count(REFERENCE) == 2


@every_provider
def test_extra_body_is_merged_over_the_body(provider: Provider) -> None:
    call = provider.build_request(ASK, CONFIG, BASE)
    merged = call.body.get("input", call.body)
    assert CONFIG.extra_body.items() <= merged.items()


@every_provider
def test_a_fallback_goes_before_extra_body_in_size_and_quality(provider: Provider) -> None:
    asked = provider.build_request(ASK, CONFIG, BASE)
    ask = replace(ASK, image_size="640x480", quality="low", is_chosen=True)
    fallback = provider.build_request(ask, CONFIG, BASE)
    said = {"openrouter": '"aspect_ratio": "4:3", "image_size": "1K"', "aihubmix": '"size": "640x480"'}[provider.name]
    assert said not in json.dumps(asked.body)
    text = json.dumps(fallback.body)
    assert said in text
    assert '"quality": "low"' in text
    assert '"nested": {"a": [1]}' in text


@every_provider
def test_nothing_secret_is_in_the_repr_of_a_call(provider: Provider) -> None:
    shown = repr(provider.build_request(ASK, CONFIG, BASE)) + repr(CONFIG) + repr(ASK)
    assert KEY not in shown
    assert "red fox" not in shown


@every_provider
@pytest.mark.parametrize("size", ["512", "1K", "2K", "4K", "auto", "64x64", "1024x1024", "4096x4096", "4096x64"])
def test_smaller_sizes_come_to_an_end(provider: Provider, size: str) -> None:
    steps = [size]
    while smaller := provider.smaller(steps[-1]):
        assert smaller not in steps
        steps.append(smaller)
    assert len(steps) <= 4


@every_provider
@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        ({"code": 401, "message": "no"}, "unusable", "provider_auth"),
        ({"code": "429", "message": "slow"}, "rate_limited", "provider_rate_limited"),
        ({"code": 502, "message": "bad"}, "transient", "provider_down"),
        ({"code": 504}, "timeout", "provider_down"),
        ({"error_type": "provider_overloaded", "http_status": 503}, "transient", "provider_down"),
        ({"code": None, "http_status": 429}, "rate_limited", "provider_rate_limited"),
        ({"type": "content_policy_violation", "code": 400}, "rejected", "content_refused"),
        ({"code": "moderation_blocked"}, "rejected", "content_refused"),
        ({"message": "Incorrect model ID"}, "unusable", "bad_model"),
        ("overloaded", "transient", "provider_error"),
        ({"code": "²²²"}, "transient", "provider_error"),
        ({"code": [[[]]]}, "transient", "provider_error"),
    ],
    ids=str,
)
def test_p43_an_error_that_came_with_200_counts_as_its_inner_code(
    provider: Provider, error: Json, outcome: str, code: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        provider.parse_response({"error": error})
    assert (caught.value.outcome, caught.value.code) == (outcome, code)


WORDS = st.sampled_from(
    [
        *("choices", "message", "images", "image_url", "imageUrl", "url", "error", "code", "usage", "cost", "content"),
        *("output", "b64_json", "bytesBase64", "polling_url", "status", "data", "urls", "metadata", "reasons", "type"),
        *("http_status", "finish_reason", "result", "sample", "image", "error_type", "native_finish_reason"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["data:image/png;base64,AA==", "https://x/y.png", "failed", "processing", "429", "²²²"])
)
NONSENSE = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=25,
)


def read(provider: Provider, body: Json) -> Answer | ProviderError:
    """Read a body; anything but these two results is a failure of the test."""
    try:
        return provider.parse_response(body)
    except ProviderError as error:
        return error


def reads_or_refuses(provider: Provider, body: Json) -> None:
    """Whatever the body is, the answer is an Answer or a ProviderError, and the body stays as it was."""
    before = copy.deepcopy(body)
    result = read(provider, body)
    assert repr(body) == repr(before)
    if isinstance(result, ProviderError):
        assert len(result.named().detail) < 600
        return
    assert all(isinstance(picture, str) and picture.strip() for picture in result.pictures)
    assert result.cost_usd is None or 0 <= result.cost_usd < 1e9


@every_provider
@given(body=NONSENSE)
def test_p48_nonsense_of_any_shape_is_answered_or_refused(provider: Provider, body: Json) -> None:
    reads_or_refuses(provider, body)


@every_provider
@given(inner=NONSENSE, shape=st.integers(0, 5))
def test_p48_nonsense_in_the_right_place_is_answered_or_refused(provider: Provider, inner: Json, shape: int) -> None:
    message: Json = {"images": inner, "content": inner}
    bodies: list[Json] = [
        {"choices": [{"message": message}], "output": inner},
        {"choices": [{"message": inner}], "output": {"b64_json": inner}},
        {"choices": inner, "output": [inner]},
        {"choices": [{"message": {"images": [{"image_url": inner}]}}], "output": {"urls": inner}},
        {"error": inner},
        {"choices": [{"error": inner}], "output": [{"polling_url": inner}], "status": inner},
    ]
    reads_or_refuses(provider, bodies[shape])


@every_provider
@pytest.mark.parametrize("body", [None, 0, 1.5, True, "", "text", [], {}, [[]], [{}]], ids=repr)
def test_p49_an_answer_without_anything_makes_no_sense(provider: Provider, body: Json) -> None:
    with pytest.raises(ProviderError) as caught:
        provider.parse_response(body)
    assert (caught.value.outcome, caught.value.code) == ("interrupted", "provider_bad_answer")


@every_provider
def test_p51_deep_nesting_is_no_danger(provider: Provider) -> None:
    deep: Json = json.loads("[" * 800 + "]" * 800)
    bodies = (deep, {"error": {"code": deep}}, {"choices": deep, "output": deep}, {"error": deep})
    assert all(isinstance(read(provider, body), ProviderError) for body in bodies)
