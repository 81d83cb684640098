"""What a caller may ask for: every field of a request, with the code that a bad one gets."""

import json
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from contract.aspect_ratio import RATIOS
from contract.errors.exceptions import Refused
from contract.jobs.job import Job
from contract.jobs.request import MAX_PROMPT, MAX_REFERENCES, AllowedFallback, JobRequest
from producer.validation.request import read_request
from tests.support.factories.configs import some_settings
from tests.support.factories.jobs import new_job

SETTINGS = some_settings(
    image={"default_aspect_ratio": "3:4", "default_image_size": "2K", "max_images_per_turn": 4},
)


def read(**fields: object) -> JobRequest:
    return read_request(fields, SETTINGS)


def refusal(**fields: object) -> Refused:
    with pytest.raises(Refused) as caught:
        read(**fields)
    assert caught.value.kind.status == 422
    return caught.value


def test_ratio_and_size_default_to_the_configured_ones() -> None:
    request = read(prompt="a fox")
    assert request == JobRequest(prompt="a fox", count=1, aspect_ratio="3:4", image_size="2K", reference_images=())


def test_no_ratio_and_no_size_are_the_configured_ones() -> None:
    nothing = dict.fromkeys(("aspect_ratio", "image_size"))
    assert read(prompt="a fox", **nothing) == read(prompt="a fox")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"prompt": None},
        {"prompt": ""},
        {"prompt": " \n\t\u2003\u00a0"},
        {"prompt": "\u200b\u200d\ufeff\u2060"},
        {"prompt": "\x1b\x07"},
        {"prompt": 7},
        {"prompt": ["a fox"]},
        {"prompt": b"a fox"},
    ],
    ids=["missing", "null", "empty", "blank", "zero-width", "controls", "number", "list", "bytes"],
)
def test_b15_a_prompt_must_say_something(fields: dict[str, Any]) -> None:
    assert refusal(**fields).code == "prompt_required"


@pytest.mark.parametrize("length", [MAX_PROMPT + 1, 2**20, 10**8], ids=str)
def test_b16_a_prompt_may_not_be_too_long(length: int) -> None:
    error = refusal(prompt="x" * length)
    assert (error.code, error.detail) == ("prompt_too_long", "The prompt must have at most 32000 characters.")


def test_b16_the_longest_prompt_is_taken() -> None:
    assert len(read(prompt="é" * MAX_PROMPT).prompt) == MAX_PROMPT


@pytest.mark.parametrize("prompt", ["a\0fox", "\0"], ids=ascii)
def test_b17_nul_is_refused(prompt: str) -> None:
    assert refusal(prompt=prompt).code == "prompt_invalid_characters"


@pytest.mark.parametrize(
    ("prompt", "kept"),
    [("\x1b[31mred\x1b[0m", "[31mred[0m"), ("a\tb\nc\rd\x85e", "a\tb\ncde"), ("\x01\x7ffox", "fox")],
    ids=["ansi", "layout", "others"],
)
def test_b17_other_control_characters_are_removed(prompt: str, kept: str) -> None:
    assert read(prompt=prompt).prompt == kept


@pytest.mark.parametrize(
    "prompt",
    ["\u202egnp.exe\u202c", "\u05e9\u05dc\u05d5\u05dd", "👩\u200d👩\u200d👧", "Z" + "\u0336" * 50, "\ufeffa"],
    ids=["override", "rtl", "emoji", "zalgo", "bom"],
)
def test_b18_strange_but_fair_text_is_kept_as_it_is(prompt: str) -> None:
    assert read(prompt=prompt).prompt == prompt


@pytest.mark.parametrize("prompt", ["\ud800", "fox\udfff", "\ud83d \ude00"], ids=ascii)
def test_b19_broken_unicode_is_refused(prompt: str) -> None:
    assert refusal(prompt=prompt).code == "prompt_invalid_characters"


@pytest.mark.parametrize(
    "prompt",
    ["${HOME}", "{{7*7}} {prompt} {0}", "%s %n", "<script>", "' OR 1=1 --", "*1\r\n$4\r\nPING".replace("\r", "")],
)
def test_b20_a_prompt_is_plain_text_and_never_expanded(prompt: str) -> None:
    assert read(prompt=prompt).prompt == prompt


