"""Links: only those to the public Internet are good, however they and their hosts are spelt."""

import ipaddress
import socket
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.untrusted.ssrf import (
    MAX_CHARS,
    Unresolvable,
    UnsafeUrl,
    address_of,
    bracketed,
    check_link,
    follow,
    host_of,
    is_loopback,
    is_public,
    split,
)
from tests.support.network.fake_network import Network
from tests.support.network.private_addresses import NOT_PUBLIC

PUBLIC = "93.184.215.14"


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_p75_an_address_that_is_not_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", PUBLIC, "100.63.255.255", "100.128.0.0", "168.63.129.17", "172.15.0.1", "172.32.0.1"),
        *("192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700:4700::1111", "2001:200::1"),
        *("2001:4860:4860::8888", "2a00:1450:4001::200e", "2003::1", "3ffe::1"),
    ],
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses())
def test_p75_nothing_is_public_that_any_python_thinks_is_not(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_private or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))


@given(
    st.ip_addresses(v=6, network="64:ff9b::/96")
    | st.ip_addresses(v=6, network="2002::/16")
    | st.ip_addresses(v=6, network="2001::/32")
    | st.ip_addresses(v=6, network="::ffff:0:0/96")
)
def test_p75_no_address_that_carries_another_one_is_public(address: object) -> None:
    assert not is_public(str(address))


@pytest.mark.parametrize(
    ("host", "is_ours"), [("localhost", True), ("127.0.0.1", True), ("::1", True), ("127.1", False), ("x.y", False)]
)
def test_loopback_is_told_by_name_or_number(host: str, is_ours: bool) -> None:
    assert is_loopback(host) == is_ours


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://cdn.example/x.png",
            "https://cdn.example",
            "https://CDN.Example:443/x",
            "https://cdn.example:8443/x",
        ),
        *("https://my_bucket.s3.eu-west-1.example/x?X-Sig=a%2Fb&y=1#part", "https://xn--bcher-kva.example/x"),
        *(f"https://{PUBLIC}/x", "https://[2606:4700:4700::1111]:8443/x", "https://a.xn--p1ai/", "https://1.2.3.co/x"),
        *("https://cdn.example/ü and a space", f"https://{'a' * 63}.example/x"),
    ],
)
def test_a_usual_link_is_well_spelt(url: str) -> None:
    assert check_link(split(url))


@pytest.mark.parametrize(
    "host",
    [
        *("0x7f.1", "2130706433", "0177.1", "127.1", "0", "0x7f000001", "017700000001", "0x7f.0.0.0x1", "127.0.0.0x1"),
        *("0177.0.0.01", "00.0.0.0", "1.2.3.4.5", "256.1.1.1", "127.0.0.1.", "127.0.0.01", "①②⑦.0.0.1", "127。0。0。1"),
        *("localhost", "localhost.", "LOCALHOST", "redis", "intranet", "cdn.example.", "cdn..example", ".cdn.example"),
        *("-a.example", "a-.example", "cdn.еxample", "cdn.exa\u00admple", "cdn.example\u3002com", "%31%32%37.0.0.1"),
        *("cdn.example%00.x", "cdn example.com", "a" * 64 + ".example", "a." * 127 + "example", "cdn.e"),
        *("[fe80::1%25eth0]", "[fe80::1%eth0]", "[v1.x]", "[127.0.0.1]", "[::1", "::1", "[2606:4700::1]x", "*.example"),
        *("cdn.example,10.0.0.1", "cdn.example;10.0.0.1", "cdn.example&x", "cdn.example'", "", ":443", "[]"),
    ],
    ids=ascii,
)
def test_p75_p77_a_host_that_is_no_plain_name_or_address_is_unsafe(host: str) -> None:
    with pytest.raises(UnsafeUrl):
        check_link(split(f"https://{host}/x.png"))


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://cdn.example/x", "gopher://cdn.example/x", "javascript:alert(1)", "data:,x", ""),
        *(
            "data:image/png;base64," + "A" * 10_000_000,
            "//cdn.example/x",
            "http://cdn.example/x.png",
            "ws://cdn.example/",
        ),
        *("http:\\\\cdn.example\\x", "https:\\\\cdn.example", "https:/cdn.example", "https:cdn.example", "https:///x"),
        *("https://cdn.example\\@10.0.0.1/", "https://cdn.example/\\x", "https://cdn.example/?\\", "blob:https://x.y/"),
        *("https://user:pass@cdn.example/x", "https://user@cdn.example/x", "https://:pass@cdn.example/x"),
        *("https://@cdn.example/x", "https://cdn.example@10.0.0.1/", "https://cdn.example:443@10.0.0.1:443/"),
        *(f"https://cdn.example:{port}/x" for port in (0, 1, 22, 25, 80, 444, 6379, 8080, 65535, 65536, 99999)),
        *(f"https://cdn.example:{port}/x" for port in ("", "x", "0443", "+443", "-1", "44 3", "443:443", "٤٤٣")),
        *("https://cdn.example/" + "x" * MAX_CHARS, "https://cdn.example/" + "x" * 100_000, "https://[/x"),
        *(f"https://cdn.example/{odd}x" for odd in ("\x00", "\x1f", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff")),
        *("https://cdn.example\t/x", "https://cdn.exa\nmple/x", "ht\ttps://cdn.example/x", " https://cdn.example/x"),
        *("https://cdn.example /x", "\x00https://cdn.example/x", "https://cdn.example/x\r\nHost: 10.0.0.1"),
    ],
    ids=lambda url: ascii(url[:40]),
)
def test_p77_an_odd_link_is_unsafe(url: str) -> None:
    with pytest.raises(UnsafeUrl) as reason:
        check_link(split(url))
    assert "cdn" not in str(reason.value)  # a link is a secret


