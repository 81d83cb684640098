"""Reference images by their content, and smaller copies of images; blocking, so use a thread."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path

from contract.artifacts.atomic_file import write_whole

ENDINGS = ("png", "jpg")


class ReferenceFolder:
    """A private, content-addressed folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Name the file of a reference image."""
        return self._folder / sha256

    def put(self, data: bytes) -> str:
        """Keep an image under the name of its hash; answer that. Raises OSError."""
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            os.utime(self.path(sha256))  # the cleanup takes away what no job was accepted with for long
        except OSError:  # it does not exist, or belongs to another user
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.path(sha256), data)
        return sha256

    def touch(self, sha256s: Sequence[str]) -> None:
        """Make images as young as new ones. Raises OSError when one is gone."""
        for sha256 in sha256s:
            os.utime(self.path(sha256))


class ThumbnailFolder:
    """The smaller copies of all images."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, artifact: str, side: int) -> bytes | None:
        """Read a copy, be it a PNG or a JPEG. Raises OSError."""
        for ending in ENDINGS:
            with suppress(FileNotFoundError):
                return (self._folder / f"{artifact}-{side}.{ending}").read_bytes()
        return None

    def put(self, artifact: str, side: int, data: bytes) -> None:
        """Keep a copy. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ending = ENDINGS[0] if data.startswith(b"\x89PNG") else ENDINGS[1]
        write_whole(self._folder / f"{artifact}-{side}.{ending}", data)

    def remove(self, artifact: str) -> None:
        """Remove all copies of an image. Raises OSError."""
        for path in self._folder.glob(f"{escape(artifact)}-*"):
            path.unlink(missing_ok=True)
