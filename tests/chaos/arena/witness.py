"""Looks at the artifacts twenty times a second, as nanobot might at any moment: whatever is visible must be whole."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 0.05


@dataclass(slots=True, kw_only=True)
class Witness:
    """Checks each pair when its sidecar is first seen; what was not whole is in `torn`."""

    media: Path
    looks: int = 0
    seen: set[str] = field(default_factory=set)
    torn: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Check the sidecars that are new."""
        self.looks += 1
        for folder, _, names in os.walk(self.media):
            for name in names:
                if name not in self.seen and name.startswith("img_") and name.endswith(".json"):
                    self.seen.add(name)
                    if fault := fault_of(Path(folder) / name):
                        self.torn.append(f"{name}: {fault}")


def fault_of(sidecar: Path) -> str:
    """Say what is wrong with a pair: "" is nothing. A pair that was taken back meanwhile is none."""
    try:
        record = json.loads(sidecar.read_bytes())
        data = Path(record["path"]).read_bytes()
    except FileNotFoundError:
        return "its image is missing" if sidecar.exists() else ""
    except (ValueError, KeyError) as error:
        return f"unreadable, {error!r}"
    if len(data) != record["bytes"] or hashlib.sha256(data).hexdigest() != record["sha256"]:
        return "its image is another one"
    with suppress(OSError):
        if sidecar.stat().st_mode & 0o077 or Path(record["path"]).stat().st_mode & 0o077:
            return "others may read it"
    return ""
