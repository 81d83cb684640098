"""Extra ports fail before any call can be read (P02, P03, P04, P07), and one port speaks TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from simulator.pictures.corpus import specimen
from simulator.providers.calls import CHAT, KEY, chat, converse, encode
from simulator.server.server import Simulator

from tests.support.network.certificates import Certificates


@pytest.fixture
async def secure_sim(certificates: Certificates) -> AsyncIterator[Simulator]:
    """A simulator with a port that speaks TLS."""
    async with Simulator(seconds=0, tls=certificates.good("localhost", "127.0.0.1")) as simulator:
        yield simulator


@pytest.fixture
async def secure_client(secure_sim: Simulator, certificates: Certificates) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that port, which trusts it."""
    tls = certificates.client()
    async with httpx.AsyncClient(base_url=secure_sim.tls_url, headers=KEY, trust_env=False, verify=tls) as http:
        yield http


async def test_refused() -> None:
    async with Simulator() as sim:
        port = await sim.port_of("refused")

        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        assert await sim.port_of("refused") == port


async def test_never_accepts() -> None:
    async with Simulator() as sim:
        port = await sim.port_of("never_accepts")

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 0.1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accept_and_close", [(b"", "fin"), (b"", "rst")]),  # which one is a race with what we send
        ("accept_and_reset", [(b"", "rst")]),
        ("never_handshakes", [(b"", "silence")]),
        ("tls_alert", [(b"\x15\x03\x03\x00\x02\x02\x28", "fin")]),
        ("banner", [(b"SSH-2.0-OpenSSH_9.6\r\n", "fin"), (b"SSH-2.0-OpenSSH_9.6\r\n", "rst")]),
    ],
)
async def test_fault_comes_before_the_call(name: str, expected: list[tuple[bytes, str]]) -> None:
    async with Simulator() as sim:
        port = await sim.port_of(name)

        assert await converse(port, encode(CHAT, chat()), seconds=0.15) in expected
        assert sim.ledger == []


@pytest.mark.parametrize("name", ["tls_alert", "plain_http"])
async def test_no_handshake_succeeds(name: str) -> None:
    async with Simulator() as sim:
        port = await sim.port_of(name)

        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", port, ssl=ssl.create_default_context())


async def test_ports_over_http() -> None:
    async with Simulator() as sim, httpx.AsyncClient(base_url=sim.url, trust_env=False) as client:
        opened = (await client.post("/__sim/port", json={"name": "banner"})).json()

        assert opened == {"port": await sim.port_of("banner")}
        assert (await client.post("/__sim/port", json={"name": "nope"})).status_code == 400


async def test_same_routes_over_tls(secure_sim: Simulator, secure_client: httpx.AsyncClient) -> None:
    secure_sim.script([{"kind": "P71", "specimen": "good_png"}, {"kind": "P71", "scheme": "http"}])
    secure, plain = [
        (await secure_client.post(CHAT, json=chat())).json()["choices"][0]["message"]["images"][0]["image_url"]["url"]
        for _ in range(2)
    ]

    assert secure.startswith(f"https://127.0.0.1:{secure_sim.tls_port}/files/")
    assert plain.startswith(secure_sim.url)
    assert (await secure_client.get(secure)).content == specimen("good_png")


async def test_downgrade_from_https(secure_sim: Simulator, secure_client: httpx.AsyncClient) -> None:
    secure_sim.script([{"kind": "P74", "variant": "downgrade", "specimen": "good_png"}])
    answer = (await secure_client.post(CHAT, json=chat())).json()
    link = answer["choices"][0]["message"]["images"][0]["image_url"]["url"]

    location = (await secure_client.get(link)).headers["location"]

    assert (link[:8], location[: len(secure_sim.url)]) == ("https://", secure_sim.url)
    assert (await secure_client.get(location)).content == specimen("good_png")


async def test_faults_over_tls(secure_sim: Simulator, secure_client: httpx.AsyncClient) -> None:
    secure_sim.script("P15, P16, P04.rst")
    for _ in range(3):
        with pytest.raises(httpx.TransportError):
            await secure_client.post(CHAT, json=chat())
    assert (await secure_client.post(CHAT, json=chat())).status_code == 200
    assert secure_sim.errors == []


async def test_strangers_do_not_trust_the_certificate(secure_sim: Simulator) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await client.get(secure_sim.tls_url)
