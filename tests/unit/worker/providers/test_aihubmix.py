"""AIHubMix on the wire: the predictions path, exact bodies, all shapes of its answers, and polling."""

from dataclasses import replace

import pytest
from pydantic import SecretStr

from contract.settings.nanobot_config import ProviderConfig
from worker.answers.errors import ProviderError
from worker.answers.untrusted_json import Json
from worker.policy.backoff import may_pass
from worker.providers.aihubmix import AIHUBMIX, model_path, parse_poll, poll_url
from worker.providers.provider import Answer, ImageCall

CONFIG = ProviderConfig(api_key=SecretStr("sk-hub-test"))
ASK = ImageCall(prompt="a red fox", model="gpt-image-2-free", aspect_ratio="1:1", image_size="1K")


def asked(ask: ImageCall = ASK, **extra_body: Json) -> dict[str, Json]:
    config = CONFIG.model_copy(update={"extra_body": extra_body})
    call = AIHUBMIX.build_request(ask, config, AIHUBMIX.api_base)
    assert list(call.body) == ["input"]
    found: dict[str, Json] = call.body["input"]
    return found


def test_the_request_is_the_documented_prediction() -> None:
    call = AIHUBMIX.build_request(ASK, CONFIG, AIHUBMIX.api_base)
    assert call.url == "https://aihubmix.com/v1/models/openai/gpt-image-2-free/predictions"
    assert call.headers == {"Authorization": "Bearer sk-hub-test", "Content-Type": "application/json"}
    assert call.body == {"input": {"prompt": "a red fox", "n": 1, "size": "1024x1024"}}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt-image-2-free", "openai/gpt-image-2-free"),
        ("gpt-image-1", "openai/gpt-image-1"),
        ("dall-e-3", "openai/dall-e-3"),
        ("openai/gpt-image-2-free", "openai/gpt-image-2-free"),
        ("bfl/flux-2-pro", "bfl/flux-2-pro"),
        ("irag-1.0", "irag-1.0"),
    ],
)
def test_a_bare_model_of_openai_gets_its_vendor(model: str, path: str) -> None:
    assert model_path(model) == path


@pytest.mark.parametrize(
    ("ratio", "size", "sent"),
    [
        *(("1:1", "4K", "1024x1024"), ("16:9", "2K", "1536x1024"), ("9:16", "1K", "1024x1536")),
        *(("4:3", "auto", "1536x1024"), ("auto", "1K", "auto"), ("21:9", "1K", "1536x1024")),
        *(("1:1", "800x600", "800x600"), ("auto", "2048x1024", "2048x1024")),
    ],
)
def test_the_size_is_one_the_model_knows_or_the_explicit_one(ratio: str, size: str, sent: str) -> None:
    assert asked(replace(ASK, aspect_ratio=ratio, image_size=size))["size"] == sent


@pytest.mark.parametrize(
    ("model", "ratio", "size", "sent"),
    [
        ("doubao/doubao-seedream-4-0-250828", "1:1", "2K", {"size": "2K"}),
        ("doubao/doubao-seedream-4-0-250828", "auto", "4K", {"size": "4K"}),
        ("doubao/doubao-seedream-4-0-250828", "1:1", "1K", {"size": "1K"}),
        ("doubao/doubao-seedream-4-0-250828", "1:1", "512", {"size": "1K"}),
        ("doubao/doubao-seedream-4-0-250828", "auto", "auto", {"size": "2K"}),
        ("doubao/doubao-seedream-4-0-250828", "16:9", "2K", {"size": "2720x1536"}),
        ("doubao-seedream-4-5-251128", "1:1", "1K", {"size": "2K"}),
        ("doubao-seedream-4-5-251128", "3:2", "1K", {"size": "2496x1664"}),
        ("doubao/doubao-seedream-4-0-250828", "1:1", "1728x2304", {"size": "1728x2304"}),
        ("doubao/doubao-seedream-3-0-t2i", "1:1", "2K", {"size": "1024x1024"}),
        ("bfl/flux-2-pro", "16:9", "1K", {"aspect_ratio": "16:9"}),
        ("bfl/flux-2-pro", "1:1", "1536x1024", {"aspect_ratio": "3:2"}),
        ("ideogram/V3", "16:9", "1K", {"aspect_ratio": "16x9"}),
        ("ideogram/V3", "auto", "1K", {}),
        ("qwen/qwen-image", "16:9", "1K", {"size": "1536x1024"}),
    ],
)
def test_each_vendor_is_asked_in_its_own_words(model: str, ratio: str, size: str, sent: dict[str, str]) -> None:
    assert (
        asked(replace(ASK, model=model, aspect_ratio=ratio, image_size=size)) == {"prompt": "a red fox", "n": 1} | sent
    )


