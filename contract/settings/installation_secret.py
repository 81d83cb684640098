"""The installation's own secret, and the keys that are derived from it, one for each purpose.

It is the operator's DARKROOM_SECRET, or 32 random bytes in `secret.key`, which the first process
that needs them makes. The file gets its name when it is whole, so of two makers one wins and no process reads half a
secret.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from functools import cached_property
from pathlib import Path

from pydantic import SecretStr

from contract.artifacts.atomic_file import write_once
from contract.errors.exceptions import ConfigInvalid, Problem
from contract.settings.loader import Settings

FILE = "secret.key"
SIZE = 32  # bytes


class InstallationSecret:
    """What only this installation knows; gateway and workers have the same one."""

    def __init__(self, home: Path, given: SecretStr | None) -> None:
        self._file = home / FILE
        self._given = given

    @classmethod
    def of(cls, settings: Settings) -> InstallationSecret:
        """Find the secret that an installation is configured with."""
        return cls(settings.home, settings.env.secret)

    def key(self, purpose: str) -> bytes:
        """Derive the key for a purpose, 32 bytes. Raises ConfigInvalid: the file is not fit to be trusted."""
        return hmac.new(self._root, purpose.encode(), hashlib.sha256).digest()

    def exists(self) -> bool:
        """Tell whether there is a secret already; blocking."""
        return self._given is not None or self._file.exists()

    @cached_property
    def _root(self) -> bytes:
        if self._given is not None:
            return self._given.get_secret_value().encode()
        try:
            return self._read()
        except FileNotFoundError:
            pass
        except OSError as error:  # ELOOP too: a link
            raise _unfit("cannot be read, or is a link") from error
        try:
            self._make()
            return self._read()
        except OSError as error:
            raise _unfit("cannot be made") from error

    def _read(self) -> bytes:
        descriptor = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
                raise _unfit("must be a file that only its owner may read and write: chmod 600")
            root = file.read(SIZE + 1)
        if len(root) != SIZE:
            raise _unfit(f"must have {SIZE} bytes")
        return root

    def _make(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(self._file, secrets.token_bytes(SIZE))  # of two makers one wins


def _unfit(problem: str) -> ConfigInvalid:
    return ConfigInvalid([Problem(f"darkroom/{FILE}", problem)])
