"""Downloads: over real TLS in a network of our own, and hop by hop without a socket."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from contract.untrusted.imaging.limits import MAX_BYTES
from tests.support.network.certificates import Certificates
from tests.support.network.fake_network import Network
from tests.support.network.image_host import Cdn, reply
from worker.answers.errors import Interrupted, ProviderError, RateLimited, TimedOut, Transient, Unusable
from worker.http.download import MAX_HOPS, Downloader, is_page
from worker.http.pinned_client import no_cookies

Answering = Callable[[httpx.Request], httpx.Response]
CONTEXT = ssl.create_default_context()
PUBLIC = "93.184.215.14"
PUBLIC_6 = "2606:4700:4700::1111"
ONE, TWO = "one.example", "two.example"
URL = f"https://{ONE}/a"
PICTURE = b"picture"


def downloader(
    api_base: str = "https://provider.example/v1",
    *,
    context: ssl.SSLContext = CONTEXT,
    proxy: str | None = None,
    idle_s: float = 5,
    job_id: str | None = None,
) -> Downloader:
    return Downloader(ssl_context=context, api_base=api_base, proxy=proxy, connect_s=1, idle_s=idle_s, job_id=job_id)


async def failing(
    url: str = URL, *, api_base: str = "https://provider.example/v1", context: ssl.SSLContext = CONTEXT
) -> ProviderError:
    """Fetch a link that must fail, and answer how."""
    with pytest.raises(ProviderError) as caught:
        await downloader(api_base, context=context).fetch(url)
    return caught.value


# Over real TLS


def online(folder: Path, cdn: Cdn, **names: list[list[str]]) -> Network:
    """Put a host of pictures behind the public addresses; dots of names are written as underscores."""
    routes = {f"{address}:{port}": cdn.port for address in (PUBLIC, f"[{PUBLIC_6}]") for port in (443, 8443)}
    table = {name.replace("_", "."): answers for name, answers in names.items()}
    return Network(log=folder / "net.log", names={ONE: [[PUBLIC]], **table}, routes=routes)


async def test_p71_p76_the_judged_address_is_connected_with_the_name_kept(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with Cdn(certificates.good(ONE), {"/x.png?sign=a%2Fb": reply(200, PICTURE)}) as cdn:
        net = online(tmp_path, cdn)
        with net.installed():
            one = downloader(context=certificates.client())
            assert await one.fetch(f"https://{ONE}:8443/x.png?sign=a%2Fb#part") == PICTURE
    assert (net.resolved(), net.connected(), cdn.names) == ([ONE], [f"{PUBLIC}:8443"], [ONE])
    [head] = cdn.asked
    assert f"\r\nhost: {ONE}:8443\r\n" in head
    assert "\r\naccept-encoding: identity\r\n" in head
    assert not any(f"\r\n{name}:" in head for name in ("authorization", "cookie", "referer"))


@pytest.mark.parametrize("literal", [PUBLIC, f"[{PUBLIC_6}]"])
async def test_a_public_address_may_stand_for_a_name(literal: str, tmp_path: Path, certificates: Certificates) -> None:
    async with Cdn(certificates.good(PUBLIC, PUBLIC_6), {"/x": reply(200, PICTURE)}) as cdn:
        with online(tmp_path, cdn).installed():
            assert await downloader(context=certificates.client()).fetch(f"https://{literal}/x") == PICTURE


async def test_p76_a_name_is_resolved_once_so_it_cannot_change_after_the_judgement(
    tmp_path: Path, certificates: Certificates
) -> None:
    async with Cdn(certificates.good(ONE), {"/a": reply(200, PICTURE)}) as cdn:
        net = online(tmp_path, cdn, one_example=[[PUBLIC], ["127.0.0.1"]])
        with net.installed():
            assert await downloader(context=certificates.client()).fetch(URL) == PICTURE
            assert (net.resolved(), net.connected()) == ([ONE], [f"{PUBLIC}:443"])
            assert (await failing(context=certificates.client())).code == "unsafe_url"
    assert len(net.connected()) == 1
    assert not net.attempted(443)


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], [PUBLIC, "10.0.0.1"], [PUBLIC, "fd00::1"], [PUBLIC, "::1"], ["::ffff:7f00:1", PUBLIC]]
)
async def test_p76_a_name_with_any_private_address_is_not_connected(
    addresses: list[str], tmp_path: Path, certificates: Certificates
) -> None:
    async with Cdn(certificates.good(ONE), {"/a": reply(200, PICTURE)}) as cdn:
        net = online(tmp_path, cdn, one_example=[addresses])
        with net.installed():
            assert (await failing()).code == "unsafe_url"
    assert net.connected() == []
    assert cdn.names == []


async def test_p76_two_names_of_one_address_are_two_certificates(tmp_path: Path, certificates: Certificates) -> None:
    answers = {"/a": reply(302, location=f"https://{TWO}/b"), "/b": reply(200, PICTURE)}
    async with Cdn(certificates.good(ONE), answers) as cdn:
        with online(tmp_path, cdn, two_example=[[PUBLIC]]).installed():
            assert (await failing(context=certificates.client())).code == "unsafe_url"
    assert cdn.names == [ONE, TWO]
    assert cdn.paths() == ["/a"]


@pytest.mark.parametrize("kind", ["wrong host", "wrong host, right address", "expired", "foreign", "self-signed"])
async def test_p06_a_certificate_that_is_not_for_the_name_is_not_trusted(
    kind: str, tmp_path: Path, certificates: Certificates
) -> None:
    server = {
        "wrong host": lambda: certificates.good(TWO),
        "wrong host, right address": lambda: certificates.good(PUBLIC),
        "expired": lambda: certificates.expired(ONE),
        "foreign": lambda: certificates.foreign(ONE),
        "self-signed": certificates.self_signed,
    }[kind]()
    async with Cdn(server, {"/a": reply(200, PICTURE)}) as cdn:
        with online(tmp_path, cdn).installed():
            error = await failing(context=certificates.client())
    assert (type(error), error.code, error.is_elsewhere) == (Unusable, "unsafe_url", True)
    assert cdn.asked == []


async def test_p85_what_a_hop_wants_us_to_keep_is_forgotten(tmp_path: Path, certificates: Certificates) -> None:
    moods = {
        "set_cookie": f"canary=1; Domain={PUBLIC}; Path=/",
        "alt_svc": 'h3=":443"; ma=86400',
        "strict_transport_security": "max-age=31536000",
        "link": "<https://10.0.0.1/x>; rel=preload",
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
    }
    answers = {"/a": reply(302, location="/b", **moods), "/b": reply(307, location="/c", **moods)}
    async with Cdn(certificates.good(ONE), {**answers, "/c": reply(200, PICTURE, **moods)}) as cdn:
        net = online(tmp_path, cdn)
        with net.installed():
            one = downloader(context=certificates.client())
            assert [await one.fetch(URL), await one.fetch(URL)] == [PICTURE, PICTURE]
    assert cdn.paths() == ["/a", "/b", "/c"] * 2
    assert not any("canary" in head for head in cdn.asked)
    assert set(net.connected()) == {f"{PUBLIC}:443"}


def test_p85_no_cookie_is_taken_from_anybody() -> None:
    client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, headers={"set-cookie": "a=1"})),
        cookies=no_cookies(),
    )
    with client:
        client.get(URL)
        assert "cookie" not in client.get(URL).request.headers


async def test_p71_nothing_in_the_environment_lends_a_proxy_or_a_password(
    tmp_path: Path, home: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".netrc").write_text(f"machine {ONE} login ann password canary\nmachine {PUBLIC} login a password canary\n")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with Cdn(certificates.good(ONE), {"/a": reply(200, PICTURE)}) as cdn:
        with online(tmp_path, cdn).installed():
            assert await downloader(context=certificates.client()).fetch(URL) == PICTURE
    assert "authorization" not in cdn.asked[0]


async def test_p02_a_host_that_cannot_be_reached_may_come_back(tmp_path: Path) -> None:
    with Network(log=tmp_path / "net.log", names={ONE: [[PUBLIC]]}).installed():
        error = await failing()
    assert (type(error), error.code) == (Transient, "provider_unreachable")


@pytest.mark.parametrize("failure", ["NXDOMAIN", "SERVFAIL"])
async def test_p01_a_name_that_does_not_resolve_may_do_so_later(failure: str, tmp_path: Path) -> None:
    net = Network(log=tmp_path / "net.log", names={ONE: [[failure]]})
    with net.installed():
        error = await failing()
    assert (type(error), error.code, error.is_elsewhere) == (Transient, "provider_unreachable", True)
    assert (net.resolved(), net.connected()) == ([ONE], [])


async def test_p01_a_name_that_resolves_slowly_is_waited_for_as_long_as_a_connection(tmp_path: Path) -> None:
    net = Network(log=tmp_path / "net.log", names={ONE: [[PUBLIC]]}, slow={ONE: 0.15})
    with net.installed(), pytest.raises(Transient) as caught:
        await Downloader(ssl_context=CONTEXT, api_base="", proxy=None, connect_s=0.05).fetch(URL)
    assert (type(caught.value), caught.value.code) == (Transient, "provider_unreachable")
    assert net.connected() == []


async def test_p03_a_host_that_accepts_and_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        routes = {f"{PUBLIC}:443": hole.getsockname()[1]}
        net = Network(log=tmp_path / "net.log", names={ONE: [[PUBLIC]]}, routes=routes)
        started = time.monotonic()
        with net.installed(), pytest.raises(Transient) as caught:
            await Downloader(ssl_context=CONTEXT, api_base="", proxy=None, connect_s=0.1).fetch(URL)
    assert caught.value.code == "provider_unreachable"
    assert time.monotonic() - started < 1


async def test_p77_whatever_is_refused_is_refused_before_any_connection(tmp_path: Path) -> None:
    net = Network(log=tmp_path / "net.log", names={"inside.example": [["169.254.169.254"]], "localhost": [["::1"]]})
    with net.installed():
        for url in (
            *("https://169.254.169.254/latest/meta-data", "https://0x7f.1/", "https://2130706433/", "https://0177.1/"),
            *(
                "https://localhost/",
                "https://localhost.:8443/",
                "https://[::ffff:127.0.0.1]/",
                "http://127.0.0.1:6379/",
            ),
            *("https://inside.example/", "file:///etc/passwd", "https://①②⑦.0.0.1/", "https://ann:pw@one.example/"),
        ):
            assert (await failing(url)).code == "unsafe_url"
    assert net.resolved() == ["inside.example"]
    assert not net.log.read_text().count('"connect"')


# Without a socket


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, answer: Answering) -> Iterator[list[httpx.Request]]:
    """Answer HTTP by a function; all names are public."""
    sent: list[httpx.Request] = []
    honest = socket.getaddrinfo

    def resolve(host: str, port: int, *_: object) -> list[tuple[object, ...]]:
        return list(
            honest(host if host.strip("0123456789abcdef.:") == "" else PUBLIC, port, flags=socket.AI_NUMERICHOST)
        )

    async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer(request)

    with monkeypatch.context() as patch:
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
        patch.setattr(socket, "getaddrinfo", resolve)
        yield sent


def picture(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(PICTURE))


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("http://127.0.0.1:8000/files/x.png", True),
        ("http://127.0.0.1:8001/files/x.png", False),
        ("http://127.0.0.1/files/x.png", False),
        ("http://localhost:8000/files/x.png", False),
        ("http://user@127.0.0.1:8000/x.png", False),
        ("http://127.0.0.1:8000@10.0.0.1/x.png", False),
        ("http://127.0.0.1:8000\\@10.0.0.1/x.png", False),
        ("http://one.example/x.png", False),
    ],
)
async def test_plain_http_goes_only_to_the_very_host_of_a_loopback_api_base(
    url: str, opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(monkeypatch, picture) as sent:
        if opened:
            assert await downloader("http://127.0.0.1:8000/v1").fetch(url) == PICTURE
        else:
            assert (await failing(url, api_base="http://127.0.0.1:8000/v1")).code == "unsafe_url"
    assert len(sent) == opened


@pytest.mark.parametrize(
    "base", [f"http://{PUBLIC}", "http://one.example", "http://ann:pw@127.0.0.1", "https://127.0.0.1"]
)
async def test_another_api_base_opens_no_http_links(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, picture) as sent:
        assert (await failing(f"{base}/x.png", api_base=f"{base}/v1")).code == "unsafe_url"
    assert sent == []


def leading(*locations: str) -> Answering:
    """Answer with redirects to these places, one after the other, and then with the picture."""
    waiting = list(locations)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": waiting.pop(0)}) if waiting else picture(request)

    return answer


async def test_p74_some_redirects_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [f"https://{TWO}/b", "/c", "d?x=1", f"//{ONE}/e", "/f"]
    with answering(monkeypatch, leading(*places)) as sent:
        assert await downloader().fetch(URL) == PICTURE
    assert [str(request.url.path) for request in sent] == ["/a", "/b", "/c", "/d", "/e", "/f"]
    assert [request.headers["host"] for request in sent] == [ONE, TWO, TWO, TWO, ONE, ONE]


async def test_p74_one_redirect_more_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, leading(*(f"/{hop}" for hop in range(MAX_HOPS + 1)))) as sent:
        assert (await failing()).code == "unsafe_url"
    assert len(sent) == MAX_HOPS + 1


@pytest.mark.parametrize("location", ["/a", "", None])
async def test_p74_a_circle_and_a_way_to_nowhere_end_at_once(
    location: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {} if location is None else {"location": location}
    with answering(monkeypatch, lambda _: httpx.Response(302, headers=headers)) as sent:
        assert (await failing()).code == "unsafe_url"
    assert len(sent) == 1


@pytest.mark.parametrize(
    "location",
    [
        *("http://one.example/x", "https://10.0.0.1/x", "https://localhost/x", "file:///etc/passwd", "https://["),
        *("https://user:pass@one.example/", "https://169.254.169.254/latest", "//[::1]/x", "https://one.example:22/"),
        *("http://127.0.0.1:8000/x", "https://127.0.0.1:8000/x", "data:image/png;base64,AAAA", "https://xn--a.е/"),
    ],
)
async def test_p74_each_hop_is_judged_anew(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, leading(location)) as sent:
        assert (await failing(api_base="http://127.0.0.1:8000/v1")).code == "unsafe_url"
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("status", "code", "branch"),
    [
        (403, "result_expired", Interrupted),
        (404, "result_expired", Interrupted),
        (410, "result_expired", Interrupted),
        (429, "provider_rate_limited", RateLimited),
        (500, "provider_down", Transient),
        (503, "provider_down", Transient),
        (204, "provider_down", Transient),
    ],
)
async def test_p72_a_picture_that_is_not_there(
    status: int, code: str, branch: type[ProviderError], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(monkeypatch, lambda _: httpx.Response(status)):
        error = await failing()
    assert (type(error), error.code, error.http_status) == (branch, code, status)


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip", "GZIP"])
async def test_p54_an_encoded_body_is_refused_before_it_is_decoded(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": encoding}, stream=httpx.ByteStream(b"bomb"))

    with answering(monkeypatch, answer):
        assert (await failing()).code == "answer_encoded"


class Stream(httpx.AsyncByteStream):
    """A body without end, or a slow one, or one that breaks."""

    def __init__(self, chunk: bytes, *, breaks: bool = False, pause_s: float = 0) -> None:
        self.read = 0
        self._chunk = chunk
        self._breaks = breaks
        self._pause_s = pause_s

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        while True:
            self.read += len(self._chunk)
            yield self._chunk
            await asyncio.sleep(self._pause_s)
            if self._breaks:
                raise httpx.RemoteProtocolError("peer closed connection")


async def test_p53_a_body_without_end_is_read_up_to_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    body = Stream(b"x" * 2**20)
    with answering(monkeypatch, lambda _: httpx.Response(200, stream=body)):
        error = await failing()
    assert (type(error), error.code) == (Unusable, "answer_too_large")
    assert body.read <= MAX_BYTES + 2**20


async def test_a_body_that_breaks_off_may_be_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, lambda _: httpx.Response(200, stream=Stream(b"x", breaks=True))):
        assert (await failing()).code == "provider_interrupted"


async def test_a_body_that_falls_silent_is_not_waited_for(tmp_path: Path, certificates: Certificates) -> None:
    half = reply(200, b"x" * 9000)[:5000]
    async with Cdn(certificates.good(ONE), {"/a": half}) as cdn:
        with online(tmp_path, cdn).installed(), pytest.raises(TimedOut) as caught:
            await downloader(context=certificates.client(), idle_s=0.1).fetch(URL)
    assert caught.value.code == "provider_timeout"


async def test_a_body_that_only_trickles_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, lambda _: httpx.Response(200, stream=Stream(b"x", pause_s=0.02))):
        async with asyncio.timeout(2):
            with pytest.raises(TimedOut):
                await downloader(idle_s=0.1).fetch(URL)


async def test_every_refusal_is_a_security_event_by_host_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = leading(f"https://ann:pw@{TWO}/canary?sig=canary")
    with answering(monkeypatch, steps), pytest.raises(Unusable) as caught:
        await downloader(job_id="job_1").fetch(URL + "?sig=canary")
    [event] = caplog.records
    assert (event.levelno, event.getMessage()) == (
        logging.WARNING,
        f"security: a link to '{TWO}' is not opened: it has a user name",
    )
    assert event.job_id == "job_1"  # type: ignore[attr-defined]
    assert "canary" not in f"{caught.value} {caplog.text}"


@pytest.mark.parametrize("url", ["https://10.0.0.1/x", "https://cdn.localhost:22/x", "http://one.example/x"])
async def test_behind_a_proxy_links_are_judged_all_the_same(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: [(0, 0, 0, "", ("10.0.0.1", 443))])
    async with httpx.AsyncClient() as client:
        with pytest.raises(Unusable):
            await downloader(proxy="http://proxy.example:3128").request(client, url)


async def test_a_proxy_is_given_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(monkeypatch, picture) as sent:
        assert await downloader(proxy="http://proxy.example:3128").fetch(URL) == PICTURE
    assert str(sent[0].url) == URL


async def test_a_name_that_httpx_cannot_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "https://xn--a.example/"
    for proxy, steps in (("http://proxy.example:3128", picture), (None, leading(odd))):
        with answering(monkeypatch, steps) as sent, pytest.raises(Unusable):
            await downloader(proxy=proxy).fetch(URL if proxy is None else odd)
        assert len(sent) == (proxy is None)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        *((data, True) for data in (b"", b" \n", b"<!DOCTYPE html>x", b"\xef\xbb\xbf<html>", b'{"error": "wait"}')),
        *(
            (data, True)
            for data in (b"<?xml version='1.0'?><Error><Code>SlowDown</Code></Error>", b"<Error>no</Error>")
        ),
        *(
            (data, False)
            for data in (b"\x89PNG\r\n", b"GIF89a", b"%PDF-1.7", b"<svg/>", b"<?xml version='1.0'?><svg/>")
        ),
    ],
)
def test_p73_a_page_in_place_of_a_picture_is_told_from_a_file(data: bytes, expected: bool) -> None:
    assert is_page(data) is expected