@pytest.mark.parametrize("count", [0, -1, 5, 9, 10**9, 99999999999999999999], ids=str)
def test_b21_a_count_out_of_range_is_told_the_range(count: int) -> None:
    error = refusal(prompt="a fox", count=count)
    assert (error.code, error.detail) == (
        "count_out_of_range",
        "count must be between 1 and 4 (maxImagesPerTurn).",
    )


@pytest.mark.parametrize("count", [1, 4])
def test_b21_the_range_of_counts_is_inclusive(count: int) -> None:
    assert read(prompt="a fox", count=count).count == count


@pytest.mark.parametrize("count", ["4", True, 4.0, 4.5, [4], float("nan"), 1e0, {}], ids=repr)
def test_b22_a_count_of_the_wrong_type_is_refused(count: object) -> None:
    error = refusal(prompt="a fox", count=count)
    assert (error.code, error.detail) == ("type_error", "count has the wrong type: it must be a whole number.")


@pytest.mark.parametrize(
    "ratio", ["16:0", "0:1", "-1:1", "16x9", "999:1", "１６：９", "1:1\n", "", "16:9:1", "1 : 1"], ids=ascii
)
def test_b23_an_unknown_ratio_is_told_the_known_ones(ratio: str) -> None:
    error = refusal(prompt="a fox", aspect_ratio=ratio)
    assert error.code == "aspect_ratio_invalid"
    assert ", ".join(RATIOS) in error.detail


@pytest.mark.parametrize(("given", "read_as"), [*((r, r) for r in RATIOS), (" 16:9 ", "16:9"), ("AUTO", "auto")])
def test_b23_known_ratios_are_taken(given: str, read_as: str) -> None:
    assert read(prompt="a fox", aspect_ratio=given).aspect_ratio == read_as


@pytest.mark.parametrize(
    "size",
    ["0x0", "99999x99999", "1x1", "1e3x1", "8K", "-1", "", "1024", "1024x", "63x64", "4097x64", "1024x1024\n", "١K"],
    ids=ascii,
)
def test_b24_an_unknown_size_is_told_what_sizes_there_are(size: str) -> None:
    error = refusal(prompt="a fox", image_size=size)
    assert error.code == "image_size_invalid"
    assert "512, 1K, 2K, 4K, auto, or WIDTHxHEIGHT with sides of 64 to 4096" in error.detail


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        *(("512", "512"), ("1K", "1K"), ("2K", "2K"), ("4K", "4K"), ("auto", "auto"), ("1024x1024", "1024x1024")),
        *(("1k", "1K"), ("1024X1024", "1024x1024"), ("1024X1024 ", "1024x1024"), (" 2k ", "2K"), ("Auto", "auto")),
        *(("64x64", "64x64"), ("4096x4096", "4096x4096"), ("0.5K", "512"), ("0.5k", "512")),
    ],
)
def test_b24_sizes_are_taken_in_tolerable_spellings(given: str, read_as: str) -> None:
    assert read(prompt="a fox", image_size=given).image_size == read_as


@pytest.mark.parametrize("field", ["aspect_ratio", "image_size"])
@pytest.mark.parametrize("value", [7, True, ["1:1"], {}], ids=repr)
def test_a_text_field_of_the_wrong_type_is_refused(field: str, value: object) -> None:
    error = refusal(prompt="a fox", **{field: value})
    assert (error.code, error.detail) == ("type_error", f"{field} has the wrong type: it must be text.")


@pytest.mark.parametrize(("value", "expected"), [("a.png", "a list"), ({}, "a list"), ([7], "text"), ([None], "text")])
def test_references_of_the_wrong_type_are_refused(value: object, expected: str) -> None:
    error = refusal(prompt="a fox", reference_images=value)
    assert (error.code, error.detail) == ("type_error", f"reference_images has the wrong type: it must be {expected}.")


@pytest.mark.parametrize("fallback", [*get_args(AllowedFallback), None])
def test_a_caller_may_limit_what_is_delivered_instead(fallback: str | None) -> None:
    assert read(prompt="a fox", fallback=fallback).fallback == fallback


@pytest.mark.parametrize("fallback", ["", "Any", "lower", "size ", True, 1, ["any"], {}], ids=repr)
def test_an_unknown_kind_of_fallback_is_told_the_known_ones(fallback: object) -> None:
    error = refusal(prompt="a fox", fallback=fallback)
    assert (error.code, error.detail) == ("fallback_invalid", "fallback must be any, quality, size or none.")


