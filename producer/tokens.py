"""Access tokens of the HTTP gateway: bearer tokens in a file that only its owner can read.

The file keeps digests: a token's text is told once, when it is made. It is replaced as a whole under a lock, and a
running gateway reads it again when it has changed.
"""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError, field_serializer, model_validator

from contract.artifacts.atomic_file import write_whole
from contract.errors.exceptions import ConfigInvalid, Problem, Refused
from contract.frozen_model import FrozenModel
from producer.error_catalogue import TOKEN_EXISTS, TOKEN_NAME_INVALID, TOKEN_NOT_FOUND

PREFIX = "dk_"
MAX_TEXT = 200  # characters of what may be a token
LOOK_S = 1.0  # a change of the file is seen after so long
FIRST = "first-run"

_NAME = re.compile(r"[A-Za-z0-9._@:+-]{1,64}")  # no "/", which parts a service from its end user

Name = Annotated[str, Field(pattern=f"^{_NAME.pattern}$")]
Signature = tuple[int, ...] | None


class Right(StrEnum):
    """What a token allows."""

    READ = "read"  # read one's own jobs and images
    SUBMIT = "submit"  # make, cancel, retry, delete, upload
    PATHS = "paths"  # see and name paths of this host
    USERS = "users"  # name the end user: a service


DEFAULT_RIGHTS = frozenset({Right.READ, Right.SUBMIT})


class Token(FrozenModel):
    """What is kept of a token; its jobs belong to its `user`.

    What a newer version has added stays in the file when this one writes it; a right that is not known allows nothing.
    """

    model_config = ConfigDict(extra="allow")

    name: Name
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", repr=False)]
    user: Name
    rights: frozenset[Right | str]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None

    @field_serializer("rights")
    def _in_order(self, rights: frozenset[Right | str]) -> list[str]:
        return sorted(rights)

    @property
    def is_expired(self) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


class _File(FrozenModel):
    model_config = ConfigDict(extra="allow")

    tokens: tuple[Token, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> _File:
        if len({token.name for token in self.tokens}) < len(self.tokens):
            raise ValueError("names must differ")
        return self


class Tokens:
    """The tokens of one file, which need not exist. Everything but `exists` may raise ConfigInvalid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[Token, ...] = ()
        self._seen: Signature = None
        self._rest: dict[str, Any] = {}  # of the file: what a newer version has added
        self._look_at = 0.0

    def exists(self) -> bool:
        """Tell whether there is a file, be it without tokens."""
        return self._path.exists()

    def create(
        self,
        name: str,
        user: str | None = None,
        rights: Iterable[Right] = DEFAULT_RIGHTS,
        expires_in_s: float | None = None,
    ) -> str:
        """Make a token for a user, by default one of its own name; answer its text, which is not kept.

        Raises Refused (`token_exists`, `token_name_invalid`).
        """
        user = name if user is None else user
        if not (_NAME.fullmatch(name) and _NAME.fullmatch(user)):
            raise Refused(TOKEN_NAME_INVALID)
        text = PREFIX + secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        token = Token(
            name=name,
            sha256=_digest(text),
            user=user,
            rights=frozenset(rights),
            created_at=now,
            expires_at=None if expires_in_s is None else now + timedelta(seconds=expires_in_s),
        )
        with self._changing():
            tokens, _ = self._read()
            if any(other.name == name for other in tokens):
                raise Refused(TOKEN_EXISTS, name=name)
            self._write((*tokens, token))
        return text

    def revoke(self, name: str) -> None:
        """Take a token away. Raises Refused (`token_not_found`)."""
        with self._changing():
            tokens, _ = self._read()
            kept = tuple(token for token in tokens if token.name != name)
            if len(kept) == len(tokens):
                raise Refused(TOKEN_NOT_FOUND, name=name)
            self._write(kept)

    def list(self) -> tuple[Token, ...]:
        """Read all tokens, oldest first, including expired ones."""
        return self._read()[0]

    def find(self, text: str) -> Token | None:
        """Find the token with this text, unless its time is over; how long that takes says nothing of any token."""
        if len(text) > MAX_TEXT or not text.isascii():
            return None
        digest = _digest(text)
        found = _match(self._current(), digest)
        if found is None and self._signature() != self._seen:  # it may have been made just now
            self._look_at = 0.0
            found = _match(self._current(), digest)
        return None if found is None or found.is_expired else found

    def knows(self, token: Token) -> bool:
        """Tell whether a token that was found is still one; seen a second later at most."""
        return not token.is_expired and token in self._current()

    def refresh(self) -> Signature:
        """Read the file again if it has changed; answer what tells it from another one."""
        self._look_at = 0.0
        self._current()
        return self._seen

    def _current(self) -> tuple[Token, ...]:
        """Know the tokens as they were a second ago at most; `find` looks again for one that it does not know."""
        if time.monotonic() >= self._look_at:
            if self._signature() != self._seen:
                self._known, self._seen = self._read()
            self._look_at = time.monotonic() + LOOK_S
        return self._known

    def _signature(self) -> Signature:
        try:
            return _signed(self._path.stat())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._invalid(f"cannot be read ({error.strerror})") from error

    def _read(self) -> tuple[tuple[Token, ...], Signature]:
        try:
            # A pipe would keep us waiting.
            with open(self._path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise self._invalid("is not a file")
                if status.st_mode & 0o077:
                    raise self._invalid(
                        "others may read or write it: `chmod 600` it, and create new tokens if they did"
                    )
                found = _File.model_validate_json(file.read())
                self._rest = found.model_extra or {}
                return found.tokens, _signed(status)
        except FileNotFoundError:
            return (), None
        except OSError as error:
            raise self._invalid(f"cannot be read ({error.strerror})") from error
        except ValidationError as error:
            where = ".".join(map(str, error.errors(include_input=False)[0]["loc"])) or "it"
            raise self._invalid(f"is not a valid file of tokens: {where} is wrong") from error

    def _write(self, tokens: tuple[Token, ...]) -> None:
        write_whole(self._path, _File(tokens=tokens, **self._rest).model_dump_json(indent=2).encode() + b"\n")
        self._look_at = 0.0

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Lock the file against other writers."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(
                self._path.with_name(f".{self._path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)
        except OSError as error:
            raise self._invalid(f"cannot be written ({error.strerror})") from error

    def _invalid(self, message: str) -> ConfigInvalid:
        return ConfigInvalid([Problem(str(self._path), message)])


def first_token(tokens: Tokens, user: str) -> str | None:
    """Make a token for the owner of this machine, and answer its text, when there is no file of tokens yet.

    There is none for a name that no token can have, such as `cli:DOMAIN\\ann`.
    """
    if tokens.exists() or not _NAME.fullmatch(user):
        return None
    try:
        return tokens.create(FIRST, user, (Right.READ, Right.SUBMIT, Right.PATHS))
    except Refused as error:
        if error.code != TOKEN_EXISTS.code:
            raise
        return None  # another gateway, started at the same time, was faster


def _match(tokens: Iterable[Token], digest: str) -> Token | None:
    found = None
    for token in tokens:
        if hmac.compare_digest(token.sha256, digest):
            found = token
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _signed(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode


def default_owner() -> str:
    """Name the default owner of jobs of the command line."""
    return f"cli:{getpass.getuser()}"
