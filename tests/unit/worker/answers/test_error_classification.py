"""From a status, a header or an error object to what may be done next; ids name the row of the catalogue."""

import email.utils
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.answers.error_classification import (
    FOR_EVER_S,
    of_download,
    of_error_object,
    of_garbage,
    of_refusal,
    of_silence,
    of_status,
    retry_after,
)
from worker.answers.errors import Interrupted, RateLimited, Transient
from worker.answers.untrusted_json import Json
from worker.providers.aihubmix import AIHUBMIX
from worker.providers.openrouter import OPENROUTER

UNUSABLE, TRANSIENT, LIMITED = "unusable", "transient", "rate_limited"
REFUSED = ("rejected", "content_refused")
DOWN = (TRANSIENT, "provider_down")
CREDITS = (UNUSABLE, "provider_credits")
TOO_DEAR = (UNUSABLE, "provider_too_dear")
AFFORDS = "This request requires more credits, or fewer max_tokens. You requested up to 64000, but can only afford 12."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
MINUTE = {"details": [{"violations": [{"quotaId": "GenerateRequestsPerMinutePerProject"}]}, {"retryDelay": "38s"}]}
DAY = {"details": [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}
UPSTREAM = {"raw": '{"error": {"message": "quota", "type": "insufficient_quota", "code": "insufficient_quota"}}'}
MODEL = (UNUSABLE, "bad_model")
PARAMETERS = (UNUSABLE, "bad_parameters")


def error(**fields: Json) -> dict[str, Json]:
    return {"error": fields}


STATUSES: list[tuple[str, int, Json, tuple[str, str]]] = [
    ("P24", 429, None, (LIMITED, "provider_rate_limited")),
    ("P28", 500, error(message="oops"), (TRANSIENT, "provider_error")),
    ("P29", 502, "<html>Bad gateway</html>", DOWN),
    ("P29", 503, [], DOWN),
    ("P29", 504, None, ("timeout", "provider_down")),
    ("P29", 524, None, ("timeout", "provider_down")),
    ("P29", 529, None, DOWN),
    ("P32", 408, None, (TRANSIENT, "provider_timeout")),
    ("P32", 409, None, (TRANSIENT, "provider_timeout")),
    ("P32", 425, None, (TRANSIENT, "provider_timeout")),
    ("P33", 401, None, (UNUSABLE, "provider_auth")),
    ("P34", 402, error(message="credits"), CREDITS),
    ("P34", 429, error(message=QUOTA, type="insufficient_quota", code="insufficient_quota"), CREDITS),
    ("P34", 429, error(message=QUOTA, code="insufficient_quota"), CREDITS),
    ("P34", 403, error(message="quota", code="insufficient_user_quota"), CREDITS),
    ("P34", 400, error(message="limit", code="billing_hard_limit_reached"), CREDITS),
    ("P34", 429, error(message="Provider returned error", code=429, metadata=UPSTREAM), CREDITS),
    ("P34", 429, error(message=QUOTA, code=429, status="RESOURCE_EXHAUSTED", **DAY), CREDITS),
    ("P34", 429, error(message=f"{QUOTA} limit: 0", code=429, status="RESOURCE_EXHAUSTED"), CREDITS),
    ("P34", 402, error(message=AFFORDS, code=402), TOO_DEAR),
    ("P34", 402, error(message="Prompt tokens limit exceeded: 45 > 23.", code=402), TOO_DEAR),
    (
        "P24",
        429,
        error(message=QUOTA, code=429, status="RESOURCE_EXHAUSTED", **MINUTE),
        (LIMITED, "provider_rate_limited"),
    ),
    ("P24", 429, error(message=QUOTA), (LIMITED, "provider_rate_limited")),
    ("P28", 500, error(message=QUOTA, code="insufficient_quota"), (TRANSIENT, "provider_error")),
    ("P35", 400, error(code="moderation_blocked"), REFUSED),
    ("P35", 400, error(type="refusal"), REFUSED),
    ("P35", 400, error(metadata={"error_type": "content_policy_violation"}), REFUSED),
    ("P35", 403, error(metadata={"reasons": ["violence"]}), REFUSED),
    ("P35", 403, error(metadata={"reasons": []}), REFUSED),
    ("P36", 403, error(message="region"), (UNUSABLE, "provider_forbidden")),
    ("P37", 400, error(message="Incorrect model ID. Check it."), MODEL),
    ("P37", 400, error(message="x/y is not a valid model ID"), MODEL),
    ("P37", 400, error(message="Unknown model: x/y"), MODEL),
    ("P37", 400, error(message="INVALID MODEL"), MODEL),
    ("P37", 400, error(code="model_not_found"), MODEL),
    ("P37", 400, {"error": "incorrect model id"}, MODEL),
    ("P37", 400, {"message": "Incorrect model ID"}, MODEL),
    ("P37", 404, None, MODEL),
    ("P38", 400, error(message="size"), PARAMETERS),
    ("P38", 422, None, PARAMETERS),
    ("P39", 413, None, (UNUSABLE, "reference_too_large")),
    *(("P40", status, None, (UNUSABLE, "bad_api_base")) for status in (300, 301, 302, 303, 304, 307, 308)),
    *(("P42", status, None, (UNUSABLE, "provider_error")) for status in (405, 406, 410, 411, 418, 431, 451, 499)),
    ("P42", 501, None, (UNUSABLE, "provider_error")),
    *(("P21", status, None, ("interrupted", "provider_bad_answer")) for status in (600, 799, 999)),
]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [row[1:] for row in STATUSES],
    ids=[f"{row}-{status}" for row, status, *_ in STATUSES],
)
def test_every_status_has_its_branch(status: int, body: Json, expected: tuple[str, str]) -> None:
    found = of_status(status, {}, body)
    assert (found.outcome, found.code, found.http_status) == (*expected, status)


