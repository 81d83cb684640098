"""The I/O of a call without a socket: what is sent where, what is read, and that only ProviderErrors come out."""

import base64
import ssl
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tenacity import wait_none

from contract.config import ProviderConfig
from contract.errors import ProviderError
from worker.providers.aihubmix import AIHUBMIX
from worker.providers.http import MAX_JSON_BYTES, Conversation, Made, decode_picture
from worker.providers.openrouter import OPENROUTER
from worker.providers.provider import Ask, Provider

Answering = Callable[[httpx.Request], httpx.Response]
KEY = "custom-key-0123456789abcdef"
ASK = Ask(prompt="a fox", model="a/b", aspect_ratio="1:1", image_size="1K")
PICTURE = b"\x89PNG\r\n\x1a\n and so on \xfb\xff\xbf"
B64 = base64.b64encode(PICTURE).decode()
HUB = replace(AIHUBMIX, poll_interval_s=0)
CONTEXT = ssl.create_default_context()
GOOD = {"output": [{"bytesBase64": B64}]}


class Wire:
    """Stands where httpx would open a socket; answers from a list, and keeps what was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.sent: list[httpx.Request] = []

        async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            self.sent.append(request)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)

    async def make(self, *answers: httpx.Response | Exception, provider: Provider = HUB, base: str = "") -> Made:
        self.answers = list(answers)
        config = ProviderConfig(api_key=SecretStr(KEY), api_base=base or None)
        async with Conversation(provider, config, ssl_context=CONTEXT) as talk:
            return await talk.make(ASK, timeout_s=5, request_id="job.0.1")

    async def refused(
        self, *answers: httpx.Response | Exception, provider: Provider = HUB, base: str = ""
    ) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.make(*answers, provider=provider, base=base)
        assert KEY not in str(caught.value)
        return caught.value


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A wire without waits between repeats; a test that repeats too often runs out of answers."""
    monkeypatch.setattr("worker.retry.wait_random", lambda *_: wait_none())
    return Wire(monkeypatch)


def raw(content: bytes, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    return raw(httpx.Response(200, json=body).content, status, **headers)


async def test_a_call_is_one_post_with_key_and_request_id(wire: Wire) -> None:
    assert await wire.make(answer(GOOD)) == Made((PICTURE,), None)
    (request,) = wire.sent
    assert (request.method, str(request.url)) == ("POST", "https://aihubmix.com/v1/models/a/b/predictions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-request-id"] == "job.0.1"
    assert request.headers["accept-encoding"] == "identity"
    assert request.content == b'{"input":{"prompt":"a fox","n":1,"size":"1024x1024"}}'


async def test_the_cost_of_the_call_is_kept(wire: Wire) -> None:
    body = {"choices": [{"message": {"images": [{"image_url": {"url": B64}}]}}], "usage": {"cost": 0.04}}
    assert await wire.make(answer(body), provider=OPENROUTER) == Made((PICTURE,), 0.04)


async def test_a_base_with_a_slash_at_its_end_is_the_same(wire: Wire) -> None:
    await wire.make(answer(GOOD), base="http://127.0.0.1:9/v1/")
    assert str(wire.sent[0].url) == "http://127.0.0.1:9/v1/models/a/b/predictions"


@pytest.mark.parametrize(
    "before",
    [b"", b"\n" * 2280, b" \t\r\n", b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n", b"\n: x\r\n"],
    ids=["nothing", "blank-lines", "blanks", "comments", "both"],
)
async def test_p55_keep_alive_before_the_answer_is_skipped(before: bytes, wire: Wire) -> None:
    assert (await wire.make(raw(before + answer(GOOD).read()))).pictures == (PICTURE,)


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_success_is_read(status: int, wire: Wire) -> None:
    assert (await wire.make(answer(GOOD, status))).pictures == (PICTURE,)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "provider_bad_answer"),
        (b"\n" * 619, "provider_bad_answer"),
        (b": only comments\n", "provider_bad_answer"),
        (b": no end", "provider_bad_answer"),
        (b"<html>", "provider_bad_answer"),
        (b'{"output":', "provider_bad_answer"),
        (b"[" * 100_000, "provider_bad_answer"),
        (b'{"output": NaN}', "provider_bad_answer"),
        (b'{"output": "\\ud800"}', "provider_bad_answer"),
        (b"\xff\xfe{}", "provider_bad_answer"),
        (b"9" * 10_000, "no_image"),
        (b"{}", "no_image"),
        (b'{"output": ["?"]}', "bad_image"),
        (b'{"status": "processing"}', "no_image"),
    ],
    ids=lambda content: repr(content[:14]),
)
async def test_p48_to_p51_what_cannot_be_read_is_interrupted(content: bytes, code: str, wire: Wire) -> None:
    error = await wire.refused(raw(content))
    assert error.outcome == "interrupted"
    assert error.code in (code, "provider_bad_answer")


async def test_duplicate_keys_are_no_harm(wire: Wire) -> None:
    assert (await wire.make(raw(b'{"output": 7, "output": ["%s"]}' % B64.encode()))).pictures == (PICTURE,)


