"""Webhooks: which addresses and secrets are taken, and what is kept of them."""

import base64
import ipaddress
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.errors.exceptions import Refused
from contract.settings.installation_secret import InstallationSecret
from contract.untrusted.ssrf import bracketed
from contract.webhook import Webhook, signing_secret, unseal
from producer.validation.webhook_target import MAX_URL, check_reachable, check_secret, check_url, check_webhook
from tests.support.network.fake_network import Network
from tests.support.network.private_addresses import NOT_PUBLIC

PUBLIC = "93.184.215.14"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("fd00::/64"))
URL = "https://hooks.example/in"
SECRET = InstallationSecret(Path("/nowhere"), SecretStr("canary" * 6))


def whsec(data: bytes) -> str:
    return "whsec_" + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "url",
    [
        *(URL, "https://hooks.example", "https://hooks.example:443/", "https://hooks.example:8443/a?b=c&d=%20#e"),
        *(f"https://{PUBLIC}/in", "https://[2606:4700:4700::1111]/in", "https://xn--bcher-kva.example/in"),
        URL + "?" + "x" * (MAX_URL - len(URL) - 1),
    ],
    ids=lambda url: url[:40],
)
def test_b81_an_address_of_the_internet_is_taken(url: str) -> None:
    check_url(url)


# Into an allowed network a name may lead, also by http and on any port.
ONLY_INSIDE = [
    *("http://hooks.example/in", "HTTP://hooks.example/", "https://redis:8443/", "https://localhost/", "https://a/"),
    *(f"https://hooks.example:{port}/" for port in (0, 22, 80, 6379, 8080, 65535)),
]
NEVER = [
    *("http://93.184.215.14/", "file:///etc/passwd", "ftp://hooks.example/", "https://localhost.:8443/", ""),
    *(
        "https://0x7f.1/",
        "https://2130706433/",
        "https://0177.1/",
        "https://127.1/",
        "https://0/",
        "https://①②⑦.0.0.1/",
    ),
    *(f"https://hooks.example:{port}/" for port in (65536, "x", "", "0443")),
    *(
        "https://ann:pw@hooks.example/",
        "https://ann@hooks.example/",
        "https://@hooks.example/",
        "https://a.b@10.0.0.1/",
    ),
    *("https://bücher.example/in", "https://hooks.еxample/", "https://hooks。example/", "https://hooks.example\u00ad/"),
    *("https://hooks.example\\@10.0.0.1/", "https://hooks.example/\r\nHost: x", "https://hooks.example/\x00"),
    *("https://[fe80::1%25eth0]/", "https://[::1/", "https://", "https:///in", "//hooks.example/in", "hooks.example"),
    *(" " + URL, "data:text/plain,x", "javascript:alert(1)", "gopher://hooks.example/", "unix:///run/redis.sock"),
    *(URL + "?" + "x" * (MAX_URL - len(URL)), URL + "x" * 10_000, URL + "x" * 10_000_000),
    *(f"https://{bracketed(address)}/in" for address in NOT_PUBLIC),
]


@pytest.mark.parametrize("url", ONLY_INSIDE + NEVER, ids=lambda url: ascii(url[:40]))
def test_b81_any_other_address_is_forbidden(url: str) -> None:
    with pytest.raises(Refused) as caught:
        check_url(url)
    assert caught.value.code == "webhook_url_forbidden"
    assert "example" not in caught.value.detail


@pytest.mark.parametrize("url", NEVER, ids=lambda url: ascii(url[:40]))
def test_b81_a_network_that_is_allowed_makes_no_odd_address_good(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, [ipaddress.ip_network("192.168.77.0/24")])


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1:9000/in",
            "https://127.9.9.9/in",
            "http://[fd00::1]:80/",
            "http://localhost:1/",
            "http://bot/",
        ),
        *("http://receiver.internal:3000/in", "https://receiver.internal:3000/in", URL),
    ],
)
def test_into_networks_that_are_allowed_http_and_any_port_are_fine(url: str) -> None:
    check_url(url, LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://10.0.0.1/",
            "https://10.0.0.1/",
            "http://93.184.215.14/",
            "http://[fd00:0:0:1::1]/",
            "ftp://127.0.0.1/",
        ),
        *("http://127.1/", "http://0x7f.0.0.1/", "http://ann@127.0.0.1/", "http://[::ffff:127.0.0.1]/", "http://bot./"),
    ],
)
def test_networks_that_are_allowed_allow_nothing_else(url: str) -> None:
    with pytest.raises(Refused):
        check_url(url, LOOPBACK)