def test_p42_no_client_error_that_we_do_not_know_is_repeated() -> None:
    final = {status for status in range(300, 600) if of_status(status, {}, None).outcome == UNUSABLE}
    assert final == {*range(300, 500), 501} - {408, 409, 425, 429}


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (429, LIMITED, "provider_rate_limited"),
        (503, LIMITED, "provider_down"),
        (502, LIMITED, "provider_down"),
        (500, LIMITED, "provider_error"),
        (408, LIMITED, "provider_timeout"),
        (504, "timeout", "provider_down"),
        (401, UNUSABLE, "provider_auth"),
    ],
)
def test_p30_a_wait_that_is_asked_for_makes_a_passing_error_a_rate_limit(status: int, outcome: str, code: str) -> None:
    found = of_status(status, {"retry-after": "2"}, None)
    assert (found.outcome, found.code, found.retry_after_s) == (outcome, code, 2.0)


def test_p26_how_long_a_provider_asks_to_wait_is_told() -> None:
    for value, words in {"2": "2 s", "86400": "24 h", "1e99": "several days", "soon": ""}.items():
        detail = of_status(429, {"retry-after": value}, None).named(provider="openrouter").detail
        assert detail.startswith(f"openrouter asks to wait {words}".rstrip() + ".")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((None, None), ("", None), ("2", 2.0), (" 7 ", 7.0), ("1.5", 1.5), ("0", None), ("-3", None), ("soon", None)),
        *(("86400", 86400.0), ("1e99", 1e9), ("9" * 30, 1e9), ("nan", None), ("²", None), ("2, 7", 7.0)),
        *(("7,2", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("Mon, 01 Jan 0001 00:00:00 -0000", None)),
        *(("Mon, 99 Foo 2030 99:99:99 GMT", None), ("1,soon", None), ("0x10", None), ("-1, 4", 4.0)),
        *(("inf", FOR_EVER_S), ("Infinity, 2", FOR_EVER_S), ("-inf", None), ("1e309", FOR_EVER_S)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", FOR_EVER_S),
        *(("Mon, 00 Jan 0 00:00:00 -99999999999999999999", None), ("Mon, 01 Jan 0001 00:00:00 +2359", None)),
    ],
    ids=repr,
)
def test_p25_p26_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_p25_retry_after_may_be_a_date() -> None:
    seconds = retry_after(email.utils.formatdate(time.time() + 120, usegmt=True))
    assert seconds is not None
    assert 110 < seconds <= 120


