"""Links from providers: only public https addresses are opened, whatever the link or a redirect says."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ProviderError
from worker.fetch import MAX_HOPS, Fetcher, is_loopback, is_public, public_address

Answering = Callable[[httpx.Request], httpx.Response]
CONTEXT = ssl.create_default_context()
PUBLIC = "93.184.216.34"


@contextmanager
def network(monkeypatch: pytest.MonkeyPatch, answer: Answering, **names: list[str]) -> Iterator[list[httpx.Request]]:
    """Answer HTTP without a socket, and resolve these names (dots as underscores) beside numeric ones."""
    sent: list[httpx.Request] = []
    honest = socket.getaddrinfo

    async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer(request)

    def resolve(host: str, port: int, *_: int) -> list[tuple[object, ...]]:
        name = host.replace(".", "_")
        addresses = names.get(name, [host])
        return [entry for address in addresses for entry in honest(address, port, flags=socket.AI_NUMERICHOST)]

    with monkeypatch.context() as patch:
        patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
        patch.setattr(socket, "getaddrinfo", resolve)
        yield sent


def fetcher(api_base: str = "https://provider.example/v1") -> Fetcher:
    return Fetcher(ssl_context=CONTEXT, api_base=api_base, proxy=None)


def picture(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"picture"))


async def refused(url: str, *, api_base: str = "https://provider.example/v1") -> str:
    """Fetch a link that must fail, and answer its code."""
    with pytest.raises(ProviderError) as caught:
        await fetcher(api_base).fetch(url)
    return caught.value.code


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("100.100.100.200", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "::7f00:1"),
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::"),
        *("2001:0:1::1", "::ffff:0:7f00:1"),
    ],
)
def test_p75_an_address_that_is_not_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", PUBLIC, "2606:4700:4700::1111", "2a00:1450:4001::200e"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="64:ff9b::/96"))
def test_p75_no_private_or_tunnelled_address_is_public(address: object) -> None:
    assert not is_public(str(address))


@pytest.mark.parametrize(
    "host",
    [
        *("0x7f.1", "2130706433", "0177.1", "127.1", "0", "0x7f000001", "017700000001", "①②⑦.0.0.1", "127。0。0。1"),
        *("localhost", "localhost.", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::a9fe:a9fe]"),
        *("[2002:7f00:1::]", "10.0.0.1", "100.100.100.200"),
    ],
)
async def test_p75_a_link_to_this_house_is_not_opened(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, picture, localhost=["127.0.0.1"], localhost_=["127.0.0.1"]) as sent:
        assert await refused(f"https://{host}/x.png") == "unsafe_url"
    assert sent == []


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], [PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC, "fe80::1"]]
)
async def test_p76_a_name_with_any_private_address_is_not_opened(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with network(monkeypatch, picture, cdn_example=addresses) as sent:
        assert await refused("https://cdn.example/x.png") == "unsafe_url"
    assert sent == []


async def test_p71_p76_the_judged_address_is_connected_with_the_name_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, picture, cdn_example=[PUBLIC]) as (sent):
        assert await fetcher().fetch("https://cdn.example:8443/x.png?sign=a%2Fb#part") == b"picture"
    (request,) = sent
    assert str(request.url) == f"https://{PUBLIC}:8443/x.png?sign=a%2Fb"
    assert request.headers["host"] == "cdn.example:8443"
    assert request.extensions["sni_hostname"] == "cdn.example"
    assert not {"authorization", "cookie", "referer"} & set(request.headers)


async def test_a_name_that_does_not_resolve_may_do_so_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, picture):
        assert await refused("https://no-such-name.example/x.png") == "provider_unreachable"


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://cdn.example/x", "gopher://cdn.example/x", "javascript:alert(1)", "data:,x", ""),
        *("http:\\\\cdn.example\\x", "https:\\\\cdn.example", "//cdn.example/x", "http://cdn.example/x.png"),
        *("https://user:pass@cdn.example/x", "https://user@cdn.example/x", "https://:pass@cdn.example/x"),
        *(
            "https://@cdn.example/x",
            "https://cdn.example:22/x",
            "https://cdn.example:6379/x",
            "https://cdn.example:25/",
        ),
        *("https://cdn.example:0/x", "https://cdn.example:99999/x", "https://cdn.example:x/", "https://", "https:///x"),
        *("https://cdn.example/" + "x" * 4096, "https://cdn.example/" + "x" * 100_000, "https://[/x", "https://[::1/x"),
        *(
            "https://cdn.еxample/x",
            "https://cdn.example/\x00x",
            "https://cdn.example/\x7fx",
            "https://cdn.example/\u202ex",
        ),
    ],
    ids=lambda url: ascii(url[:36]),
)
async def test_p77_an_odd_link_is_not_opened(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, picture, cdn_example=[PUBLIC]) as sent:
        assert await refused(url) == "unsafe_url"
    assert sent == []


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("http://127.0.0.1:8000/files/x.png", True),
        ("http://127.0.0.1:8001/files/x.png", False),
        ("http://localhost:8000/files/x.png", False),
        ("http://user@127.0.0.1:8000/x.png", False),
        ("http://127.0.0.1:8000@10.0.0.1/x.png", False),
        ("https://127.0.0.1:8000/files/x.png", False),
    ],
)
async def test_plain_http_goes_only_to_the_very_host_of_a_loopback_api_base(
    url: str, opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with network(monkeypatch, picture) as sent:
        if opened:
            assert await fetcher("http://127.0.0.1:8000/v1").fetch(url) == b"picture"
        else:
            assert await refused(url, api_base="http://127.0.0.1:8000/v1") == "unsafe_url"
    assert len(sent) == opened


async def test_an_http_api_base_elsewhere_opens_no_http_links(monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, picture) as sent:
        assert await refused(f"http://{PUBLIC}/x.png", api_base=f"http://{PUBLIC}/v1") == "unsafe_url"
    assert sent == []


def leading(*locations: str) -> Answering:
    """Answer with redirects to these places, one after the other, and then with the picture."""
    waiting = list(locations)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": waiting.pop(0)}) if waiting else picture(request)

    return answer


async def test_p74_some_redirects_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = leading("https://two.example/b", "/c", "d?x=1")
    with network(monkeypatch, steps, one_example=[PUBLIC], two_example=["8.8.8.8"]) as sent:
        assert await fetcher().fetch("https://one.example/a") == b"picture"
    assert [str(request.url.path) for request in sent] == ["/a", "/b", "/c", "/d"]


@pytest.mark.parametrize(
    "location",
    [
        *("http://one.example/x", "https://10.0.0.1/x", "https://localhost/x", "file:///etc/passwd", "https://["),
        *("https://user:pass@one.example/", "https://169.254.169.254/latest", "//[::1]/x", "https://one.example:22/"),
    ],
)
async def test_p74_each_hop_is_judged_anew(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, leading(location), one_example=[PUBLIC], localhost=["127.0.0.1"]) as sent:
        assert await refused("https://one.example/a") == "unsafe_url"
    assert len(sent) == 1


async def test_p74_a_circle_of_redirects_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for headers in ({"location": "/a"}, {}):
        with network(monkeypatch, lambda _, h=headers: httpx.Response(302, headers=h), one_example=[PUBLIC]) as sent:  # type: ignore[misc]
            assert await refused("https://one.example/a") == "unsafe_url"
        assert len(sent) == MAX_HOPS + 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "result_expired"),
        (404, "result_expired"),
        (410, "result_expired"),
        (500, "provider_down"),
        (204, "provider_down"),
    ],
)
async def test_p72_a_picture_that_is_not_there(status: int, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, lambda _: httpx.Response(status), one_example=[PUBLIC]):
        assert await refused("https://one.example/a") == code


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip", "GZIP"])
async def test_p54_an_encoded_body_is_refused_before_it_is_decoded(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": encoding}, stream=httpx.ByteStream(b"bomb"))

    with network(monkeypatch, answer, one_example=[PUBLIC]):
        assert await refused("https://one.example/a") == "answer_too_large"


async def test_p53_a_body_without_end_is_read_up_to_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            nonlocal read
            while True:
                read += 2**20
                yield bytes(2**20)

    with network(monkeypatch, lambda _: httpx.Response(200, stream=Endless()), one_example=[PUBLIC]):
        assert await refused("https://one.example/a") == "answer_too_large"
    assert read <= 40 * 2**20


async def test_a_public_address_is_answered_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with network(monkeypatch, picture, cdn_example=[PUBLIC, "8.8.8.8"]):
        assert await public_address("cdn.example") == PUBLIC


@pytest.mark.parametrize(
    ("host", "is_ours"), [("localhost", True), ("127.0.0.1", True), ("::1", True), ("127.1", False), ("x.y", False)]
)
def test_loopback_is_told_by_name_or_number(host: str, is_ours: bool) -> None:
    assert is_loopback(host) == is_ours