def test_an_edit_of_seedream_names_pixels_as_a_hint_would_leave_the_ratio_to_the_model() -> None:
    ask = replace(ASK, model="doubao/doubao-seedream-4-0-250828", image_size="2K", references=("data:,1",))
    assert asked(ask)["size"] == "2048x2048"
    assert asked(replace(ask, aspect_ratio="auto"))["size"] == "2K"


def test_one_reference_is_sent_alone_and_more_as_a_list() -> None:
    assert "image" not in asked()
    assert asked(replace(ASK, references=("data:,1",)))["image"] == "data:,1"
    assert asked(replace(ASK, references=("data:,1", "data:,2")))["image"] == ["data:,1", "data:,2"]


def test_extra_body_is_merged_into_the_input() -> None:
    assert asked(quality="low", size="auto") == {"prompt": "a red fox", "n": 1, "size": "auto", "quality": "low"}


def test_a_fallback_goes_before_extra_body() -> None:
    ask = replace(ASK, quality="low", is_chosen=True)
    assert asked(ask, quality="high", size="4096x4096", moderation="low") == {
        "prompt": "a red fox",
        "n": 1,
        "size": "1024x1024",
        "quality": "low",
        "moderation": "low",
    }


def test_a_fallback_without_a_quality_leaves_the_configured_one() -> None:
    assert asked(replace(ASK, is_chosen=True), quality="high")["quality"] == "high"


@pytest.mark.parametrize(
    ("size", "smaller"),
    [("1K", None), ("4K", None), ("auto", None), ("1024x1024", None), ("1536x1024", None), ("2048x2048", "1K")],
)
def test_only_large_explicit_pixels_can_become_smaller(size: str, smaller: str | None) -> None:
    assert AIHUBMIX.smaller(size) == smaller


@pytest.mark.parametrize(
    ("answer", "pictures"),
    [
        ({"output": {"b64_json": [{"bytesBase64": "AAAA"}]}}, ("AAAA",)),
        ({"output": {"b64_json": [{"bytesBase64": "AAAA"}, {"bytesBase64": "BBBB"}]}}, ("AAAA", "BBBB")),
        ({"output": [{"bytesBase64": "AAAA"}]}, ("AAAA",)),
        ({"output": {"urls": ["https://cdn.example/a.png"]}}, ("https://cdn.example/a.png",)),
        ({"output": [{"b64_json": "AAAA"}]}, ("AAAA",)),
        ({"output": {"b64_json": "AAAA"}}, ("AAAA",)),
        ({"output": [{"url": "https://cdn.example/a.png"}]}, ("https://cdn.example/a.png",)),
        ({"data": [{"b64_json": "AAAA"}]}, ("AAAA",)),
        ({"data": [{"url": "https://cdn.example/a.png"}], "error": None}, ("https://cdn.example/a.png",)),
        ({"output": ["https://cdn.example/a.png"]}, ("https://cdn.example/a.png",)),
        ({"status": "succeeded", "output": [{"bytesBase64": "AAAA"}]}, ("AAAA",)),
        ({"status": "Ready", "result": {"sample": "https://cdn.example/a.png"}}, ("https://cdn.example/a.png",)),
        ({"output": [None, 7, {"bytesBase64": ""}, {"bytesBase64": "AAAA"}]}, ("AAAA",)),
    ],
    ids=[
        *("b64-list", "b64-two", "list", "urls", "list-b64", "b64", "list-url", "data-b64", "data-url", "strings"),
        *("poll-succeeded", "poll-ready", "mixed"),
    ],
)
def test_pictures_are_found_in_every_shape(answer: Json, pictures: tuple[str, ...]) -> None:
    assert AIHUBMIX.parse_response(answer) == Answer(pictures=pictures)


