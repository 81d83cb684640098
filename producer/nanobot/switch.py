"""Whether images of a nanobot go over the queue: what decides it, and the line in nanobot's log that says so.

Only what Python itself has is imported: nanobot looks here while it starts, and `darkroom doctor --nanobot` too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from contract.settings.running_stack import Running, find_running

REDIS_URL, PLUGIN = "DARKROOM_REDIS_URL", "DARKROOM_PLUGIN"
_OFF = frozenset({"0", "off", "f", "false", "n", "no"})  # as pydantic reads them
MADE_BY_OWN_TOOL = "nanobot's own tool makes the images"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that was found, and in words how."""

    how: str
    running: Running | None = None


def find_queue(config: Path) -> Queue | None:
    """Find the queue of the nanobot with this config.json: a named one, else that of a running stack."""
    if os.environ.get(REDIS_URL):
        return Queue(f"{REDIS_URL} of the environment")
    if _from_file(config, REDIS_URL):
        return Queue(f"{REDIS_URL} in {config.parent / 'darkroom.env'}")
    running = find_running(config.parent / "darkroom")
    return Queue(f"the stack that runs from {config.parent / 'darkroom'}", running) if running else None


def is_off(config: Path) -> bool:
    """Tell whether the plugin was told to leave nanobot alone."""
    return (os.environ.get(PLUGIN) or _from_file(config, PLUGIN)).lower() in _OFF


def told_off() -> str:
    """Say that the plugin leaves nanobot alone."""
    return f"Darkroom: {PLUGIN} is off, so nanobot's image tool is left as it is."


def told_disabled(config: Path) -> str:
    """Say that there is no image tool."""
    return (
        f"Darkroom: tools.imageGeneration.enabled is false in {config}, so there is no image tool. "
        "Set it to true and restart nanobot to make images over the queue."
    )


def told_queue(queue: Queue | None, config: Path) -> str:
    """Say whether images go over the queue, and what to do if they do not."""
    if queue is not None:
        return f"Darkroom: generate_image goes over the queue, found by {queue.how}."
    return (
        f"Darkroom: no queue was found, so {MADE_BY_OWN_TOOL}: no stack runs from {config.parent / 'darkroom'}, and "
        f"{REDIS_URL} is not set. Start one with `darkroom up`; nanobot need not be restarted for it."
    )


def _from_file(config: Path, name: str) -> str:
    """Read one setting of the darkroom.env beside config.json; empty if it is not there."""
    try:
        text = (config.parent / "darkroom.env").read_text()
    except (OSError, ValueError):
        return ""
    found = re.findall(rf"^\s*(?:export\s+)?{name}\s*=[ \t]*([^\s#]\S*)", text, re.MULTILINE | re.IGNORECASE)
    return found[-1].strip("\"'") if found else ""
