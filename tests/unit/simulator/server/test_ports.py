"""Extra ports fail before any call can be read (P02, P03, P04, P07), and one port speaks TLS."""

import asyncio
import ssl
import subprocess

import httpx
import pytest
from simulator.pictures.corpus import specimen
from simulator.providers.calls import CHAT, KEY, chat, converse, encode
from simulator.server.server import Simulator

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    """Make a certificate for localhost, and return the server's context and a client's that trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, *names, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=certificate)


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


async def test_same_routes_over_tls(contexts: Contexts) -> None:
    server, trusting = contexts
    async with (
        Simulator(seconds=0, tls=server) as sim,
        httpx.AsyncClient(base_url=sim.tls_url, headers=KEY, trust_env=False, verify=trusting) as client,
    ):
        sim.script([{"kind": "P71", "specimen": "good_png"}, {"kind": "P71", "scheme": "http"}])
        secure, plain = [
            (await client.post(CHAT, json=chat())).json()["choices"][0]["message"]["images"][0]["image_url"]["url"]
            for _ in range(2)
        ]

        assert secure.startswith(f"https://127.0.0.1:{sim.tls_port}/files/")
        assert plain.startswith(sim.url)
        assert (await client.get(secure)).content == specimen("good_png")


async def test_downgrade_from_https(contexts: Contexts) -> None:
    server, trusting = contexts
    async with (
        Simulator(seconds=0, tls=server) as sim,
        httpx.AsyncClient(base_url=sim.tls_url, headers=KEY, trust_env=False, verify=trusting) as client,
    ):
        sim.script([{"kind": "P74", "variant": "downgrade", "specimen": "good_png"}])
        answer = (await client.post(CHAT, json=chat())).json()
        link = answer["choices"][0]["message"]["images"][0]["image_url"]["url"]

        location = (await client.get(link)).headers["location"]

        assert (link[:8], location[: len(sim.url)]) == ("https://", sim.url)
        assert (await client.get(location)).content == specimen("good_png")


async def test_faults_over_tls(contexts: Contexts) -> None:
    server, trusting = contexts
    async with (
        Simulator(seconds=0, tls=server) as sim,
        httpx.AsyncClient(base_url=sim.tls_url, headers=KEY, trust_env=False, verify=trusting) as client,
    ):
        sim.script("P15, P16, P04.rst")
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                await client.post(CHAT, json=chat())
        assert (await client.post(CHAT, json=chat())).status_code == 200
        assert sim.errors == []


async def test_strangers_do_not_trust_the_certificate(contexts: Contexts) -> None:
    async with Simulator(tls=contexts[0]) as sim, httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await client.get(sim.tls_url)
