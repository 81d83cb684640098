"""The marker file of a media directory: it tells a gateway whether its directory is the one that workers write to."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from contract.artifacts.atomic_file import write_once

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
    """Read the marker of a media directory, made if it has none, "" if that cannot be; blocking."""
    if marker := read_marker(media):
        return marker
    with suppress(OSError):  # there is no room, or it may not be written to
        write_once(media / MARKER, f"{secrets.token_hex(16)}\n".encode())  # of two workers one wins
    return read_marker(media)
