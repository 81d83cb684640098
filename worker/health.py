"""The health check of a worker's container: exit 0 if its own worker gave a sign of life lately."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from contract.errors.exceptions import Unavailable
from contract.redis.client import open_redis
from contract.store.job_reader import JobReader

SIGN_OF_LIFE_S = 5  # it gives one every second


async def is_alive() -> bool:
    """Look whether a worker of this host is in the list of living workers. Raises Unavailable."""
    async with open_redis(os.environ["DARKROOM_REDIS_URL"]) as client:
        workers = await JobReader(client).workers(within_s=SIGN_OF_LIFE_S)
    return any(name.startswith(f"{socket.gethostname()}-") for name in workers)


if __name__ == "__main__":
    try:
        sys.exit(0 if asyncio.run(is_alive()) else "no sign of life from this worker")
    except Unavailable:
        sys.exit("Redis does not answer")