@pytest.mark.parametrize(
    "answer",
    [
        {"output": [{"polling_url": "https://aihubmix.com/v1/tasks/7", "taskId": "7"}]},
        {"output": {"polling_url": "https://aihubmix.com/v1/tasks/7"}},
        {"polling_url": "https://aihubmix.com/v1/tasks/7", "status": "processing"},
    ],
    ids=["list", "object", "top"],
)
def test_an_answer_may_say_where_to_ask_again(answer: Json) -> None:
    assert AIHUBMIX.parse_response(answer) == Answer(poll_url="https://aihubmix.com/v1/tasks/7")


@pytest.mark.parametrize("status", ["processing", "Pending", "queued", "in_progress", "cancelling", "something new"])
def test_p79_a_status_that_is_no_end_means_to_go_on_asking(status: str) -> None:
    assert AIHUBMIX.parse_response({"status": status, "taskId": "7"}) == Answer()
    assert parse_poll({"status": status, "taskId": "7"}) == Answer()


@pytest.mark.parametrize("status", ["succeeded", "COMPLETED", "Ready"])
def test_p79_a_success_without_a_picture_is_told(status: str) -> None:
    assert parse_poll({"status": status, "output": []}) == Answer(is_done=True)


@pytest.mark.parametrize("error", [{"message": "Busy", "code": 500}, {"message": "Timeout", "code": 504}])
def test_what_an_error_says_is_still_being_made_is_asked_for(error: Json) -> None:
    later = {"polling_url": "tasks/7", "taskId": "7"}
    for body in ({"error": error, "output": [later]}, {"error": {**error, **later}}, {"error": error, **later}):
        assert AIHUBMIX.parse_response(body) == Answer(poll_url="tasks/7")
        assert poll_url(body) == "tasks/7"
    with pytest.raises(ProviderError):
        AIHUBMIX.parse_response({"error": {"message": "No key", "code": 401}, **later})


ENDED: list[tuple[Json, str, str]] = [
    ({"status": "canceled"}, "interrupted", "provider_error"),
    ({"output": {"task_status": "FAILED", "message": "boom"}}, "interrupted", "provider_error"),
    ({"status": "success", "data": {"status": "FAILURE", "fail_reason": "x"}}, "interrupted", "provider_error"),
    ({"status": "failed", "error": {"code": 503}}, "interrupted", "provider_error"),
    ({"status": "failed", "error": {"code": 429}}, "interrupted", "provider_error"),
    ({"error": {"message": "boom", "code": 500}}, "interrupted", "provider_error"),
    ({"output": {"task_status": "FAILED", "code": "DataInspectionFailed"}}, "rejected", "content_refused"),
    ({"status": "Request Moderated"}, "rejected", "content_refused"),
    ({"error": "Task not found"}, "interrupted", "result_expired"),
    ({"error": {"message": "no such task", "code": 404}}, "interrupted", "result_expired"),
    ({"code": "task_not_exist", "message": "gone"}, "interrupted", "result_expired"),
    ({"status": "failed", "error": "Task not found"}, "interrupted", "result_expired"),
    ({"detail": "Prediction 7 could not be found"}, "interrupted", "result_expired"),
    ({"status": "Expired"}, "interrupted", "result_expired"),
    ({"status": "Task not found"}, "interrupted", "result_expired"),
    ({"error": {"message": "model not found", "code": 404}}, "unusable", "bad_model"),
    ({"status": "succeeded", "output": [{"text": "I can't."}]}, "interrupted", "no_image"),
]
# What only the server that was asked says of itself.
PASSING: list[tuple[Json, str, str]] = [
    *(
        ({"error": {"code": code}}, "transient", name)
        for code, name in [(401, "provider_auth"), (503, "provider_down")]
    ),
    ({"error": {"code": 504}}, "transient", "provider_down"),
    ({"error": {"code": 429}}, "rate_limited", "provider_rate_limited"),
    *(
        ({"error": {"message": f"Your {what} expired", "code": 401}}, "transient", "provider_auth")
        for what in ("key", "token")
    ),
    ([{"status": 7}], "interrupted", "provider_bad_answer"),
    ({}, "interrupted", "provider_bad_answer"),
]


