"""What a call's answer only promises: polls until a picture is there, and downloads of what a link points to."""

import base64
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from simulator.pictures import png

from contract.errors.catalogue.table import KINDS
from tests.support.factories.images import picture
from tests.support.network.provider_transport import (
    ASK,
    B64,
    CDN,
    GOOD,
    HUB,
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
from worker.answers.untrusted_json import Json
from worker.providers.aihubmix import AIHUBMIX
from worker.providers.openrouter import OPENROUTER
from worker.providers.provider import Provider


async def test_p79_polls_end_when_an_answer_would_have_had_to_begin(provider_transport: ProviderTransport) -> None:
    looks = [answer({"status": "processing"}) for _ in range(1000)]
    slow = replace(AIHUBMIX, poll_interval_s=0.02)
    error = await provider_transport.refused(answer(POLL), *looks, provider=slow, begin_s=0.1, whole_s=60)
    assert (error.outcome, error.code) == ("timeout", "provider_timeout")
    assert 2 <= provider_transport.methods.count("GET") <= 10


async def test_p79_a_picture_that_begins_to_come_with_a_poll_in_time_may_take_longer(
    provider_transport: ProviderTransport,
) -> None:
    body = answer(GOOD).read()
    look = dripping([body[:1], *[b" " for _ in range(12)], body[1:]])
    assert await provider_transport.brings(answer(POLL), look, begin_s=0.1) == (PICTURE, None)


async def test_p79_polling_goes_on_until_there_is_a_picture(provider_transport: ProviderTransport) -> None:
    steps = [
        {"status": "processing"},
        {"status": "succeeded"},
        {"status": "mystery"},
        POLL,
        {"status": "succeeded", **GOOD},
    ]
    assert await provider_transport.brings(answer(POLL), *map(answer, steps)) == (PICTURE, None)
    assert provider_transport.methods == ["POST"] + ["GET"] * 5
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in provider_transport.sent)


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (lambda: answer({"status": "failed"}), "provider_error"),
        (lambda: answer({"status": "canceled"}), "provider_error"),
        (lambda: answer({"output": {"task_status": "FAILED"}}), "provider_error"),
        (lambda: answer({"status": "request_moderated"}), "content_refused"),
        (lambda: answer({"error": {"code": "moderation_blocked"}}, 400), "content_refused"),
    ],
    ids=["failed", "canceled", "dashscope", "moderated", "refused"],
)
async def test_p79_a_poll_that_failed_is_final(
    look: Callable[[], Said], code: str, provider_transport: ProviderTransport
) -> None:
    error = await provider_transport.refused(answer(POLL), look())
    assert (error.code, provider_transport.methods) == (code, ["POST", "GET"])
    assert error.outcome not in ("transient", "rate_limited")


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (lambda: answer({}, 502), "provider_down"),
        (lambda: answer({}, 429), "provider_rate_limited"),
        (lambda: httpx.ConnectError("x"), "provider_unreachable"),
        (lambda: httpx.ReadError("x"), "provider_unreachable"),
        (lambda: answer({}, 401), "provider_auth"),
        (lambda: answer({}, 504), "provider_down"),
        (lambda: answer({"error": {"code": 503}}), "provider_down"),
        (lambda: raw(b"<html>"), "provider_bad_answer"),
        (lambda: raw(b"{"), "provider_interrupted"),
    ],
    ids=["502", "429", "no-connection", "hung-up", "401", "504", "503-inside-200", "page", "cut-off"],
)
async def test_a_poll_is_looked_at_as_long_as_there_is_time_since_looking_is_free(
    look: Callable[[], Said], code: str, provider_transport: ProviderTransport
) -> None:
    assert await provider_transport.brings(answer(POLL), *(look() for _ in range(5)), answer(GOOD)) == (PICTURE, None)
    assert provider_transport.methods == ["POST"] + ["GET"] * 6
    error = await provider_transport.refused(
        answer(POLL), *(look() for _ in range(500)), begin_s=0.05, whole_s=0.05, fetch_s=0.2
    )
    assert (error.outcome, error.code) == ("interrupted", "result_unreachable")
    assert error.values["reason"] == KINDS[code].title.lower()


async def test_each_look_may_be_repeated_anew(provider_transport: ProviderTransport) -> None:
    looks = [look for _ in range(3) for look in (answer({}, 503), answer({}, 503), answer({"status": "processing"}))]
    assert await provider_transport.brings(answer(POLL), *looks, answer(GOOD)) == (PICTURE, None)
    assert provider_transport.methods == ["POST"] + ["GET"] * 10


