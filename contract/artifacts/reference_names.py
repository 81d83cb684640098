"""Which file a caller's text names: whatever the file system allows is a name.

A name that is no UTF-8, which JSON cannot carry, is written with escapes: `caf\\xe9.png`. One that is not there as it
is written may be there in other characters that look the same, as macOS and chat models change them.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from contract.jobs.ids import is_artifact_id

MAX_PATH = 4096  # bytes
MAX_NAME = 255  # bytes between two slashes
MOST_ENTRIES = 20_000  # of a folder that are compared

_JOINERS = "\u200c\u200d"  # of emoji and of scripts
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://|data:|file:|[a-z]:[/\\]|\\\\", re.IGNORECASE)
_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def may_be_a_name(text: str) -> bool:
    """Tell what the file system may allow as a path."""
    try:
        path = os.fsencode(text)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    names = path.split(b"/")
    return bool(path) and len(path) <= MAX_PATH and b"\0" not in path and max(map(len, names)) <= MAX_NAME


def is_address(text: str) -> bool:
    """Tell a URL, or a path of another system, where there is no file of that name."""
    return _ADDRESS.match(text) is not None


def written(path: str | Path) -> str:
    """Write a path so that JSON can carry it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def shown(path: str) -> str:
    """Write a path for people: what would move their cursor, or turn their words around, is escaped."""
    return "".join(char.encode("unicode_escape").decode() if _is_command(char) else char for char in written(path))


def find(text: str, folder: Path, *, may_look: Callable[[Path], bool] = lambda _: True) -> Path:
    """Find the path that a text names, as seen from a folder; where there is no such file, the text itself.

    Other spellings are looked for only in folders that `may_look` allows.
    """
    found = next(filter(os.path.lexists, _literally(text, folder)), None)
    if found is not None:
        return found
    alike = (_alike(path, may_look) for path in _literally(text, folder))
    return next((path for path in alike if path is not None), folder / text)


def _literally(text: str, folder: Path) -> Iterator[Path]:
    """Yield what a text may mean to the letter."""
    yield folder / text  # an absolute path stays as it is
    if text.startswith("~"):
        with suppress(RuntimeError):  # there is no such user
            yield folder / Path(text).expanduser()
    if _ESCAPED.search(text):
        yield folder / _ESCAPED.sub(lambda escape: chr(0xDC00 + int(escape[1], 16)), text)


def _alike(path: Path, may_look: Callable[[Path], bool]) -> Path | None:
    """Find the only path whose names look as these do."""
    found = Path(path.anchor)
    for name in path.parts[1:]:
        if os.path.lexists(found / name):
            found /= name
            continue
        look = _look(name)
        others = [other for other in _entries(found) if _look(other) == look] if may_look(found) else []
        if len(others) != 1:
            return None
        found /= others[0]
    return found


def _entries(folder: Path) -> Iterator[str]:
    """Name what may be spelt in several ways: ids of artifacts are not."""
    with suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(MOST_ENTRIES), entries, strict=False):
            if not is_artifact_id(Path(entry.name).stem):
                yield entry.name


def _is_command(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in _JOINERS


def _look(name: str) -> str:
    """Write a name in composed characters, with plain blanks."""
    return unicodedata.normalize("NFKC", name)
