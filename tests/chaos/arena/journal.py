"""The clients' journal: what was answered to whom, one JSON line each; it outlives the gateway's kills."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["acknowledged", "unknown", "cancelled", "too_late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer; `seconds` is how long it took, `at` the wall clock."""

    key: str
    kind: Kind
    job_id: str = ""
    seconds: float
    at: float


class Journal:
    """Appends entries, each whole: the kernel has it before the next one is written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, key: str, kind: Kind, *, seconds: float, job_id: str = "") -> None:
        """Append one answer."""
        entry = Entry(key=key, kind=kind, job_id=job_id, seconds=round(seconds, 4), at=time.time())
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(asdict(entry)) + "\n").encode())
        finally:
            os.close(descriptor)

    def entries(self) -> list[Entry]:
        """Read all entries so far."""
        if not self._path.exists():
            return []
        return [Entry(**json.loads(line)) for line in self._path.read_text().splitlines()]
