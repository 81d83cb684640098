"""What a call's answer only promises: polls until a picture is there, and downloads of what a link points to."""

import base64
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from line import ASK, B64, CDN, GOOD, KEY, PICTURE, POLL, Line, Said, answer, dripping, linking, raw
from pictures import picture
from simulator import png

from worker.providers.aihubmix import AIHUBMIX
from worker.providers.openrouter import OPENROUTER


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


async def test_p79_polls_end_when_an_answer_would_have_had_to_begin(line: Line) -> None:
    looks = [answer({"status": "processing"}) for _ in range(1000)]
    slow = replace(AIHUBMIX, poll_interval_s=0.02)
    error = await line.refused(answer(POLL), *looks, provider=slow, begin_s=0.1, whole_s=60)
    assert (error.outcome, error.code) == ("timeout", "provider_timeout")
    assert 2 <= line.methods.count("GET") <= 10


async def test_p79_a_picture_that_begins_to_come_with_a_poll_in_time_may_take_longer(line: Line) -> None:
    body = answer(GOOD).read()
    look = dripping([body[:1], *[b" " for _ in range(12)], body[1:]])
    assert await line.brings(answer(POLL), look, begin_s=0.1) == (PICTURE, None)


async def test_p79_polling_goes_on_until_there_is_a_picture(line: Line) -> None:
    steps = [
        {"status": "processing"},
        {"status": "succeeded"},
        {"status": "mystery"},
        POLL,
        {"status": "succeeded", **GOOD},
    ]
    assert await line.brings(answer(POLL), *map(answer, steps)) == (PICTURE, None)
    assert line.methods == ["POST"] + ["GET"] * 5
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in line.sent)


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (lambda: answer({}, 401), "provider_auth"),
        (lambda: answer({"status": "failed"}), "provider_error"),
        (lambda: answer({"status": "request_moderated"}), "content_refused"),
        (lambda: raw(b"<html>"), "provider_bad_answer"),
    ],
    ids=["401", "failed", "moderated", "page"],
)
async def test_p79_a_poll_that_failed_is_final(look: Callable[[], Said], code: str, line: Line) -> None:
    error = await line.refused(answer(POLL), look())
    assert (error.code, line.methods) == (code, ["POST", "GET"])
    assert error.outcome not in ("transient", "rate_limited")


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (lambda: answer({}, 502), "provider_down"),
        (lambda: answer({}, 429), "provider_rate_limited"),
        (lambda: httpx.ConnectError("x"), "provider_unreachable"),
        (lambda: httpx.ReadError("x"), "provider_unreachable"),
    ],
    ids=["502", "429", "no-connection", "hung-up"],
)
async def test_a_poll_is_looked_at_as_long_as_there_is_time_since_looking_is_free(
    look: Callable[[], Said], code: str, line: Line
) -> None:
    assert await line.brings(answer(POLL), *(look() for _ in range(5)), answer(GOOD)) == (PICTURE, None)
    assert line.methods == ["POST"] + ["GET"] * 6


async def test_each_look_may_be_repeated_anew(line: Line) -> None:
    looks = [look for _ in range(3) for look in (answer({}, 503), answer({}, 503), answer({"status": "processing"}))]
    assert await line.brings(answer(POLL), *looks, answer(GOOD)) == (PICTURE, None)
    assert line.methods == ["POST"] + ["GET"] * 10


@pytest.mark.parametrize("status", [429, 503])
async def test_a_look_waits_as_long_as_the_provider_asks(status: int, line: Line) -> None:
    await line.make(answer(POLL), answer({}, status, retry_after="0.05"), answer(GOOD))
    assert line.times[2] - line.times[1] >= 0.05


async def test_a_look_for_which_there_is_no_time_is_not_waited_for(line: Line) -> None:
    error = await line.refused(answer(POLL), answer({}, 429, retry_after="60"))
    assert (error.outcome, error.code, error.retry_after_s) == ("interrupted", "provider_rate_limited", 60)


@pytest.mark.parametrize(
    ("download", "code"),
    [
        (lambda: raw(b"", 503), "provider_down"),
        (lambda: httpx.ConnectTimeout("x"), "provider_unreachable"),
        (lambda: raw(b"", 404), "result_expired"),
    ],
    ids=["P29", "P03", "P72"],
)
async def test_a_picture_that_cannot_be_fetched_may_have_been_billed_and_keeps_its_cost(
    download: Callable[[], Said], code: str, line: Line
) -> None:
    error = await line.refused(linking(), download(), download(), download(), provider=OPENROUTER)
    assert (error.outcome, error.code, error.cost_usd) == ("interrupted", code, 0.04)
    assert line.methods == ["POST", "GET", "GET", "GET"]


