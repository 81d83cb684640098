"""What a 4K answer costs a worker: memory, time, and stalls of its event loop; `make bench`.

A 25 MB PNG travels as 33 MB of JSON over loopback HTTP through a real `ProviderClient` and its reader
processes. Memory is what all these processes hold together at their peak, beyond what they hold when idle.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import resource
import ssl
import sys
import threading
import time
from pathlib import Path

from PIL import Image
from pydantic import SecretStr

from contract.settings.nanobot_config import ProviderConfig
from worker.http.provider_client import HttpResources, ProviderClient
from worker.memory.budget import Budget
from worker.providers.openrouter import OPENROUTER
from worker.providers.provider import ImageCall
from worker.sandbox.pool import Sandbox, return_large_blocks

ASK = ImageCall(prompt="x", model="a/b", aspect_ratio="16:9", image_size="4K")
ROUNDS = ((1, 2), (2, 2), (4, 2), (8, 2))  # calls at once, reader processes


def answer() -> bytes:
    """Make an answer with a PNG of 8.3 Mpx of noise, the largest kind there is."""
    picture = io.BytesIO()
    Image.frombytes("RGB", (3840, 2160), os.urandom(3840 * 2160 * 3)).save(picture, "PNG", compress_level=1)
    url = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    return json.dumps({"choices": [{"message": {"images": [{"image_url": {"url": url}}]}}]}).encode()


async def serve(body: bytes) -> None:
    """Answer every request with the same body; print the port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(json.dumps([server.sockets[0].getsockname()[1], len(body)]), flush=True)
    await server.serve_forever()


def together(pids: list[int]) -> float:
    """Add up the resident memory of some processes, in MB."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * resource.getpagesize() / 1e6


def sample(pids: list[int], peak: list[float], done: threading.Event) -> None:
    """Note the most memory that they hold at the same time, looking every millisecond."""
    while not done.wait(0.001):
        peak[0] = max(peak[0], together(pids))


async def stalls(longest: list[float]) -> None:
    """Watch for how long the event loop does not come round, in milliseconds."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest[0] = max(longest[0], 1000 * (time.perf_counter() - before) - 1)


async def measure(port: int, body_mb: float, at_once: int, children: int) -> None:
    """Make some calls at the same time and print what they cost."""
    async with Sandbox(children=children) as sandbox:
        context, budget = ssl.create_default_context(), Budget(2**30)
        wire = HttpResources(ssl_context=context, sandbox=sandbox, budget=budget, connect_s=5, idle_s=30, retry_s=1)
        config = ProviderConfig(api_key=SecretStr("key"), api_base=f"http://127.0.0.1:{port}")
        async with ProviderClient(OPENROUTER, config, wire) as talk:

            async def call() -> None:
                with budget.share() as share:
                    await talk.make(ASK, share=share, begin_s=120, whole_s=180, request_id="bench")

            await asyncio.gather(*(call() for _ in range(children)))  # all are started and warm
            pids = [os.getpid(), *(int(pid) for pid in children_of(os.getpid()))]
            idle = together(pids)
            peak = [idle]
            longest = [0.0]
            watching = asyncio.create_task(stalls(longest))
            sampling = threading.Event()
            sampler = threading.Thread(target=sample, args=(pids, peak, sampling))
            sampler.start()
            started = time.perf_counter()
            await asyncio.gather(*(call() for _ in range(at_once)))
            seconds = time.perf_counter() - started
            watching.cancel()
            sampling.set()
            sampler.join()
            growth = peak[0] - idle
    print(
        f"{at_once} at once: {growth / at_once:6.1f} MB for each = {growth / at_once / body_mb:4.2f} x the body"
        f" of {body_mb:.1f} MB; {seconds:5.2f} s; longest stall of the loop {longest[0]:5.1f} ms"
    )


def children_of(pid: int) -> list[str]:
    """List the reader processes of this one."""
    pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in pids if "worker.sandbox.child" in Path(f"/proc/{child}/cmdline").read_text()]


async def main() -> None:
    """Serve in a process of its own, and measure in this one."""
    return_large_blocks()  # as a worker does
    server = await asyncio.create_subprocess_exec(sys.executable, __file__, "serve", stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    port, length = json.loads(await server.stdout.readline())
    try:
        for at_once, children in ROUNDS:
            await measure(port, length / 1e6, at_once, children)
    finally:
        server.kill()
        await server.wait()


if __name__ == "__main__":
    asyncio.run(serve(answer()) if "serve" in sys.argv else main())
