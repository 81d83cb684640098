"""The log of a part: appended to at each start, and kept within a bound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MAX_BYTES = 10 * 2**20  # of a log; as much is kept of what was before it


def trim(log: Path, *, most: int = MAX_BYTES) -> None:
    """Move what a log holds to `<name>.1` once it is too long.

    The file itself stays, as a running part appends to it.
    """
    try:
        if log.stat().st_size <= most:
            return
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)
    except OSError:  # a full disk: the part goes on, and the next look tries again
        return
