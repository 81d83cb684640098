"""Canaries: secrets that were made up to be found, and the search for them and their fragments in every spelling.

A text is cut into overlapping fragments of eight characters, so that half a key is found, too. Whatever Redis
was told or holds is read as commands, as only there can be said whether a text stands where it may.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from redis.asyncio import Redis

PROMPT = "Zwölfzüngige Quokkakapelle jongliert 北京烤鸭 unter Glühwürmchenlaternen"
SECRETS = {  # by the names of environment variables; one of the keys has the form that is known as a key's
    "CANARY_OPENROUTER_KEY": "sk-or-CANARYq7Zp4wXk9Rt2Lm8Vb3Nd6Hs1",
    "CANARY_AIHUBMIX_KEY": "hubCANARYw5yGk2Jf8Qc4Tz7Ua1Pe9Xr3",
    "CANARY_HEADER": "teamCANARYd6Sb1Kv4Mh9Wq2Gy7Lj5Zn8",
    "CANARY_PROXY_PASSWORD": "proxyCANARYt3Rx8Fc1Vu6Bp9Dk4Hm2Yw",
}
PASSWORDS = {"redis": "redisCANARYn9Lg5Zs2Xj7Qa4Ew1Ct6Uf", "flower": "flowerCANARYm4Pb8Hv3Kd1Ry6Tj9Sz2G"}

Spell = Callable[[str], Iterable[str]]
Command = Sequence[bytes]

FRAGMENT, STRIDE = 8, 4  # characters: whatever has 11 of a canary in a row has a fragment of it
_MONITORED = re.compile(rb'[\d.]+ \[\d+ (?P<source>[^\]]*)\] (?P<words>".*")')
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|(.))", re.DOTALL)
_CONTROL = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def _base64(text: str) -> Iterator[str]:
    """Spell what is the same in every base64 text with this in it, for each of the three places it may begin at."""
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        data = bytes(before) + text.encode()
        own = slice(shared, len(data) * 8 // 6)
        yield base64.b64encode(data).decode()[own]
        yield base64.urlsafe_b64encode(data).decode()[own]


SPELLINGS: dict[str, Spell] = {
    "plain": lambda text: (text,),
    "json": lambda text: (json.dumps(text)[1:-1],),
    "url": lambda text: (quote(text, safe=""), quote_plus(text, safe="")),
    "hex": lambda text: (text.encode().hex(),),
    "base64": _base64,
    "escaped bytes": lambda text: (repr(text.encode())[2:-1],),
}


@dataclass(frozen=True, slots=True)
class Hit:
    """A canary that was found: its name, its spelling, and what stands around it."""

    name: str
    spelling: str
    around: str


class Search:
    """Looks for canaries, each known by a name; capitals do not matter, as host names and headers lose them."""

    def __init__(self, **canaries: str) -> None:
        self._needles = {
            needle.encode().lower(): (name, spelling)
            for name, text in canaries.items()
            for fragment in _fragments(text)
            for spelling, spell in reversed(SPELLINGS.items())  # what is spelt the same is called plain
            for needle in spell(fragment)
        }

    def hits(self, data: bytes | str) -> list[Hit]:
        """Find canaries in a text; each spelling of each is told once."""
        data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        found: dict[tuple[str, str], Hit] = {}
        lower = data.lower()
        for needle, (name, spelling) in self._needles.items():
            if (place := lower.find(needle)) >= 0:
                around = data[max(0, place - 60) : place + 60].decode("utf-8", "replace")
                found.setdefault((name, spelling), Hit(name, spelling, around))
        return list(found.values())

    def names(self, data: bytes | str) -> set[str]:
        """Name the canaries that are in a text."""
        return {hit.name for hit in self.hits(data)}

    def astray(self, commands: Iterable[Command], *, home: Callable[[Command, int], str]) -> list[Hit]:
        """Find canaries in what Redis was told, but for the one that `home` names for a word of a command."""
        commands = list(commands)
        if not self.hits(b"\0".join(word for command in commands for word in command)):
            return []
        return [
            hit
            for command in commands
            if self.hits(b"\0".join(command))
            for place, word in enumerate(command)
            for hit in self.hits(word)
            if hit.name != home(command, place)
        ]


def _fragments(text: str) -> list[str]:
    last = max(0, len(text) - FRAGMENT)
    return [text[start : start + FRAGMENT] for start in (*range(0, last, STRIDE), last)]


def read_commands(log: bytes) -> Iterator[Command]:
    """Read an append-only file without a snapshot at its begin."""
    place = 0

    def number(mark: bytes) -> int:
        nonlocal place
        end = log.index(b"\r\n", place)
        line, place = log[place:end], end + 2
        assert line[:1] == mark, line
        return int(line[1:])

    while place < len(log):
        words = []
        for _ in range(number(b"*")):
            size = number(b"$")
            words.append(log[place : place + size])
            place += size + 2
        yield words


def read_monitored(line: bytes) -> tuple[str, Command]:
    """Read a line of MONITOR: who said it, `lua` for a script, and the words."""
    found = _MONITORED.fullmatch(line.strip().removeprefix(b"+"))
    assert found, line
    return found["source"].decode(), [_ESCAPE.sub(_unescaped, word) for word in _WORD.findall(found["words"])]


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes.fromhex(found[1].decode())
    return _CONTROL.get(found[2], found[2])


async def read_keyspace(redis: Redis) -> AsyncIterator[Command]:
    """Read all that a Redis holds, as the commands that would make it; `redis` must not decode."""
    ask: Any = redis  # its types expect texts
    async for key in ask.scan_iter(count=1000):
        kind = await ask.type(key)
        yield [kind, key]
        if kind == b"hash":
            for name, value in (await ask.hgetall(key)).items():
                yield [b"HSET", key, name, value]
        elif kind == b"stream":
            for entry, fields in await ask.xrange(key):
                yield [b"XADD", key, entry, *(part for item in fields.items() for part in item)]
        elif kind == b"string":
            yield [b"SET", key, await ask.get(key)]
        elif kind == b"list":
            yield [b"RPUSH", key, *await ask.lrange(key, 0, -1)]
        else:
            yield [b"ADD", key, *(await ask.smembers(key) if kind == b"set" else await ask.zrange(key, 0, -1))]


@dataclass(frozen=True, slots=True)
class Process:
    """What is to be seen of a process from outside."""

    pid: int
    parent: int
    command: str
    core: str  # the most bytes of a core dump: as it is, and what it may be raised to


def read_processes() -> Iterator[Process]:
    """Look at all processes that we may look at."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            limits = (folder / "limits").read_text()
            yield Process(
                pid=int(folder.name),
                parent=int((folder / "stat").read_text().rpartition(")")[2].split()[1]),
                command=(folder / "cmdline").read_text("utf-8", "replace"),
                core=" ".join(re.findall(r"Max core file size +(\S+) +(\S+)", limits)[0]),
            )
        except OSError:  # it has ended meanwhile, or belongs to somebody else
            continue