@pytest.mark.parametrize("wrong_by", [-3600, 3600])
def test_p25_a_date_is_read_by_the_provider_s_own_clock(wrong_by: float) -> None:
    there = time.time() + wrong_by
    wait, date = (email.utils.formatdate(there + after, usegmt=True) for after in (120, 0))
    assert retry_after(wait, date) == 120
    assert (retry_after(wait, "soon") or 0) == pytest.approx(max(0, 120 + wrong_by), abs=2)


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,4} \w{3} \d{1,5} \d+:\d+:\d+ \S{0,6}"))
def test_p25_no_retry_after_is_a_danger(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds > 0


NOTHING: list[Json] = [None, "text", 7, [], {}, {"metadata": 7, "availability": []}]


@pytest.mark.parametrize(
    ("body", "outcome", "status"),
    [
        ({"code": 429}, LIMITED, 429),
        ({"code": "503"}, TRANSIENT, 503),
        ({"code": None, "http_status": 401}, UNUSABLE, 401),
        ({"code": "capacity_exhausted", "http_status": 429}, LIMITED, 429),
        ({"code": 403, "metadata": {"reasons": ["x"]}}, "rejected", 403),
        ({"code": True}, TRANSIENT, 200),
        ({"code": 1_000_000}, TRANSIENT, 200),
        ({"code": -42}, TRANSIENT, 200),
        ({"code": [429]}, TRANSIENT, 200),
        ({"code": "٤٢٩"}, LIMITED, 429),
        *((nothing, TRANSIENT, 200) for nothing in NOTHING),
    ],
    ids=str,
)
def test_p43_p44_an_error_object_counts_as_its_code(body: Json, outcome: str, status: int) -> None:
    found = of_error_object(body)
    assert (found.outcome, found.http_status) == (outcome, status)


TYPES = {
    "authentication": (UNUSABLE, "provider_auth"),
    "content_policy_violation": REFUSED,
    "invalid_image": PARAMETERS,
    "invalid_prompt": PARAMETERS,
    "invalid_request": PARAMETERS,
    "not_found": MODEL,
    "payload_too_large": (UNUSABLE, "reference_too_large"),
    "payment_required": CREDITS,
    "permission_denied": (UNUSABLE, "provider_forbidden"),
    "provider_overloaded": DOWN,
    "provider_unavailable": DOWN,
    "rate_limit_exceeded": (LIMITED, "provider_rate_limited"),
    "server": (TRANSIENT, "provider_error"),
    "timeout": ("timeout", "provider_down"),
    "unprocessable": PARAMETERS,
    "refusal": REFUSED,
    "something_new": (TRANSIENT, "provider_error"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_p44_an_error_without_a_code_counts_as_its_type(kind: str) -> None:
    for body in ({"metadata": {"error_type": kind}}, {"error_type": kind}, {"type": kind}, {"code": kind}):
        found = of_error_object({"message": "x", **body})
        assert (found.outcome, found.code) == TYPES[kind]


def test_p44_a_code_says_more_than_a_type_unless_that_is_a_refusal() -> None:
    assert of_error_object({"code": 429, "type": "server"}).outcome == LIMITED
    assert of_status(502, {}, error(metadata={"error_type": "authentication"})).code == "provider_down"
    assert of_status(400, {}, error(metadata={"error_type": "content_policy_violation"})).outcome == "rejected"


@pytest.mark.parametrize(
    ("status", "source", "expected"),
    [
        (429, "openrouter_in_flight_budget", (LIMITED, "provider_rate_limited")),
        (402, "openrouter_in_flight_budget", (LIMITED, "provider_rate_limited")),
        (429, "openrouter_free_tier_daily", CREDITS),
        (429, "openrouter_key_limit", CREDITS),
        (402, "openrouter_credits", CREDITS),
        (429, "upstream", (LIMITED, "provider_rate_limited")),
        (429, "", (LIMITED, "provider_rate_limited")),
        (429, 7, (LIMITED, "provider_rate_limited")),
        (503, None, DOWN),
    ],
)
def test_p34_p83_of_openrouters_limits_one_passes_and_the_others_are_money(
    status: int, source: Json, expected: tuple[str, str]
) -> None:
    found = of_status(status, {}, error(metadata={"limit_source": source}), of_metadata=OPENROUTER.of_metadata)
    assert (found.outcome, found.code) == expected


def test_p34_what_only_openrouter_says_is_not_read_in_other_answers() -> None:
    body = error(metadata={"limit_source": "openrouter_credits"})
    assert of_status(429, {}, body, of_metadata=AIHUBMIX.of_metadata).code == "provider_rate_limited"


@pytest.mark.parametrize(
    ("status", "availability", "headers", "expected", "wait_s"),
    [
        (503, {"retryable": False}, {}, MODEL, None),
        (429, {"retryable": False, "retry_after": 3}, {}, MODEL, None),
        (401, {"retryable": False}, {}, (UNUSABLE, "provider_auth"), None),
        (402, {"retryable": False}, {}, CREDITS, None),
        (403, {"retryable": False}, {}, (UNUSABLE, "provider_forbidden"), None),
        (503, {"retryable": True}, {}, DOWN, None),
        (503, {"retryable": True, "retry_after": 3}, {}, (LIMITED, "provider_down"), 3),
        (503, {"retry_after": 3}, {"retry-after": "7"}, (LIMITED, "provider_down"), 7),
        (429, {"retry_after": 2.5}, {}, (LIMITED, "provider_rate_limited"), 2.5),
        (429, {"retry_after": -1}, {}, (LIMITED, "provider_rate_limited"), None),
        (429, {"retry_after": "soon"}, {}, (LIMITED, "provider_rate_limited"), None),
        (429, {"retry_after": True}, {}, (LIMITED, "provider_rate_limited"), None),
        (503, "soon", {}, DOWN, None),
    ],
    ids=str,
)
def test_p30_what_a_model_says_of_its_availability_counts(
    status: int, availability: Json, headers: dict[str, str], expected: tuple[str, str], wait_s: float | None
) -> None:
    found = of_status(status, headers, error(availability=availability))
    assert (found.outcome, found.code, found.retry_after_s) == (*expected, wait_s)


@pytest.mark.parametrize(
    ("status", "branch", "code"),
    [
        *((status, Interrupted, "result_expired") for status in (403, 404, 410)),  # P72
        (429, RateLimited, "provider_rate_limited"),
        *((status, Transient, "provider_down") for status in (201, 304, 400, 401, 451, 500, 503, 999)),
    ],
)
def test_p72_a_download_has_its_own_meanings(status: int, branch: type[Exception], code: str) -> None:
    found = of_download(status, {})
    assert (type(found), found.code, found.http_status) == (branch, code, status)


def test_p72_a_download_obeys_retry_after() -> None:
    assert of_download(429, {"retry-after": "3"}).retry_after_s == 3


def test_p46_to_p48_silence_refusals_and_garbage_are_told_apart() -> None:
    silence, refusal = of_silence("I can't."), of_refusal("IMAGE_SAFETY")
    assert (silence.outcome, silence.code, silence.http_status) == ("interrupted", "no_image", 200)
    assert (of_garbage().outcome, of_garbage().code) == ("interrupted", "provider_bad_answer")
    assert (refusal.outcome, refusal.code, refusal.values) == (*REFUSED, {"reason": "IMAGE_SAFETY"})


def test_p35_the_reasons_of_a_refusal_are_told() -> None:
    for metadata, reason in ({"reasons": ["violence", "gore"]}, "violence, gore"), ({"reasons": [7]}, "No."):
        body = error(message="No.", metadata=metadata)
        assert of_status(403, {}, body).values["reason"] == reason


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=9), st.lists, max_leaves=3)
NAMES = st.sampled_from(["code", "type", "message", "metadata", "availability", "error_type", "http_status", "reasons"])
NESTED = st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=3), max_size=5)


@given(st.integers(300, 999), JSON | NESTED | NESTED.map(lambda fields: {"error": fields}))
def test_p48_any_body_of_an_error_has_a_branch(status: int, body: Json) -> None:
    assert of_status(status, {}, body).http_status == status
    assert of_error_object(body).detail