@pytest.mark.parametrize(("body", "outcome", "code"), [*ENDED, *PASSING], ids=str)
def test_p79_a_poll_tells_an_end_from_a_server_that_cannot_say(body: Json, outcome: str, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_poll(body)
    assert (caught.value.outcome, caught.value.code) == (outcome, code)
    assert may_pass(caught.value) == ((body, outcome, code) in PASSING or code == "result_expired")


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        ({"status": "failed", "message": "boom"}, "interrupted", "provider_error"),
        ({"status": "failed", "error": {"code": "moderation_blocked"}}, "rejected", "content_refused"),
        ({"status": "FAILED"}, "interrupted", "provider_error"),
        ({"error": {"message": "Incorrect model ID"}}, "unusable", "bad_model"),
        ({"error": {"message": "no", "type": "x", "code": 429}}, "rate_limited", "provider_rate_limited"),
        ({"error": "Incorrect model ID"}, "unusable", "bad_model"),
        ({"output": []}, "interrupted", "no_image"),
        ({"output": None}, "interrupted", "provider_bad_answer"),
        ({"output": {"b64_json": []}}, "interrupted", "provider_bad_answer"),
        ({"output": [{"polling_url": 7}]}, "interrupted", "provider_bad_answer"),
    ],
    ids=[
        *("failed", "moderation", "upper-case", "model", "rate", "error-text"),
        *("no-output", "null-output", "empty", "poll-number"),
    ],
)
def test_what_is_no_picture_is_told_apart(answer: Json, outcome: str, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        AIHUBMIX.parse_response(answer)
    assert (caught.value.outcome, caught.value.code) == (outcome, code)


NOTHING: list[Json] = [None, 7, True, {}, [], [7], [None], [[]], [{}]]
GARBLED: list[Json] = [
    *({"output": odd} for odd in NOTHING if odd not in ([], {})),
    *({name: odd} for name in ("data", "result", "image") for odd in NOTHING),
    *({"output": [{name: odd}]} for name in ("url", "bytesBase64", "b64_json", "polling_url") for odd in NOTHING),
    {"output": [{"text": 7}]},
]
SILENT: list[Json] = [{"output": []}, {"output": {}}, {"output": [{"text": "I can't."}]}, {"output": {"text": "No."}}]


@pytest.mark.parametrize(
    ("answer", "code"),
    [*((answer, "provider_bad_answer") for answer in GARBLED), *((answer, "no_image") for answer in SILENT)],
    ids=str,
)
def test_p45_to_p48_what_makes_no_sense_is_told_from_silence(answer: Json, code: str) -> None:
    with pytest.raises(ProviderError) as caught:
        AIHUBMIX.parse_response(answer)
    assert (caught.value.outcome, caught.value.code) == ("interrupted", code)


def test_p46_what_the_model_said_instead_is_passed_on() -> None:
    with pytest.raises(ProviderError, match=r"It said: I can't draw that\."):
        AIHUBMIX.parse_response({"output": [{"text": "I can't"}, {"text": "draw that."}]})


def test_what_went_wrong_is_passed_on() -> None:
    with pytest.raises(ProviderError, match=r"could not make the image\. boom"):
        AIHUBMIX.parse_response({"status": "failed", "message": "boom"})