def resolving(folder: Path, *addresses: str) -> Network:
    return Network(log=folder / "net.log", names={"hooks.example": [addresses], "bot": [addresses]})


@pytest.mark.parametrize(
    ("url", "addresses", "allowed", "is_fine"),
    [
        (URL, [PUBLIC], (), True),
        (URL, ["NXDOMAIN"], (), True),
        (URL, ["SERVFAIL"], (), True),
        (URL, ["10.0.0.1"], (), False),
        (URL, ["169.254.169.254"], LOOPBACK, False),
        (URL, [PUBLIC, "10.0.0.1"], (), False),
        (URL, [PUBLIC, "127.0.0.1"], LOOPBACK, False),
        (URL, ["64:ff9b::a9fe:a9fe"], (), False),
        (URL, ["2002:7f00:1::"], (), False),
        (URL, ["127.0.0.1"], LOOPBACK, True),
        ("http://bot:3000/", ["127.0.0.1"], LOOPBACK, True),
        ("http://bot:3000/", [PUBLIC], LOOPBACK, False),
        ("https://bot/", [PUBLIC], LOOPBACK, False),
        ("http://hooks.example/", [PUBLIC], LOOPBACK, False),
        ("http://bot:3000/", ["NXDOMAIN"], LOOPBACK, True),
    ],
)
async def test_b81_a_name_is_judged_by_all_its_addresses(
    url: str, addresses: list[str], allowed: tuple[ipaddress.IPv4Network, ...], is_fine: bool, tmp_path: Path
) -> None:
    check_url(url, allowed)
    with resolving(tmp_path, *addresses).installed():
        if is_fine:
            await check_reachable(url, allowed)
        else:
            with pytest.raises(Refused):
                await check_reachable(url, allowed)


@pytest.mark.parametrize("size", [24, 32, 33, 64])
def test_b83_a_secret_of_some_length_is_taken(size: int) -> None:
    check_secret(whsec(bytes(size)))


@pytest.mark.parametrize(
    "text",
    [
        *("", "whsec_", "canary", whsec(bytes(23)), whsec(bytes(65)), whsec(bytes(32)).removeprefix("whsec_")),
        *(
            whsec(bytes(32)).upper(),
            "WHSEC_" + whsec(bytes(32))[6:],
            whsec(bytes(32)).rstrip("="),
            whsec(bytes(32)) + "=",
        ),
        *("whsec_" + "ü" * 40, "whsec_" + "-_" * 20, whsec(bytes(32)) + "\n", "whsec_ " + whsec(bytes(32))[6:]),
        *("whsec_" + whsec(bytes(32)), "whsec_" + "A" * 41, "whsec_" + "\x00" * 44, "whsec_" + "A" * 10_000_000),
    ],
    ids=lambda text: ascii(text[:40]),
)
def test_b83_any_other_secret_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        check_secret(text)
    assert caught.value.code == "webhook_secret_invalid"


def test_each_owner_has_a_signing_secret_that_is_fit_to_be_one() -> None:
    secrets = [signing_secret(SECRET, owner) for owner in ("ann", "bob", "ann", "", "\ud800")]
    assert len(set(secrets)) == 4
    assert secrets[0] == secrets[2]
    for secret in secrets:
        check_secret(secret)


async def test_what_is_kept_has_the_address_and_no_secret_in_the_clear(tmp_path: Path) -> None:
    with resolving(tmp_path, PUBLIC).installed():
        own = whsec(b"canary" * 5)
        texts = [await check_webhook(URL, secret, secret=SECRET, allowed=()) for secret in (own, None)]
    kept = [Webhook.model_validate_json(text) for text in texts]
    assert [(one.url, one.host) for one in kept] == [(URL, "hooks.example")] * 2
    assert own[6:] not in texts[0]
    assert unseal(kept[0].sealed, SECRET) == own
    assert kept[1].sealed == ""


async def test_without_an_address_nothing_is_kept_and_a_secret_alone_is_refused() -> None:
    assert await check_webhook(None, None, secret=SECRET, allowed=()) == ""
    with pytest.raises(Refused) as caught:
        await check_webhook(None, whsec(bytes(32)), secret=SECRET, allowed=())
    assert caught.value.code == "webhook_url_forbidden"