LIMITS = ["attempt_timeout_seconds", "deadline_seconds"]


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("seconds", [1, 1.0, 2.5, 599, 600, 600.0, None])
def test_a_caller_may_shorten_the_operators_times(field: str, seconds: float | None) -> None:
    assert getattr(read(prompt="a fox", **{field: seconds}), field) == seconds


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize(
    "seconds", [0, 0.99, -1, 600.1, 601, 1e300, float("inf"), float("-inf"), float("nan")], ids=repr
)
def test_a_time_out_of_range_is_told_the_field_and_the_range(field: str, seconds: float) -> None:
    error = refusal(prompt="a fox", **{field: seconds})
    assert (error.code, error.detail) == ("timeout_out_of_range", f"{field} must be between 1 and 600 seconds.")


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize("seconds", ["5", "", True, False, [5], {}, b"5", 10**400], ids=lambda value: repr(value)[:9])
def test_a_time_of_the_wrong_type_is_refused(field: str, seconds: object) -> None:
    error = refusal(prompt="a fox", **{field: seconds})
    assert (error.code, error.detail) == ("type_error", f"{field} has the wrong type: it must be a number.")


def test_without_an_operator_a_time_has_no_upper_end_but_must_be_a_time() -> None:
    asked = {"prompt": "a fox", "aspect_ratio": "1:1", "image_size": "1K"}
    assert JobRequest.model_validate({**asked, "deadline_seconds": 1e6}).deadline_seconds == 1e6
    for seconds in (0.5, float("inf"), float("nan")):
        with pytest.raises(ValidationError, match="out of range"):
            JobRequest.model_validate({**asked, "deadline_seconds": seconds})


def test_limits_are_in_the_json_only_where_they_were_given() -> None:
    plain = read(prompt="a fox")
    assert list(plain.model_dump()) == ["prompt", "count", "aspect_ratio", "image_size", "reference_images"]
    assert list(json.loads(plain.model_dump_json())) == list(plain.model_dump())
    limited = read(prompt="a fox", fallback="none", deadline_seconds=90)
    assert limited.model_dump() == {**plain.model_dump(), "fallback": "none", "deadline_seconds": 90.0}
    for request in (plain, limited):
        assert JobRequest.model_validate_json(request.model_dump_json()) == request


def test_a_choice_is_in_the_json_only_where_it_was_made() -> None:
    chosen = read(prompt="a fox", provider="openrouter", model=SETTINGS.image.model, quality="low")
    assert chosen.model_dump() == {
        **read(prompt="a fox").model_dump(),
        "provider": "openrouter",
        "model": SETTINGS.image.model,
        "quality": "low",
    }
    assert digest(chosen) != digest(read(prompt="a fox"))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"provider": "aihubmix"}, "unknown_provider"),
        ({"provider": "../x\n"}, "unknown_provider"),
        ({"model": "vendor/model-1.0"}, "unknown_model"),
        ({"quality": "best"}, "quality_invalid"),
    ],
)
def test_b28_only_what_was_configured_can_be_chosen(fields: dict[str, str], code: str) -> None:
    error = refusal(prompt="a fox", **fields)
    assert (error.code, error.place) == (code, tuple(fields))


def test_all_problems_are_told_at_once() -> None:
    error = refusal(prompt="", count=99, image_size="8K")
    assert [(one.code, one.place) for one in (error, *error.others)] == [
        ("prompt_required", ("prompt",)),
        ("count_out_of_range", ("count",)),
        ("image_size_invalid", ("image_size",)),
    ]


@pytest.mark.parametrize("model", ["", "a" * 201, "../x", "a//b", "/a", "a b", "a\nb", "a?b"])
def test_no_model_has_a_name_that_is_not_plain(model: str) -> None:
    assert refusal(prompt="a fox", model=model).code == "unknown_model"
    assert refusal(prompt="a fox", model=7).code == "type_error"


def test_the_schema_shows_fields_that_may_be_left_out() -> None:
    schema = Job.model_json_schema(mode="serialization")
    assert set(schema["properties"]) == set(Job.model_fields)
    assert set(schema["$defs"]["KeptRequest"]["properties"]) == set(JobRequest.model_fields)


