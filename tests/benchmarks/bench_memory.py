"""Whether one worker with the defaults holds its memory limit of 1 GiB while heavy answers come together.

In a real memory cgroup, so it needs the right to make one. It prints figures and asserts none; the last ones are
in docs/decisions/0077-response-bodies-wait-for-memory.md.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.network.heavy_provider import Kind
from tests.support.process.memory_cgroup import CannotBeMade
from tests.support.stack.crowded_worker import crowd

MIB = 2**20
LIMIT = 1024 * MIB
ROUNDS = (
    ("8 x 4 of 33 MB (4K)", Kind(width=4096, height=4096, noise=128, together=32), 8),
    ("8 x 4 of 33 MB (4K), chunked", Kind(width=4096, height=4096, noise=128, together=32, is_chunked=True), 8),
    ("32 x 4 of 7 MB", Kind(width=2048, height=1280, noise=171, together=128), 32),
    ("32 x 4 of 7 MB, chunked", Kind(width=2048, height=1280, noise=171, together=128, is_chunked=True), 32),
)


async def main(*chosen: str) -> None:
    """Run the rounds, or the chosen ones by their number."""
    for number, (name, kind, jobs) in enumerate(ROUNDS):
        if chosen and str(number) not in chosen:
            continue
        with TemporaryDirectory() as folder:
            print(
                f"{name:<30}",
                (await crowd(Path(folder), kind, jobs=jobs, count=4, most=LIMIT)).told(),
                flush=True,
            )


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except CannotBeMade as reason:
        print(f"not measured: {reason}")
