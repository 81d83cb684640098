"""Starts the simulator as a process and says where it listens, in one JSON line."""

import argparse
import asyncio
import json
import signal

from simulator.server import Simulator, is_loopback


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a picture takes")
    wishes = parser.parse_args()
    if not is_loopback(wishes.host):
        parser.error(f"{wishes.host} is not a loopback address")
    asyncio.run(_serve(host=wishes.host, port=wishes.port, seconds=wishes.seconds))


async def _serve(*, host: str, port: int, seconds: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Simulator(host=host, port=port, seconds=seconds) as simulator:
        print(json.dumps({"port": simulator.port, "url": simulator.url}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()