async def test_p56_the_key_in_a_providers_message_is_not_repeated(wire: Wire) -> None:
    body = {"error": {"message": f"\x1b[1mbad key {KEY}, <b>sorry</b>", "code": 400}}
    assert (await wire.refused(answer(body, 400))).detail == ("aihubmix does not accept this request: bad key …, sorry")


@pytest.mark.parametrize("content", [b"<html>" * 500_000, b"[" * 100_000, b'{"error": ' + b"9" * 5000 + b"}"])
async def test_p29_the_body_of_an_error_may_be_anything(content: bytes, wire: Wire) -> None:
    error = await wire.refused(raw(content, 502))
    assert (error.code, error.detail) == ("provider_down", "aihubmix is temporarily unavailable.")


async def test_p40_redirects_of_a_call_are_not_followed(wire: Wire) -> None:
    error = await wire.refused(raw(b"", 307, location="https://evil.example/"))
    assert (error.code, len(wire.sent)) == ("bad_api_base", 1)


async def test_p53_an_answer_above_the_cap_is_not_read_to_its_end(wire: Wire) -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            for _ in range(MAX_JSON_BYTES // 2**23 + 2):
                yield bytes(2**23)
            pytest.fail("read on above the cap")

    assert (await wire.refused(httpx.Response(200, stream=Endless()))).code == "answer_too_large"


async def test_p68_of_two_pictures_only_the_first_is_brought_home(wire: Wire) -> None:
    body = {"output": [{"bytesBase64": B64}, {"url": "https://10.0.0.1/second.png"}]}
    assert (await wire.make(answer(body))).pictures == (PICTURE,)


POLL = {"output": [{"polling_url": "https://aihubmix.com/v1/tasks/7", "taskId": "7"}]}


async def test_p79_polling_goes_on_until_there_is_a_picture(wire: Wire) -> None:
    steps = [{"status": "processing"}, {"status": "mystery"}, POLL, {"status": "succeeded", **GOOD}]
    assert (await wire.make(answer(POLL), *map(answer, steps))).pictures == (PICTURE,)
    assert methods(wire) == ["POST", "GET", "GET", "GET", "GET"]
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in wire.sent)


def methods(wire: Wire) -> list[str]:
    return [request.method for request in wire.sent]


async def test_p79_a_poll_may_end_in_an_error(wire: Wire) -> None:
    error = await wire.refused(answer(POLL), answer({}, 404))
    assert (error.outcome, error.code, methods(wire)) == ("unusable", "bad_model", ["POST", "GET"])


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (lambda: answer({"status": "failed"}), "provider_error"),
        (lambda: answer({}, 502), "provider_down"),
        (lambda: answer({}, 429, **{"retry-after": "7"}), "provider_rate_limited"),
        (lambda: httpx.ConnectError("x"), "provider_unreachable"),
        (lambda: httpx.ReadError("x"), "provider_interrupted"),
        (lambda: raw(b"<html>"), "provider_bad_answer"),
    ],
    ids=["failed", "502", "429", "no-connection", "cut-off", "page"],
)
async def test_a_poll_that_stays_bad_is_looked_at_three_times_and_may_have_been_billed(
    look: Callable[[], httpx.Response | Exception], code: str, wire: Wire
) -> None:
    error = await wire.refused(answer(POLL), look(), look(), look())
    assert (error.outcome, error.code, error.retry_after_s) == ("interrupted", code, None)
    assert methods(wire) == ["POST", "GET", "GET", "GET"]
    assert "aihubmix" in error.detail


async def test_a_poll_that_answers_502_once_still_delivers(wire: Wire) -> None:
    assert await wire.make(answer(POLL), answer({}, 502), answer(GOOD)) == Made((PICTURE,), None)
    assert methods(wire) == ["POST", "GET", "GET"]


async def test_each_look_may_be_repeated_anew(wire: Wire) -> None:
    looks = [look for _ in range(3) for look in (answer({}, 503), answer({}, 503), answer({"status": "processing"}))]
    assert (await wire.make(answer(POLL), *looks, answer(GOOD))).pictures == (PICTURE,)
    assert methods(wire) == ["POST"] + ["GET"] * 10


def linking(url: str = "https://93.184.216.34/fox.png") -> httpx.Response:
    """Answer as OpenRouter does, with a link in the place of a picture, and what it cost."""
    images = [{"image_url": {"url": url}}]
    return answer({"choices": [{"message": {"images": images}}], "usage": {"cost": 0.04}})


@pytest.mark.parametrize(
    ("download", "code"),
    [
        (lambda: raw(b"", 503), "provider_down"),
        (lambda: httpx.ConnectTimeout("x"), "provider_unreachable"),
        (lambda: raw(b"", 404), "result_expired"),
    ],
    ids=["503", "no-connection", "404"],
)
async def test_a_picture_that_cannot_be_fetched_may_have_been_billed_and_keeps_its_cost(
    download: Callable[[], httpx.Response | Exception], code: str, wire: Wire
) -> None:
    error = await wire.refused(linking(), download(), download(), download(), provider=OPENROUTER)
    assert (error.outcome, error.code, error.cost_usd) == ("interrupted", code, 0.04)
    assert methods(wire) == ["POST", "GET", "GET", "GET"]


