"""The marker file of a media directory: it tells a gateway whether its directory is the one that workers write to."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from contract.artifacts.sidecar import temporary_name

MARKER = ".darkroom-disk"  # in the media directory
MAX_MARKER = 64  # bytes that are read of one


def read_marker(media: Path) -> str:
    """Read the marker of a media directory, "" if it has none; blocking."""
    try:
        with (media / MARKER).open("rb") as file:
            return file.read(MAX_MARKER).decode("ascii", "replace").strip()
    except OSError:
        return ""


def make_marker(media: Path) -> str:
    """Read the marker of a media directory, made if it has none, "" if that cannot be; blocking.

    It gets its name when it is whole, so of two workers one wins.
    """
    if marker := read_marker(media):
        return marker
    temporary = media / temporary_name(MARKER)
    try:
        with temporary.open("x") as file:
            file.write(secrets.token_hex(16) + "\n")
            file.flush()
            os.fsync(file.fileno())
        (media / MARKER).hardlink_to(temporary)
    except OSError:  # somebody else was first, or there is no room
        pass
    finally:
        temporary.unlink(missing_ok=True)
    return read_marker(media)
