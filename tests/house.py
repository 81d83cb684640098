"""A whole Darkroom for one test: its own Redis, simulator, worker processes and client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from network import Network
from real_redis import RealRedis
from simulator.server import Simulator

from contract.doorbell import Doorbell
from contract.scripts import open_redis
from contract.settings import Settings, load_settings
from contract.store import JobStore
from producer.client import Darkroom

Process = subprocess.Popen[bytes]


class House:
    """Everything of one Darkroom; workers are started by the test."""

    def __init__(self, folder: Path, redis: RealRedis, simulator: Simulator) -> None:
        self.folder = folder
        self.redis = redis
        self.simulator = simulator
        self.config = folder / "config.json"
        self.environment = {"DARKROOM_REDIS_URL": redis.url, "DARKROOM_RETRY_SECONDS": "0.05"}
        self.workers: list[Process] = []
        self.write_config()

    def write_config(
        self,
        provider: str = "openrouter",
        *,
        providers: Mapping[str, Mapping[str, object]] | None = None,
        **image: object,
    ) -> None:
        """Write config.json with the simulator as both providers; `providers` adds to their sections, or replaces."""
        sections: dict[str, dict[str, object]] = {
            "openrouter": {"apiKey": "canary-key", "apiBase": f"{self.simulator.url}/api/v1"},
            "aihubmix": {"apiKey": "canary-key", "apiBase": f"{self.simulator.url}/v1"},
        }
        for name, section in (providers or {}).items():
            sections[name] |= section
        tools = {"imageGeneration": {"provider": provider, **image}}
        agents = {"defaults": {"workspace": str(self.folder / "workspace")}}
        self.config.write_text(json.dumps({"providers": sections, "tools": tools, "agents": agents}))

    def settings(self) -> Settings:
        """Read the settings as the producer would."""
        return load_settings(self.config).with_redis(self.redis.url)

    def client(self, owner: str = "ann") -> Darkroom:
        """Make a client for an owner."""
        return Darkroom(self.settings(), owner=owner)

    async def start_worker(self, *, network: Network | None = None, **environment: str) -> Process:
        """Start a worker process, in a network of the test if there is one, and wait for its sign of life."""
        command = [sys.executable, "-m", "worker", str(self.config)]
        if network is not None:
            command[2:2] = ["network", network.table(), "--"]
            environment["PYTHONPATH"] = str(Path(__file__).parent)
        log = (self.folder / f"worker-{len(self.workers)}.log").open("wb")
        worker = subprocess.Popen(
            command, env=os.environ | self.environment | environment, stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        self.workers.append(worker)
        async with open_redis(self.redis.url) as client, asyncio.timeout(20):
            store = JobStore(client, Doorbell())
            while not any(name.endswith(f"-{worker.pid}") for name in await store.workers(within_s=60)):
                await asyncio.sleep(0.05)
        return worker

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def logs(self) -> str:
        """Read what the workers logged."""
        return "".join(log.read_text() for log in self.folder.glob("worker-*.log"))
