"""From what happened to what may be done next: statuses, Retry-After, exceptions, and the cleaning of foreign text."""

import email.utils
import ssl
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ProviderError, Refused, Transient
from contract.kinds import KINDS
from contract.redaction import clean
from worker.classify import of_error_object, of_exception, of_refusal, of_silence, of_status, retry_after
from worker.providers.provider import Json

KEY = "custom-key-0123456789abcdefghij"


def error(**fields: Json) -> dict[str, Json]:
    return {"error": fields}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code"),
    [
        *((code, None, "unusable", "bad_api_base") for code in (300, 301, 302, 303, 304, 307, 308)),
        (400, error(message="size"), "unusable", "bad_parameters"),
        (400, error(message="Incorrect model ID. Check it."), "unusable", "bad_model"),
        (400, error(code="model_not_found"), "unusable", "bad_model"),
        (400, {"error": "incorrect model id"}, "unusable", "bad_model"),
        (400, {"message": "Incorrect model ID"}, "unusable", "bad_model"),
        (400, error(code="moderation_blocked"), "rejected", "content_refused"),
        (400, error(type="refusal"), "rejected", "content_refused"),
        (400, error(metadata={"error_type": "content_policy_violation"}), "rejected", "content_refused"),
        (401, None, "unusable", "provider_auth"),
        (402, error(message="credits"), "unusable", "provider_credits"),
        (403, error(message="region"), "unusable", "provider_forbidden"),
        (403, error(metadata={"reasons": ["violence"]}), "rejected", "content_refused"),
        (403, error(metadata={"reasons": []}), "rejected", "content_refused"),
        (404, None, "unusable", "bad_model"),
        (408, None, "transient", "provider_timeout"),
        (409, None, "transient", "provider_error"),
        (413, None, "unusable", "bad_parameters"),
        (422, None, "unusable", "bad_parameters"),
        (425, None, "transient", "provider_timeout"),
        (429, None, "rate_limited", "provider_rate_limited"),
        *((code, None, "unusable", "provider_error") for code in (405, 410, 418, 451, 499)),
        (500, error(message="oops"), "transient", "provider_error"),
        (501, None, "transient", "provider_error"),
        (502, "<html>Bad gateway</html>", "transient", "provider_down"),
        (503, [], "transient", "provider_down"),
        (504, None, "timeout", "provider_timeout"),
        (524, None, "timeout", "provider_timeout"),
        (529, None, "transient", "provider_down"),
        (999, None, "transient", "provider_error"),
    ],
)
def test_p28_to_p42_every_status_has_its_branch(status: int, body: Json, outcome: str, code: str) -> None:
    found = of_status(status, {}, body)
    assert (found.outcome, found.code, found.http_status) == (outcome, code, status)


def test_p42_no_client_error_that_we_do_not_know_is_repeated() -> None:
    final = {status for status in range(300, 600) if of_status(status, {}, None).outcome == "unusable"}
    assert final == set(range(300, 500)) - {408, 409, 425, 429}


@pytest.mark.parametrize(
    ("status", "outcome", "wait_s"),
    [(429, "rate_limited", 2.0), (503, "rate_limited", 2.0), (500, "rate_limited", 2.0), (401, "unusable", 2.0)],
)
def test_p30_a_wait_that_is_asked_for_makes_a_passing_error_a_rate_limit(
    status: int, outcome: str, wait_s: float
) -> None:
    found = of_status(status, {"retry-after": "2"}, None)
    assert (found.outcome, found.retry_after_s) == (outcome, wait_s)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((None, None), ("", None), ("2", 2.0), (" 7 ", 7.0), ("1.5", 1.5), ("0", None), ("-3", None), ("soon", None)),
        *(("86400", 86400.0), ("1e99", 1e99), ("9" * 30, float("9" * 30)), ("nan", None), ("²", None), ("2, 7", 7.0)),
        *(("7,2", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("Mon, 01 Jan 0001 00:00:00 -0000", None)),
        *(("Mon, 99 Foo 2030 99:99:99 GMT", None), ("1,soon", None), ("0x10", None)),
    ],
    ids=repr,
)
def test_p25_p26_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_p25_retry_after_may_be_a_date() -> None:
    seconds = retry_after(email.utils.formatdate(time.time() + 120, usegmt=True))
    assert seconds is not None
    assert 110 < seconds <= 120


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,4} \w{3} \d{1,5} \d+:\d+:\d+ \S{0,6}"))
def test_p25_no_retry_after_is_a_danger(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds > 0


@pytest.mark.parametrize(
    ("body", "outcome", "status"),
    [
        ({"code": 429}, "rate_limited", 429),
        ({"code": "503"}, "transient", 503),
        ({"code": None, "http_status": 401}, "unusable", 401),
        ({"code": "capacity_exhausted", "http_status": 429}, "rate_limited", 429),
        ({"code": True}, "transient", 200),
        ({"code": 1_000_000}, "transient", 200),
        ({"code": -42}, "transient", 200),
        ({"code": "٤٢٩"}, "rate_limited", 429),
        (None, "transient", 200),
        ("text", "transient", 200),
        (7, "transient", 200),
        ([], "transient", 200),
    ],
    ids=str,
)
def test_p43_an_error_object_counts_as_its_code(body: Json, outcome: str, status: int) -> None:
    found = of_error_object(body)
    assert (found.outcome, found.http_status) == (outcome, status)


def _certificate() -> httpx.ConnectError:
    failure = httpx.ConnectError("x")
    failure.__cause__ = ssl.SSLCertVerificationError("certificate has expired")
    return failure


TRANSIENT = Transient("provider_down")


@pytest.mark.parametrize(
    ("raised", "outcome", "code"),
    [
        (TRANSIENT, "transient", "provider_down"),
        (httpx.ConnectError("refused"), "transient", "provider_unreachable"),
        (httpx.ConnectTimeout("x"), "transient", "provider_unreachable"),
        (httpx.PoolTimeout("x"), "transient", "provider_unreachable"),
        (httpx.ProxyError("x"), "transient", "provider_unreachable"),
        (httpx.WriteTimeout("x"), "transient", "provider_unreachable"),
        (_certificate(), "unusable", "provider_tls_failed"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] x"), "unusable", "provider_tls_failed"),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] x"), "transient", "provider_unreachable"),
        (httpx.ReadTimeout("x"), "timeout", "provider_timeout"),
        (TimeoutError(), "timeout", "provider_timeout"),
        (httpx.ReadError("reset"), "interrupted", "provider_interrupted"),
        (httpx.WriteError("reset"), "interrupted", "provider_interrupted"),
        (httpx.CloseError("reset"), "interrupted", "provider_interrupted"),
        (httpx.RemoteProtocolError("x"), "interrupted", "provider_interrupted"),
        (httpx.UnsupportedProtocol("x"), "unusable", "bad_api_base"),
        (httpx.InvalidURL("x"), "unusable", "bad_api_base"),
        (httpx.DecodingError("x"), "interrupted", "provider_bad_answer"),
        (OSError(5, "x"), "interrupted", "provider_bad_answer"),
    ],
    ids=repr,
)
def test_p01_to_p23_every_exception_has_its_branch(raised: Exception, outcome: str, code: str) -> None:
    found = of_exception(raised)
    assert (found.outcome, found.code) == (outcome, code)