@pytest.mark.parametrize("passing", [lambda: raw(b"", 503), lambda: httpx.ReadError("x")], ids=["503", "hung-up"])
async def test_a_download_that_fails_once_is_repeated_without_another_call(
    passing: Callable[[], Said], line: Line
) -> None:
    assert await line.brings(linking(), passing(), raw(PICTURE), provider=OPENROUTER) == (PICTURE, 0.04)
    assert line.methods == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png.png(9_000, 9_000), "image_too_large"),
        (bytes(2**20 + 1), "answer_too_large"),
        (PICTURE[:-30], "bad_image"),
        (b"<!DOCTYPE html>" * 99, "unsupported_image"),
    ],
    ids=["P64", "P53", "P59", "P61"],
)
async def test_a_download_that_will_not_get_better_is_not_repeated(
    data: bytes, code: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.fetch.MAX_BYTES", 2**20)
    error = await line.refused(linking(), raw(data), provider=OPENROUTER)
    assert (error.code, error.cost_usd, line.methods) == (code, 0.04, ["POST", "GET"])


async def test_an_unsafe_link_is_not_looked_at_and_its_call_keeps_its_cost(line: Line) -> None:
    error = await line.refused(linking("https://10.0.0.1/fox.png"), provider=OPENROUTER)
    assert (error.outcome, error.code, error.cost_usd) == ("unusable", "unsafe_url", 0.04)
    assert line.methods == ["POST"]


async def test_p68_of_two_pictures_only_the_first_is_brought_home(line: Line) -> None:
    body = {"output": [{"bytesBase64": B64}, {"url": "https://10.0.0.1/second.png"}]}
    made = await line.make(answer(body))
    assert (made.picture.data, line.methods) == (PICTURE, ["POST"])
    assert made.picture.warnings == ("1 more in the same answer were not used.",)


OTHERS = [picture(size) for size in (65, 66)]
SPELT = [base64.b64encode(each).decode() for each in OTHERS]


def answering(*pictures: str) -> httpx.Response:
    return answer({"output": [{"url" if each.startswith("http") else "bytesBase64": each} for each in pictures]})


async def test_p68_a_bad_picture_does_not_spoil_the_good_ones_beside_it(line: Line) -> None:
    for pictures in (["AAAA", B64], ["AAAA", "BBBB", B64, SPELT[0]], ["https://10.0.0.1/a.png", B64]):
        made = await line.make(answering(*pictures))
        assert (made.picture.data, line.methods[-1]) == (PICTURE, "POST")
        assert made.unused == len(pictures) - 1
    made = await line.make(answering(f"{CDN}?1", f"{CDN}?2"), raw(b"no picture"), raw(PICTURE))
    assert (made.picture.data, made.unused) == (PICTURE, 1)
    assert (await line.refused(answering("AAAA", "https://10.0.0.1/a.png"))).code == "unsafe_url"
    assert (await line.refused(answering("AAAA", "BBBB"))).code == "bad_image"


async def test_p68_so_many_pictures_are_brought_home_as_are_of_use(line: Line) -> None:
    for most, wanted in ((1, 0), (2, 1), (3, 2), (9, 2)):
        made = await line.make(answering(B64, SPELT[0], B64, "AAAA", SPELT[1]), ask=replace(ASK, most=most))
        assert [bytes(each.data) for each in made.more] == OTHERS[:wanted]
        assert (made.picture.data, made.unused) == (PICTURE, 5 - 1 - wanted)
    files = [raw(PICTURE), raw(OTHERS[0]), raw(OTHERS[1])]
    made = await line.make(answering(*[f"{CDN}?{n}" for n in range(3)]), *files, ask=replace(ASK, most=3))
    assert ([bytes(each.data) for each in made.more], made.unused) == (OTHERS, 0)


def polling(url: str) -> httpx.Response:
    return answer({"output": [{"polling_url": url}]})


async def test_a_poll_on_another_host_gets_no_key(line: Line) -> None:
    await line.make(polling("https://93.184.216.34/v1/tasks/7"), answer(GOOD))
    assert "authorization" not in line.sent[1].headers


async def test_a_relative_poll_url_is_below_the_api_base(line: Line) -> None:
    await line.make(polling("tasks/7"), answer(GOOD))
    assert str(line.sent[1].url) == "https://aihubmix.com/v1/tasks/7"


@pytest.mark.parametrize(
    "url",
    [
        *("http://aihubmix.com/v1/tasks/7", "https://user@aihubmix.com/v1", "https://169.254.169.254/latest"),
        *("http://127.0.0.1:6379/", "https://[", "file:///etc/passwd", "https://localhost.:22/", "//10.0.0.1/x"),
    ],
)
async def test_p75_a_poll_goes_nowhere_a_picture_would_not_be_fetched_from(url: str, line: Line) -> None:
    assert (await line.refused(polling(url))).code == "unsafe_url"
    assert len(line.sent) == 1
