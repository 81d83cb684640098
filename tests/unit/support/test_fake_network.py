"""The network of the tests: what is in its table and nothing else, in this process and in another one."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.network.fake_network import Network
from tests.support.network.loopback import loopback_server

ROOT = Path(__file__).parents[3]
PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:4700:4700::1111"


def resolve(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]


def test_a_name_has_its_answers_one_after_the_other(tmp_path: Path) -> None:
    net = Network(log=tmp_path / "log", names={"cdn.sim.test": [[PUBLIC, "fd00::1"], ["10.0.0.1"]]})
    with net.installed():
        answers = [resolve("cdn.sim.test") for _ in range(3)]
    assert answers == [[PUBLIC, "fd00::1"], ["10.0.0.1"], ["10.0.0.1"]]
    assert net.resolved() == ["cdn.sim.test"] * 3


@pytest.mark.parametrize(
    ("name", "code"),
    [("gone.test", socket.EAI_NONAME), ("ill.test", socket.EAI_AGAIN), ("example.org", socket.EAI_NONAME)],
)
def test_a_name_may_fail(name: str, code: int, tmp_path: Path) -> None:
    names = {"gone.test": [["NXDOMAIN"]], "ill.test": [["SERVFAIL"]]}
    with Network(log=tmp_path / "log", names=names).installed(), pytest.raises(socket.gaierror) as failure:
        resolve(name)
    assert failure.value.errno == code


def test_numbers_and_localhost_are_no_names(tmp_path: Path) -> None:
    net = Network(log=tmp_path / "log")
    with net.installed():
        assert [resolve(host) for host in ("0x7f.1", "2130706433")] == [["127.0.0.1"]] * 2
        assert "127.0.0.1" in resolve("localhost")
    assert net.resolved() == []


def test_a_name_has_no_address_of_another_family(tmp_path: Path) -> None:
    with Network(log=tmp_path / "log", names={"a.test": [[PUBLIC]]}).installed():
        assert socket.getaddrinfo(b"a.test", 443, socket.AF_INET)
        with pytest.raises(socket.gaierror):
            socket.getaddrinfo("a.test", 443, socket.AF_INET6)


def test_a_name_may_be_slow(tmp_path: Path) -> None:
    started = time.monotonic()
    with Network(log=tmp_path / "log", names={"a.test": [[PUBLIC]]}, slow={"a.test": 0.1}).installed():
        assert resolve("a.test") == [PUBLIC]
    assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_6])
async def test_connections_are_led_to_loopback_ports(address: str, tmp_path: Path) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()

    async with loopback_server(serve) as port:
        target = f"[{address}]:443" if ":" in address else f"{address}:443"
        net = Network(log=tmp_path / "log", names={"a.test": [[address]]}, routes={target: port})
        with net.installed():
            for host, way in (("a.test", 443), (address, 443), ("127.0.0.1", port)):
                reader, writer = await asyncio.open_connection(host, way)
                assert await reader.read() == b"here"
                writer.close()
    assert net.connected() == [target, target]
    assert net.attempted(port)


async def test_any_other_address_refuses_connections(tmp_path: Path) -> None:
    net = Network(log=tmp_path / "log", routes={f"{PUBLIC}:443": 1})
    with net.installed():
        for host, port in ((PUBLIC, 80), ("8.8.8.8", 443), ("169.254.169.254", 80)):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(host, port)
            with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
                sock.connect_ex((host, port))
    assert net.connected() == [f"{PUBLIC}:80"] * 2 + ["8.8.8.8:443"] * 2 + ["169.254.169.254:80"] * 2


def test_afterwards_everything_is_as_before(tmp_path: Path) -> None:
    before = (socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex)
    with Network(log=tmp_path / "log").installed():
        assert (socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex) != before
    assert (socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex) == before


@pytest.mark.parametrize("as_file", [False, True])
def test_a_module_runs_inside_as_main_with_its_arguments(as_file: bool, tmp_path: Path) -> None:
    net = Network(log=tmp_path / "log", names={"cdn.sim.test": [[PUBLIC]]}, slow={"x": 1}, routes={"1.1.1.1:1": 2})
    assert Network.read(net.table()) == net
    (tmp_path / "inmate.py").write_text(
        "import socket, sys\nprint(__name__, sys.argv[1:], socket.getaddrinfo('cdn.sim.test', 1)[0][4][0])\n"
    )
    table = tmp_path / "table.json"
    table.write_text(net.table())
    command = [
        sys.executable,
        "-m",
        "tests.support.network.fake_network",
        str(table) if as_file else net.table(),
        "--",
        "inmate",
        "a",
        "--b",
    ]
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    said = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True)
    assert said.stdout == f"__main__ ['a', '--b'] {PUBLIC}\n"
    assert net.resolved() == ["cdn.sim.test"]
