"""The I/O of a call without a socket: what is sent, how long it may take, and that only ProviderErrors come out."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import httpx
import pytest

from tests.support.network.provider_transport import (
    ASK,
    B64,
    GOOD,
    KEY,
    PICTURE,
    POLL,
    ProviderTransport,
    Said,
    answer,
    dripping,
    linking,
    raw,
)
from worker.http.provider_client import MAX_JSON_BYTES
from worker.providers.openrouter import OPENROUTER


async def test_a_call_is_one_post_with_key_and_request_id(provider_transport: ProviderTransport) -> None:
    assert await provider_transport.brings(answer(GOOD)) == (PICTURE, None)
    (request,) = provider_transport.sent
    assert (request.method, str(request.url)) == ("POST", "https://aihubmix.com/v1/models/a/b/predictions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-request-id"] == "job.0.1"
    assert request.headers["accept-encoding"] == "identity"
    assert request.content == b'{"input":{"prompt":"a fox in the snow","n":1,"size":"1024x1024"}}'


async def test_the_cost_of_the_call_is_kept(provider_transport: ProviderTransport) -> None:
    assert await provider_transport.brings(linking(B64), provider=OPENROUTER) == (PICTURE, 0.04)
    assert await provider_transport.brings(linking(), raw(PICTURE), provider=OPENROUTER) == (PICTURE, 0.04)


async def test_a_base_with_a_slash_at_its_end_is_the_same(provider_transport: ProviderTransport) -> None:
    await provider_transport.make(answer(GOOD), base="http://127.0.0.1:9/v1/")
    assert str(provider_transport.sent[0].url) == "http://127.0.0.1:9/v1/models/a/b/predictions"


async def test_a_base_that_no_name_can_stand_for_is_told_without_a_call(provider_transport: ProviderTransport) -> None:
    error = await provider_transport.refused(base="https://xn--/v1")
    assert (error.outcome, error.code, provider_transport.sent) == ("unusable", "bad_api_base", [])


@pytest.mark.parametrize("value", [2**70, "\ud800", float], ids=["number", "surrogate", "type"])
async def test_an_extra_body_that_is_no_json_is_told_without_a_call(
    value: object, provider_transport: ProviderTransport
) -> None:
    error = await provider_transport.refused(extra_body={"seed": value})
    assert (error.outcome, error.code, provider_transport.sent) == ("unusable", "bad_parameters", [])
    assert "extraBody cannot be written as JSON" in error.detail


async def test_p85_cookies_are_neither_kept_nor_sent(provider_transport: ProviderTransport) -> None:
    await provider_transport.make(answer(POLL, set_cookie="a=b"), answer(GOOD))
    assert "cookie" not in provider_transport.sent[1].headers


async def test_p55_keep_alive_before_the_answer_is_skipped(provider_transport: ProviderTransport) -> None:
    assert await provider_transport.brings(raw(b"\n: OPENROUTER PROCESSING\n\n" + answer(GOOD).read())) == (
        PICTURE,
        None,
    )


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_any_success_is_read(status: int, provider_transport: ProviderTransport) -> None:
    assert await provider_transport.brings(answer(GOOD, status)) == (PICTURE, None)


@pytest.mark.parametrize("content", [b"", b"<html>", b'{"output":', b"[" * 100_000, b"{}", b'{"output": ["?"]}'])
async def test_p48_to_p51_what_cannot_be_read_is_interrupted(
    content: bytes, provider_transport: ProviderTransport
) -> None:
    error = await provider_transport.refused(raw(content))
    assert (error.outcome, error.http_status, provider_transport.methods) == ("interrupted", 200, ["POST"])


async def test_p56_key_and_prompt_in_a_providers_message_are_not_repeated(
    provider_transport: ProviderTransport,
) -> None:
    body = {"error": {"message": f"\x1b[1mbad key {KEY} for {ASK.prompt}, <b>sorry</b>", "code": 400}}
    for status in (400, 200):
        error = await provider_transport.refused(answer(body, status))
        assert error.detail == "aihubmix does not accept this request: bad key … for …, sorry."


@pytest.mark.parametrize("prompt", ["a red fox\nin the snow", "a  red fox <lora:x>", "a red fox " * 250])
async def test_p56_a_prompt_is_not_repeated_however_it_is_spaced_and_cut(
    prompt: str, provider_transport: ProviderTransport
) -> None:
    said = answer({"error": {"message": f"cannot make: {prompt}", "code": 400}}, 400)
    error = await provider_transport.refused(said, ask=replace(ASK, prompt=prompt))
    assert error.detail == "aihubmix does not accept this request: cannot make: …"


async def test_p56_what_a_model_says_is_cut_and_does_not_tell_the_prompt(provider_transport: ProviderTransport) -> None:
    said = f"I can't make {ASK.prompt}. " + "Sorry! " * 500
    error = await provider_transport.refused(answer({"choices": [{"message": {"content": said}}]}), provider=OPENROUTER)
    assert error.detail.startswith("The model answered without an image. It said: I can't make … Sorry!")
    assert len(error.detail) < 300


@pytest.mark.parametrize("content", [b"<html>" * 500_000, b"[" * 100_000, b'{"error": ' + b"9" * 5000 + b"}"])
async def test_p29_the_body_of_an_error_may_be_anything(content: bytes, provider_transport: ProviderTransport) -> None:
    error = await provider_transport.refused(raw(content, 502))
    assert (error.code, error.detail) == ("provider_down", "aihubmix is temporarily unavailable.")


async def test_p33_a_status_counts_even_if_its_body_does_not_end(provider_transport: ProviderTransport) -> None:
    error = await provider_transport.refused(dripping([b"x"] * 1000, status=401), begin_s=0.05, idle_s=0.1)
    assert (error.outcome, error.code, error.http_status) == ("unusable", "provider_auth", 401)


async def test_p40_redirects_of_a_call_are_not_followed(provider_transport: ProviderTransport) -> None:
    error = await provider_transport.refused(raw(b"", 307, location="https://evil.example/"))
    assert (error.code, len(provider_transport.sent)) == ("bad_api_base", 1)


async def test_p53_an_answer_above_the_cap_is_not_read_to_its_end(provider_transport: ProviderTransport) -> None:
    def endless() -> Iterable[bytes]:
        for _ in range(MAX_JSON_BYTES // 2**23 + 2):
            yield bytes(2**23)
        pytest.fail("read on above the cap")

    assert (await provider_transport.refused(dripping(endless(), 0))).code == "answer_too_large"


# Time: an answer has to begin within one limit, and to be here within another.


async def test_an_answer_that_begins_in_time_may_take_until_the_end_of_the_whole(
    provider_transport: ProviderTransport,
) -> None:
    body = answer(GOOD).read()
    pieces = [body[:1], *[body[place : place + 3000] for place in range(1, len(body), 3000)], *[b" " * 2000] * 10]
    assert await provider_transport.brings(dripping(pieces), begin_s=0.1) == (PICTURE, None)


@pytest.mark.parametrize(
    "late",
    [
        lambda: (60.0,),
        lambda: (dripping([b"\n"] * 1000),),
        lambda: (dripping([b": OPENROUTER PROCESSING\n\n"] * 1000),),
        lambda: (dripping([b": "] * 1000),),
        lambda: (dripping([b"x"] * 1000, 60),),
    ],
    ids=["P09-no-headers", "P55-blanks", "P55-comments", "P55-open-comment", "P12-silence"],
)
async def test_what_does_not_begin_in_time_has_timed_out(
    late: Callable[[], tuple[Said]], provider_transport: ProviderTransport
) -> None:
    started = time.monotonic()
    error = await provider_transport.refused(*late(), begin_s=0.05, whole_s=60)
    assert (error.outcome, error.code, error.cost_usd) == ("timeout", "provider_timeout", None)
    assert 0.05 <= time.monotonic() - started < 2
    assert "did not answer in time" in error.detail


async def test_p11_what_begins_and_does_not_end_has_timed_out_in_the_end(provider_transport: ProviderTransport) -> None:
    error = await provider_transport.refused(dripping([b"[" * 2000] * 1000), begin_s=0.05, whole_s=0.1)
    assert (error.outcome, error.code) == ("timeout", "provider_timeout")


async def test_a_download_may_take_longer_than_an_answer_may_take_to_begin(
    provider_transport: ProviderTransport,
) -> None:
    assert await provider_transport.brings(linking(), 0.08, raw(PICTURE), provider=OPENROUTER, begin_s=0.05) == (
        PICTURE,
        0.04,
    )


async def test_a_download_that_does_not_end_keeps_its_cost_and_is_not_made_again(
    provider_transport: ProviderTransport,
) -> None:
    error = await provider_transport.refused(linking(), 60.0, provider=OPENROUTER, begin_s=0.05, whole_s=0.1)
    assert (error.outcome, error.code, error.cost_usd) == ("interrupted", "result_unreachable", 0.04)
    assert error.is_elsewhere


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
    refusal: Callable[[], Said], outcome: str, provider_transport: ProviderTransport
) -> None:
    error = await provider_transport.refused(refusal(), provider=OPENROUTER)
    assert (error.outcome, error.cost_usd, provider_transport.methods) == (outcome, None, ["POST"])


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (httpx.ConnectError("x"), "provider_unreachable"),
        (httpx.ReadTimeout("x"), "provider_timeout"),
        (httpx.ReadError("x"), "provider_unreachable"),
        (httpx.LocalProtocolError("x"), "provider_bad_answer"),
        (httpx.InvalidURL("x"), "bad_api_base"),
        (ConnectionResetError(), "provider_unreachable"),
        (TimeoutError(), "provider_timeout"),
        (ssl.SSLError("x"), "provider_unreachable"),
    ],
    ids=repr,
)
async def test_only_provider_errors_come_out(
    raised: Exception, code: str, provider_transport: ProviderTransport
) -> None:
    error = await provider_transport.refused(raised)
    assert error.code == code
    assert "aihubmix" in error.detail


@pytest.mark.parametrize("where", [(), (linking(),)], ids=["call", "download"])
async def test_a_call_can_be_cancelled(where: tuple[Said, ...], provider_transport: ProviderTransport) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await provider_transport.make(*where, 60.0, provider=OPENROUTER)


NO_WORDS = {"error": {"code": 404, "message": "No endpoints found that support the requested output modalities: image"}}


def modalities(provider_transport: ProviderTransport) -> list[object]:
    return [json.loads(request.content)["modalities"] for request in provider_transport.sent]


async def test_what_a_model_gives_is_asked_for_in_the_other_way_once(provider_transport: ProviderTransport) -> None:
    assert await provider_transport.brings(answer(NO_WORDS, 404), linking(B64), provider=OPENROUTER) == (PICTURE, 0.04)
    flux = replace(ASK, model="black-forest-labs/flux.2-pro")
    await provider_transport.make(answer(NO_WORDS, 404), linking(B64), provider=OPENROUTER, ask=flux)
    assert modalities(provider_transport) == [["image", "text"], ["image"], ["image"], ["image", "text"]]
    error = await provider_transport.refused(answer(NO_WORDS, 404), answer(NO_WORDS, 404), provider=OPENROUTER)
    assert (error.outcome, error.code) == ("unusable", "bad_model")
    assert "output modalities" in error.detail


async def test_other_404s_and_modalities_of_the_operator_are_asked_once(provider_transport: ProviderTransport) -> None:
    other = {"error": {"code": 404, "message": "No endpoints found for a/b."}}
    assert (await provider_transport.refused(answer(other, 404), provider=OPENROUTER)).code == "bad_model"
    own = {"modalities": ["image"]}
    assert (
        await provider_transport.refused(answer(NO_WORDS, 404), provider=OPENROUTER, extra_body=own)
    ).code == "bad_model"
    assert (await provider_transport.refused(answer(NO_WORDS, 404))).code == "bad_model"  # aihubmix has no modalities
    assert len(provider_transport.sent) == 3
