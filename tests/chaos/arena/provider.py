"""`python -m tests.chaos.arena.provider seed port`: the simulator on a bad day, which is the same for the same seed.

Latency is log-normal (median 0.3 s, p99 3 s), and 30 of 100 calls go wrong in a way that another try mends.
"""

from __future__ import annotations

import asyncio
import json
import math
import signal
import sys
from collections import Counter
from random import Random

from simulator.catalogue.script import Step
from simulator.providers.order import Order
from simulator.server.server import Simulator

MEDIAN_S, P99_S, LONGEST_S = 0.3, 3.0, 5.0
FAULTS = 0.30
SIDE = 96  # pixels of the pictures: drawing larger ones would take the processor from the storm

# Each with its share; all of them are what one more call, or a lower rung, gets over.
MIX: tuple[tuple[int, Step], ...] = (
    (18, Step("status", {"status": 500, "failure": "server"}, "500")),
    (12, Step("status", {"status": 502}, "502")),
    (14, Step("status", {"status": 503, "failure": "overloaded"}, "503")),
    (1, Step("status", {"status": 429, "failure": "rate_limit", "headers": {"Retry-After": "1"}}, "429")),
    (9, Step("reset", {}, "reset")),
    (9, Step("close", {}, "close")),
    (6, Step("bad_json", {"side": SIDE}, "half")),
    (6, Step("truncated_image", {"side": SIDE}, "truncated")),
    (6, Step("no_image", {}, "no_image")),
    (3, Step("hang", {}, "hang")),
    (6, Step("error_in_200", {}, "error_in_200")),
)


class Mix:
    """Chooses what happens to each call by seed, prompt, and how often the prompt was seen."""

    def __init__(self, seed: int, *, faults: float) -> None:
        self._seed = seed
        self._faults = faults
        self._seen: Counter[str] = Counter()

    def choose(self, order: Order) -> Step:
        """Choose a fault or a good picture after a while."""
        self._seen[order.prompt] += 1
        dice = Random(f"{self._seed} {order.prompt} {self._seen[order.prompt]}")
        seconds = min(LONGEST_S, dice.lognormvariate(math.log(MEDIAN_S), math.log(P99_S / MEDIAN_S) / 2.326))
        if dice.random() >= self._faults:
            return Step("ok", {"seconds": seconds, "side": SIDE}, "ok")
        step = dice.choices([step for _, step in MIX], [share for share, _ in MIX])[0]
        return Step(step.kind, {"seconds": seconds, **step.options}, step.name)


async def main(seed: int, port: int, faults: float) -> None:
    """Serve until SIGTERM; say where in one JSON line."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Simulator(port=port) as simulator:
        simulator.improvise(Mix(seed, faults=faults).choose)
        print(json.dumps({"url": simulator.url}), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else FAULTS))