def test_the_longest_link_is_still_good() -> None:
    start = "https://cdn.example/"
    assert check_link(split(start + "x" * (MAX_CHARS - len(start))))


@given(st.text(alphabet="htps:/@[].%\\#?0127afx-_é。 \t", max_size=30))
def test_p77_any_text_is_judged_and_never_read_as_another_host(tail: str) -> None:
    try:
        host = check_link(split(f"https://{tail}"))
    except UnsafeUrl:
        return
    assert tail.lower().startswith(bracketed(host))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://two.example/b", "https://two.example/b"),
        ("//two.example/b", "https://two.example/b"),
        ("/b", "https://one.example/b"),
        ("b?x=1", "https://one.example/a/b?x=1"),
    ],
)
def test_p74_a_redirect_leads_on(location: str, target: str) -> None:
    assert follow("https://one.example/a/x", location) == target


@pytest.mark.parametrize(
    "location", ["", "http://one.example/x", "ftp://one.example/", "file:///etc", "https://[", "data:,x"]
)
def test_p74_a_redirect_to_nowhere_or_away_from_https_is_unsafe(location: str) -> None:
    with pytest.raises(UnsafeUrl):
        follow("https://one.example/a", location)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://cdn.example:8443/x?sig=secret", "'cdn.example'"),
        ("https://user:secret@cdn.example/", "'cdn.example'"),
        ("https://cdn.еxample/secret", r"'cdn.\u0435xample'"),
        ("data:secret", "None"),
        ("https://[secret", "no host"),
        ("https://" + "x" * 200, "'" + "x" * 99),
    ],
)
def test_the_log_is_told_a_host_and_nothing_else(url: str, shown: str) -> None:
    assert host_of(url) == shown


def resolving(folder: Path, *answers: list[str], seconds: float = 0) -> Network:
    return Network(log=folder / "net.log", names={"cdn.example": answers}, slow={"cdn.example": seconds})


NETWORKS = (ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/64"))


@pytest.mark.parametrize(
    ("url", "addresses", "is_fine"),
    [
        ("http://cdn.example:99/", ["10.1.2.3"], True),
        ("http://cdn.example:99/", ["10.1.2.3", "fd00::7"], True),
        ("https://cdn.example/", [PUBLIC], True),
        ("https://cdn.example/", [PUBLIC, "10.1.2.3"], False),
        ("https://cdn.example/", ["10.2.2.3"], False),
        ("http://cdn.example/", [PUBLIC], False),
        ("https://cdn.example:99/", [PUBLIC], False),
        ("ftp://cdn.example/", ["10.1.2.3"], False),
    ],
)
async def test_a_link_into_an_allowed_network_may_be_less_strict_and_no_other(
    url: str, addresses: list[str], is_fine: bool, tmp_path: Path
) -> None:
    with resolving(tmp_path, addresses).installed():
        if is_fine:
            assert await address_of(split(url), within_s=5, allowed=NETWORKS) == addresses[0]
        else:
            with pytest.raises(UnsafeUrl):
                await address_of(split(url), within_s=5, allowed=NETWORKS)


async def test_a_public_address_is_answered_as_it_is(tmp_path: Path) -> None:
    with resolving(tmp_path, [PUBLIC, "8.8.8.8"]).installed():
        assert await address_of(split("https://cdn.example"), within_s=5) == PUBLIC


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], [PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC, "fe80::1"]]
)
async def test_p76_a_name_with_any_private_address_is_unsafe(addresses: list[str], tmp_path: Path) -> None:
    with resolving(tmp_path, addresses).installed(), pytest.raises(UnsafeUrl):
        await address_of(split("https://cdn.example"), within_s=5)


@pytest.mark.parametrize("failure", ["NXDOMAIN", "SERVFAIL"])
async def test_p01_a_name_that_does_not_resolve_may_do_so_later(failure: str, tmp_path: Path) -> None:
    with (
        resolving(tmp_path, [failure]).installed(),
        pytest.raises(Unresolvable, match="when its name was looked up") as caught,
    ):
        await address_of(split("https://cdn.example"), within_s=5)
    assert "cdn.example" not in str(caught.value)


async def test_p01_a_name_that_resolves_too_slowly_is_not_waited_for(tmp_path: Path) -> None:
    started = time.monotonic()
    with resolving(tmp_path, [PUBLIC], seconds=0.2).installed(), pytest.raises(Unresolvable):
        await address_of(split("https://cdn.example"), within_s=0.05)
    assert time.monotonic() - started < 0.18


async def test_a_resolver_that_answers_nothing_is_unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(UnsafeUrl):
        await address_of(split("https://cdn.example"), within_s=5)
