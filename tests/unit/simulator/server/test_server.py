"""The simulator reads requests from sockets and runs as a process."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest
from simulator.providers.calls import CHAT, KEY, PREDICT, chat, predict
from simulator.server.server import Simulator

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "simulator")}


async def converse(sim: Simulator, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(text)
    answer = await asyncio.wait_for(reader.read(), 3)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /__sim/health HTTP/1.0\r\n\r\n", b"200"),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", b"100"),
    ],
)
async def test_framing(sim: Simulator, text: bytes, status: bytes) -> None:
    assert (await converse(sim, text)).split(b" ")[1] == status


async def test_pipelined_request_is_kept_while_a_call_runs(sim: Simulator) -> None:
    body = json.dumps(chat()).encode()
    call = b"POST %b HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%b"
    health = b"GET /__sim/health HTTP/1.1\r\nConnection: close\r\n\r\n"

    answer = await converse(sim, call % (CHAT.encode(), len(body), body) + health)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert not sim.ledger[0].aborted_by_client


async def test_closing_drops_calls_under_way() -> None:
    async with Simulator(seconds=60) as sim, httpx.AsyncClient(trust_env=False) as http:
        call = asyncio.create_task(http.post(sim.url + CHAT, json=chat(), headers=KEY))
        sim.script([{"kind": "ok", "variant": "polling"}], match="polled")
        await http.post(sim.url + PREDICT, json=predict("polled"), headers=KEY)
        await sim.close()
        with pytest.raises(httpx.TransportError):
            await call


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.com"])
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_says_where_it_listens_and_ends_cleanly(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator", "--port", "0", stdout=asyncio.subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 5))
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(ready["url"] + "/__sim/health")).status_code == 200

    process.send_signal(number)

    rest = await process.stdout.read()
    assert (await process.wait(), rest, ready["url"]) == (0, b"", f"http://127.0.0.1:{ready['port']}")


async def test_process_refuses_other_hosts() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--host",
        "0.0.0.0",
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )
    _, complaint = await process.communicate()

    assert process.returncode == 2
    assert b"not a loopback address" in complaint