@pytest.mark.parametrize("passing", [lambda: raw(b"", 503), lambda: httpx.ReadError("x")], ids=["503", "cut-off"])
async def test_a_download_that_fails_once_is_repeated_without_another_call(
    passing: Callable[[], httpx.Response | Exception], wire: Wire
) -> None:
    assert await wire.make(linking(), passing(), raw(PICTURE), provider=OPENROUTER) == Made((PICTURE,), 0.04)
    assert methods(wire) == ["POST", "GET", "GET"]


async def test_an_unsafe_link_is_not_looked_at_and_its_call_keeps_its_cost(wire: Wire) -> None:
    error = await wire.refused(linking("https://10.0.0.1/fox.png"), provider=OPENROUTER)
    assert (error.outcome, error.code, error.cost_usd) == ("unusable", "unsafe_url", 0.04)
    assert methods(wire) == ["POST"]


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (lambda: answer({}, 503), "transient"),
        (lambda: answer({}, 429), "rate_limited"),
        (lambda: httpx.ConnectError("x"), "transient"),
        (lambda: answer({"error": {"code": 502}}), "transient"),
    ],
    ids=["503", "429", "no-connection", "502-inside-200"],
)
async def test_a_call_that_was_not_accepted_is_left_to_the_ladder(
    refusal: Callable[[], httpx.Response | Exception], outcome: str, wire: Wire
) -> None:
    error = await wire.refused(refusal(), provider=OPENROUTER)
    assert (error.outcome, error.cost_usd, methods(wire)) == (outcome, None, ["POST"])


def polling(url: str) -> httpx.Response:
    return answer({"output": [{"polling_url": url}]})


async def test_a_poll_on_another_host_gets_no_key(wire: Wire) -> None:
    await wire.make(polling("https://93.184.216.34/v1/tasks/7"), answer(GOOD))
    assert "authorization" not in wire.sent[1].headers


async def test_a_relative_poll_url_is_below_the_api_base(wire: Wire) -> None:
    await wire.make(polling("tasks/7"), answer(GOOD))
    assert str(wire.sent[1].url) == "https://aihubmix.com/v1/tasks/7"


@pytest.mark.parametrize(
    "url",
    [
        *("http://aihubmix.com/v1/tasks/7", "https://user@aihubmix.com/v1", "https://169.254.169.254/latest"),
        *("http://127.0.0.1:6379/", "https://[", "file:///etc/passwd", "https://localhost.:22/", "//10.0.0.1/x"),
    ],
)
async def test_p75_a_poll_goes_nowhere_a_picture_would_not_be_fetched_from(url: str, wire: Wire) -> None:
    assert (await wire.refused(polling(url))).code == "unsafe_url"
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (httpx.ConnectError("x"), "provider_unreachable"),
        (httpx.ReadTimeout("x"), "provider_timeout"),
        (httpx.ReadError("x"), "provider_interrupted"),
        (httpx.LocalProtocolError("x"), "provider_bad_answer"),
        (ConnectionResetError(), "provider_bad_answer"),
        (TimeoutError(), "provider_timeout"),
    ],
    ids=repr,
)
async def test_only_provider_errors_come_out(raised: Exception, code: str, wire: Wire) -> None:
    error = await wire.refused(raised)
    assert error.code == code
    assert "aihubmix" in error.detail


@pytest.mark.parametrize(
    "text",
    [
        B64,
        f"data:image/png;base64,{B64}",
        f"DATA:image/PNG;charset=utf-8;name=x;base64,{B64}",
        f"data:;base64,{B64}",
        f" \n data:image/png;base64, {B64} \r\n",
        "\r\n".join(B64[place : place + 8] for place in range(0, len(B64), 8)),
        B64.rstrip("="),
        B64.replace("+", "-").replace("/", "_"),
        B64.replace("+", "%2B").replace("/", "%2f").replace("=", "%3D"),
        " ".join(B64),
    ],
    ids=["plain", "url", "parameters", "no-mime", "spaces", "crlf", "no-padding", "url-safe", "percent", "spread"],
)
def test_p57_every_fair_spelling_of_a_picture_is_decoded(text: str) -> None:
    assert decode_picture(text) == PICTURE


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "=",
        "data:",
        "data:,",
        "data:image/png;base64,",
        "data:image/png;base64",
        "A",
        "AAAAA",
        "!!!!",
        "%",
        "é",
        "A=A=",
    ],
)
def test_p58_what_is_no_base64_is_a_damaged_image(text: str) -> None:
    with pytest.raises(ProviderError) as caught:
        decode_picture(text)
    assert (caught.value.outcome, caught.value.code) == ("interrupted", "bad_image")


@given(st.text(alphabet=st.characters(codec="utf-8")) | st.text(alphabet="ABab01+/-_=%, \n"))
def test_p58_any_text_is_bytes_or_a_damaged_image(text: str) -> None:
    try:
        data = decode_picture(text)
    except ProviderError as error:
        data = error.code.encode()
    assert data