@pytest.mark.parametrize("status", [429, 503])
async def test_a_look_waits_as_long_as_the_provider_asks(status: int, provider_transport: ProviderTransport) -> None:
    await provider_transport.make(answer(POLL), answer({}, status, retry_after="0.05"), answer(GOOD))
    assert provider_transport.times[2] - provider_transport.times[1] >= 0.05


async def test_a_look_for_which_there_is_no_time_is_not_waited_for(provider_transport: ProviderTransport) -> None:
    error = await provider_transport.refused(answer(POLL), answer({}, 429, retry_after="60"))
    assert (error.outcome, error.code) == ("interrupted", "result_unreachable")
    assert provider_transport.methods == ["POST", "GET"]


async def test_polls_that_fail_when_the_time_of_the_call_is_over_go_on_until_one_is_answered(
    provider_transport: ProviderTransport,
) -> None:
    """Only a look that says `processing` means a time-out."""
    away = [answer({}, 503) for _ in range(20)]
    assert await provider_transport.brings(answer(POLL), *away, answer(GOOD), begin_s=0.001, fetch_s=5) == (
        PICTURE,
        None,
    )
    away = [answer({}, 503) for _ in range(20)]
    error = await provider_transport.refused(
        answer(POLL), *away, answer({"status": "processing"}), begin_s=0.001, fetch_s=5
    )
    assert (error.outcome, error.code) == ("timeout", "provider_timeout")


async def test_a_task_is_looked_at_once_however_short_the_time_is(provider_transport: ProviderTransport) -> None:
    slow = replace(AIHUBMIX, poll_interval_s=60)
    assert await provider_transport.brings(answer(POLL), answer(GOOD), provider=slow, begin_s=0.01) == (PICTURE, None)


@pytest.mark.parametrize(
    "look",
    [
        lambda: answer({"error": "gone"}, 404),
        lambda: answer({}, 410),
        lambda: answer({"error": {"message": "Task not found"}}, 400),
        lambda: answer({"code": "task_not_exist"}, 500),
        lambda: answer({"error": "Task not found"}),
        lambda: answer({"status": "expired"}),
    ],
    ids=["404", "410", "400", "500", "200", "word"],
)
async def test_a_task_that_is_not_there_is_looked_at_three_times(
    look: Callable[[], Said], provider_transport: ProviderTransport
) -> None:
    assert await provider_transport.brings(answer(POLL), look(), look(), answer(GOOD)) == (PICTURE, None)
    error = await provider_transport.refused(answer(POLL), *(look() for _ in range(3)))
    assert (error.outcome, error.code) == ("interrupted", "result_expired")


async def test_a_task_that_says_it_is_done_and_has_nothing_is_lost_after_five_looks(
    provider_transport: ProviderTransport,
) -> None:
    done = {"status": "succeeded", "output": []}
    assert await provider_transport.brings(answer(POLL), *[answer(done) for _ in range(4)], answer(GOOD)) == (
        PICTURE,
        None,
    )
    looks = [done] * 4 + [{"status": "processing"}] + [done] * 5
    error = await provider_transport.refused(answer(POLL), *map(answer, looks))
    assert (error.outcome, error.code) == ("interrupted", "result_expired")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 524, 409])
async def test_an_error_that_tells_where_to_ask_again_is_followed_and_not_repeated(
    status: int, provider_transport: ProviderTransport
) -> None:
    body = {"error": {"message": "Upstream is slow"}, **POLL}
    assert await provider_transport.brings(answer(body, status), answer(GOOD)) == (PICTURE, None)
    assert provider_transport.methods == ["POST", "GET"]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
async def test_an_error_of_the_request_is_one_whatever_it_tells(
    status: int, provider_transport: ProviderTransport
) -> None:
    assert (
        await provider_transport.refused(answer({"error": {"message": "No"}, **POLL}, status))
    ).outcome == "unusable"
    assert provider_transport.methods == ["POST"]