def test_a_classified_error_stays_the_same() -> None:
    assert of_exception(TRANSIENT) is TRANSIENT


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain  text\n here", "plain text here"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07", "red ]0;title"),
        ("a\0b\x85c", "a b c"),
        ("<html><body onload='x'>Bad <b>gateway</b></html>", "Bad gateway"),
        ("key sk-or-v1-abcdef012345 here", "key … here"),
        ("Authorization: Bearer abc.def", "Authorization: …"),
        ("see data:image/png;base64,iVBORw0KGgo= there", "see … there"),
        ("https://x/y?key=abc&z=1", "https://x/y?…&z=1"),
        (f"your key {KEY}!", "your key …!"),
        ("x" * 1_000_000, "x" * 199 + "…"),
        ("", ""),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_p56_foreign_text_is_cleaned(text: str, cleaned: str) -> None:
    assert clean(text, secrets=(KEY,)) == cleaned


def test_p56_short_secrets_do_not_riddle_the_text() -> None:
    assert clean("a banana", secrets=("", "a")) == "a banana"


@pytest.mark.parametrize("filler", ["x", " ", "\x01", "<b>"])
@pytest.mark.parametrize("limit", [200, 2000, 4000, 40_000])
def test_p56_no_part_of_a_key_is_left_where_a_text_is_cut(filler: str, limit: int) -> None:
    for before in range(limit - 40, limit + 10):
        message = (filler * before)[:before] + " " + KEY + " tail" * 2000
        for made in (of_status(500, {}, error(message=message)), of_error_object({"code": 500, "message": message})):
            assert KEY[:8] not in made.named(secrets=(KEY,), provider="x").detail


def test_p56_no_text_of_a_provider_is_a_template() -> None:
    found = of_status(400, {}, error(message="{provider} {0} %s {code.__class__}")).named(provider="openrouter")
    assert found.detail == "openrouter does not accept this request: {provider} {0} %s {code.__class__}"


def test_naming_an_error_keeps_what_the_ladder_needs() -> None:
    found = of_status(429, {"retry-after": "3"}, None).named(provider="openrouter")
    assert type(found) is type(of_status(429, {}, None))
    assert (found.code, found.http_status, found.retry_after_s) == ("provider_rate_limited", 429, 3.0)
    assert found.detail.startswith("openrouter asks to wait.")


@pytest.mark.parametrize(
    ("made", "detail"),
    [
        (
            of_refusal("IMAGE_SAFETY"),
            "openrouter refused this prompt or image (IMAGE_SAFETY). Change it and try again.",
        ),
        (of_silence("I can't."), "The model answered without an image. It said: I can't."),
        (of_silence(""), "The model answered without an image."),
    ],
    ids=["refusal", "said", "silence"],
)
def test_what_a_model_says_becomes_a_sentence(made: ProviderError, detail: str) -> None:
    assert made.named(provider="openrouter").detail == detail


@pytest.mark.parametrize("code", KINDS)
def test_every_error_code_has_a_sentence_even_without_its_values(code: str) -> None:
    detail = Refused(code).detail
    assert "{" not in detail.replace("${VAR_NAME}", "")
    assert "None" not in detail
    assert detail.endswith((".", ":", "?")) or "{problems}" in KINDS[code].sentence