def test_where_the_webhook_goes_counts_when_a_request_is_repeated_and_its_sealed_text_does_not() -> None:
    request = read(prompt="a fox")
    assert digest(request, webhook_url="https://a") != digest(request, webhook_url="https://b")
    assert digest(request, webhook_url="https://a") != digest(request)
    assert digest(request, webhook="sealed") == digest(request, webhook="sealed again") == digest(request)


def test_limits_count_when_a_request_is_repeated() -> None:
    limits: list[dict[str, object]] = [
        {},
        {"fallback": "none"},
        {"fallback": "size"},
        {"attempt_timeout_seconds": 30},
        {"deadline_seconds": 30},
    ]
    assert len({digest(read(prompt="a fox", **each)) for each in limits}) == len(limits)
    assert digest(read(prompt="a fox", deadline_seconds=30)) == digest(read(prompt="a fox", deadline_seconds=30.0))
    nothing = dict.fromkeys(["fallback", *LIMITS])
    assert digest(read(prompt="a fox", **nothing)) == digest(read(prompt="a fox"))


def digest(request: JobRequest, *, webhook: str = "", webhook_url: str = "") -> str:
    return new_job(request=request, webhook=webhook, webhook_url=webhook_url).digest


def test_b11_duplicate_references_count_once_and_keep_their_order() -> None:
    assert read(prompt="a fox", reference_images=["b", "a", "b"]).reference_images == ("b", "a")
    assert len(read(prompt="a fox", reference_images=["a", "b"] * 20).reference_images) == 2


def test_b11_too_many_references_are_refused() -> None:
    names = [str(number) for number in range(MAX_REFERENCES + 1)]
    assert read(prompt="a fox", reference_images=names[:-1]).reference_images == tuple(names[:-1])
    assert refusal(prompt="a fox", reference_images=names).code == "too_many_references"


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("refrence_images", "field refrence_images (did you mean reference_images?)"),
        ("imageSize", "field imageSize (did you mean image_size?)"),
        ("promt", "field promt (did you mean prompt?)"),
        ("deadline", "field deadline (did you mean deadline_seconds?)"),
        ("__proto__", "field __proto__"),
        ("constructor", "field constructor"),
        ("x" * 10_000, "such field"),
        ("a prompt in the wrong place", "such field"),
    ],
    ids=["misspelt", "camel", "letter", "short", "proto", "constructor", "long", "words"],
)
def test_b26_an_unknown_field_is_named_with_the_nearest_one(field: str, told: str) -> None:
    error = refusal(prompt="a fox", **{field: 1})
    assert (error.code, error.detail, error.place) == ("unknown_field", f"There is no {told}.", (field,))


def test_b26_ten_thousand_unknown_fields_are_one_refusal() -> None:
    assert refusal(prompt="a fox", **{f"field{n}": n for n in range(10_000)}).code == "unknown_field"


@pytest.mark.parametrize("field", ["owner", "job_id", "state", "fence", "api_key", "extra_body", "api_base", "proxy"])
def test_b27_what_is_not_the_callers_cannot_be_set(field: str) -> None:
    assert refusal(prompt="a fox", **{field: "mine"}).code == "unknown_field"


def test_b88_no_refusal_repeats_what_was_sent() -> None:
    secret = "hunter2hunter2"
    bad: list[dict[str, Any]] = [
        *({"count": secret}, {"aspect_ratio": secret}, {"image_size": secret}, {"reference_images": secret}),
        *({"prompt": secret + "\0"}, {"prompt": secret * 9999}, {"fallback": secret}, {"deadline_seconds": secret}),
    ]
    for fields in bad:
        assert secret not in refusal(**{"prompt": "a fox", **fields}).detail


def test_a_size_of_another_shape_than_the_ratio_is_refused_where_both_are_named() -> None:
    refused = refusal(prompt="a fox", aspect_ratio="16:9", image_size="1024x1024")
    assert (refused.code, refused.place) == ("size_contradicts_ratio", ("image_size",))
    assert refused.detail == "The size 1024x1024 does not have the aspect ratio 16:9."
    assert read(prompt="a fox", aspect_ratio="16:9", image_size="1920x1080").image_size == "1920x1080"
    assert read(prompt="a fox", aspect_ratio="auto", image_size="1920x1080").aspect_ratio == "auto"
    assert read(prompt="a fox", image_size="640x1920").aspect_ratio == SETTINGS.image.default_aspect_ratio