@pytest.mark.parametrize(
    ("provider", "status", "body", "outcome"),
    [
        (HUB, 500, {}, "interrupted"),
        (HUB, 503, {}, "transient"),
        (OPENROUTER, 500, {}, "transient"),
        (OPENROUTER, 500, {"error": {"message": "x"}, "usage": {"cost": 0.04}}, "interrupted"),
    ],
    ids=["who-bills", "who-is-away", "who-does-not", "who-says-so"],
)
async def test_a_500_after_which_the_provider_bills_is_no_call_for_nothing(
    provider: Provider, status: int, body: Json, outcome: str, provider_transport: ProviderTransport
) -> None:
    assert (await provider_transport.refused(answer(body, status), provider=provider)).outcome == outcome


@pytest.mark.parametrize(
    ("download", "code"),
    [
        (lambda: raw(b"", 503), "result_unreachable"),
        (lambda: raw(b"", 401), "result_unreachable"),
        (lambda: raw(b"<!doctype html><h1>Sign in</h1>"), "result_unreachable"),
        (lambda: raw(b"  "), "result_unreachable"),
        (lambda: httpx.ConnectTimeout("x"), "result_unreachable"),
        (lambda: raw(b"", 404), "result_expired"),
    ],
    ids=["P29", "401", "P73", "empty", "P03", "P72"],
)
async def test_a_picture_that_cannot_be_fetched_may_have_been_billed_and_keeps_its_cost(
    download: Callable[[], Said], code: str, provider_transport: ProviderTransport
) -> None:
    answers = [download() for _ in range(500)]
    error = await provider_transport.refused(
        linking(), *answers, provider=OPENROUTER, begin_s=0.05, whole_s=0.1, fetch_s=0.5
    )
    assert (error.outcome, error.code, error.cost_usd) == ("interrupted", code, 0.04)
    assert (len(provider_transport.methods) == 4) if code == "result_expired" else (len(provider_transport.methods) > 6)
    assert error.is_elsewhere


async def test_a_host_of_pictures_that_is_away_for_long_costs_no_second_call(
    provider_transport: ProviderTransport,
) -> None:
    away = [raw(b"", 503) for _ in range(40)]
    page = raw(b"<html>Back soon</html>")
    assert await provider_transport.brings(linking(), *away, page, raw(PICTURE), provider=OPENROUTER) == (PICTURE, 0.04)
    assert provider_transport.methods.count("POST") == 1


async def test_a_picture_that_comes_damaged_is_downloaded_once_more(provider_transport: ProviderTransport) -> None:
    assert await provider_transport.brings(linking(), raw(PICTURE[:-30]), raw(PICTURE), provider=OPENROUTER) == (
        PICTURE,
        0.04,
    )
    error = await provider_transport.refused(linking(), raw(PICTURE[:-30]), raw(PICTURE[:-30]), provider=OPENROUTER)
    assert (error.code, error.cost_usd) == ("bad_image", 0.04)


TWO = {"output": {"urls": ["https://93.184.216.34/1.png", "https://93.184.216.34/2.png"]}}


async def test_of_two_links_one_that_fails_does_not_keep_the_good_one(provider_transport: ProviderTransport) -> None:
    ask = replace(ASK, most=2)
    assert await provider_transport.brings(
        answer(TWO), raw(b"", 503), raw(PICTURE), raw(b"", 503), raw(b"", 503), ask=ask
    ) == (
        PICTURE,
        None,
    )
    assert provider_transport.methods == ["POST"] + ["GET"] * 4
    error = await provider_transport.refused(
        answer(TWO), *(raw(b"", 503) for _ in range(999)), ask=ask, begin_s=0.05, whole_s=0.1, fetch_s=0.2
    )
    assert error.code == "result_unreachable"


