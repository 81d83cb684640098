"""The configuration of a demonstration: every provider is the simulator."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from contract.provider_specs import SPECS

# Several jobs that shall fail at once do so within seconds, and what follows does not wait for them.
KNOBS = "DARKROOM_RETRY_SECONDS=0.2\nDARKROOM_CALLS_PER_IMAGE=4\nDARKROOM_BREAKER_SECONDS=0.5\n"


def write_demo_config(folder: Path, port: int) -> Path:
    """Write a configuration whose providers are the simulator on a loopback port."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    base = f"http://127.0.0.1:{port}"
    config = folder / "config.json"
    config.write_text(
        json.dumps(
            {
                "agents": {"defaults": {"workspace": str(folder / "workspace")}},
                "providers": {
                    spec.name: {"apiKey": "demo-key", "apiBase": base + urlsplit(spec.api_base).path}
                    for spec in SPECS.values()
                },
                "tools": {"imageGeneration": {"enabled": True}},
            },
            indent=2,
        )
    )
    (folder / "darkroom.env").write_text(KNOBS)
    return config
