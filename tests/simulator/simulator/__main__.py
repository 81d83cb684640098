"""Starts the simulator as a process and says where it listens, in one JSON line."""

import argparse
import asyncio
import json
import signal
import ssl

from simulator.server.server import Simulator, is_loopback


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a picture takes")
    parser.add_argument("--certificate", help="a PEM file with chain and key; opens a second port with TLS")
    wishes = parser.parse_args()
    if not is_loopback(wishes.host):
        parser.error(f"{wishes.host} is not a loopback address")
    tls = _load(wishes.certificate) if wishes.certificate else None
    asyncio.run(_serve(Simulator(host=wishes.host, port=wishes.port, seconds=wishes.seconds, tls=tls)))


def _load(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def _serve(simulator: Simulator) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with simulator:
        print(json.dumps({"port": simulator.port, "url": simulator.url, "tls_url": simulator.tls_url}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