@pytest.mark.parametrize("passing", [lambda: raw(b"", 503), lambda: httpx.ReadError("x")], ids=["503", "hung-up"])
async def test_a_download_that_fails_once_is_repeated_without_another_call(
    passing: Callable[[], Said], provider_transport: ProviderTransport
) -> None:
    assert await provider_transport.brings(linking(), passing(), raw(PICTURE), provider=OPENROUTER) == (PICTURE, 0.04)
    assert provider_transport.methods == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png.png(9_000, 9_000), "image_too_large"),
        (bytes(2**20 + 1), "answer_too_large"),
        (b"%PDF-1.7 " * 99, "unsupported_image"),
    ],
    ids=["P64", "P53", "P61"],
)
async def test_a_download_that_will_not_get_better_is_not_repeated(
    data: bytes, code: str, provider_transport: ProviderTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.http.download.MAX_BYTES", 2**20)
    error = await provider_transport.refused(linking(), raw(data), provider=OPENROUTER)
    assert (error.code, error.cost_usd, provider_transport.methods) == (code, 0.04, ["POST", "GET"])


async def test_an_unsafe_link_is_not_looked_at_and_its_call_keeps_its_cost(
    provider_transport: ProviderTransport,
) -> None:
    error = await provider_transport.refused(linking("https://10.0.0.1/fox.png"), provider=OPENROUTER)
    assert (error.outcome, error.code, error.cost_usd) == ("unusable", "unsafe_url", 0.04)
    assert provider_transport.methods == ["POST"]


async def test_p68_of_two_pictures_only_the_first_is_brought_home(provider_transport: ProviderTransport) -> None:
    body = {"output": [{"bytesBase64": B64}, {"url": "https://10.0.0.1/second.png"}]}
    made = await provider_transport.make(answer(body))
    assert (made.picture.data, provider_transport.methods) == (PICTURE, ["POST"])
    assert made.picture.warnings == ("1 more in the same answer were not used.",)


OTHERS = [picture(size) for size in (65, 66)]
SPELT = [base64.b64encode(each).decode() for each in OTHERS]


def answering(*pictures: str) -> httpx.Response:
    return answer({"output": [{"url" if each.startswith("http") else "bytesBase64": each} for each in pictures]})


async def test_p68_a_bad_picture_does_not_spoil_the_good_ones_beside_it(provider_transport: ProviderTransport) -> None:
    for pictures in (["AAAA", B64], ["AAAA", "BBBB", B64, SPELT[0]], ["https://10.0.0.1/a.png", B64]):
        made = await provider_transport.make(answering(*pictures))
        assert (made.picture.data, provider_transport.methods[-1]) == (PICTURE, "POST")
        assert made.unused == len(pictures) - 1
    made = await provider_transport.make(answering(f"{CDN}?1", f"{CDN}?2"), raw(b"no picture"), raw(PICTURE))
    assert (made.picture.data, made.unused) == (PICTURE, 1)
    assert (await provider_transport.refused(answering("AAAA", "https://10.0.0.1/a.png"))).code == "unsafe_url"
    assert (await provider_transport.refused(answering("AAAA", "BBBB"))).code == "bad_image"


async def test_p68_so_many_pictures_are_brought_home_as_are_of_use(provider_transport: ProviderTransport) -> None:
    for most, wanted in ((1, 0), (2, 1), (3, 2), (9, 2)):
        made = await provider_transport.make(
            answering(B64, SPELT[0], B64, "AAAA", SPELT[1]), ask=replace(ASK, most=most)
        )
        assert [bytes(each.data) for each in made.more] == OTHERS[:wanted]
        assert (made.picture.data, made.unused) == (PICTURE, 5 - 1 - wanted)
    files = [raw(PICTURE), raw(OTHERS[0]), raw(OTHERS[1])]
    made = await provider_transport.make(answering(*[f"{CDN}?{n}" for n in range(3)]), *files, ask=replace(ASK, most=3))
    assert ([bytes(each.data) for each in made.more], made.unused) == (OTHERS, 0)


def polling(url: str) -> httpx.Response:
    return answer({"output": [{"polling_url": url}]})


async def test_a_poll_on_another_host_gets_no_key(provider_transport: ProviderTransport) -> None:
    await provider_transport.make(polling("https://93.184.216.34/v1/tasks/7"), answer(GOOD))
    assert "authorization" not in provider_transport.sent[1].headers


async def test_a_relative_poll_url_is_below_the_api_base(provider_transport: ProviderTransport) -> None:
    await provider_transport.make(polling("tasks/7"), answer(GOOD))
    assert str(provider_transport.sent[1].url) == "https://aihubmix.com/v1/tasks/7"


@pytest.mark.parametrize(
    "url",
    [
        *("http://aihubmix.com/v1/tasks/7", "https://user@aihubmix.com/v1", "https://169.254.169.254/latest"),
        *("http://127.0.0.1:6379/", "https://[", "file:///etc/passwd", "https://localhost.:22/", "//10.0.0.1/x"),
    ],
)
async def test_p75_a_poll_goes_nowhere_a_picture_would_not_be_fetched_from(
    url: str, provider_transport: ProviderTransport
) -> None:
    assert (await provider_transport.refused(polling(url))).code == "unsafe_url"
    assert len(provider_transport.sent) == 1
