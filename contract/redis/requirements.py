"""What Redis must be so that no accepted job is lost: judged by its INFO and its CONFIG.

`judge` is pure; `look` asks Redis. Worker, gateway and doctor share both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from contract.redis.client import reaching_redis
from contract.redis.failure import CLUSTER, REPLICA

OLDEST = (6, 2)
VENDORS = (
    "valkey",
    "dragonfly",
    "garnet",
)  # that report a version of their own next to that of the Redis they resemble
FULLEST = 0.8  # of maxmemory
_AOF = "Set appendonly yes, and appendfsync always or everysec."
_EVICTION = "Set maxmemory-policy noeviction."
_VERSION = "Darkroom needs Redis 6.2 or newer, or Valkey."
_FSYNC = "appendfsync always keeps every accepted job."


class Weight(StrEnum):
    """How bad a doubt is."""

    REFUSES = "refuses"  # a worker does not start
    WARNS = "warns"
    TOLD = "told"  # it is meant to be so, or cannot be known


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something about Redis that people should know: `says` follows the word "Redis"."""

    name: str
    weight: Weight
    says: str
    hint: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What could be seen of a Redis; None is what it would not tell."""

    info: Mapping[str, Any] | None
    fsync: str | None  # CONFIG's appendfsync

    @property
    def version(self) -> str:
        """Tell the server's name and version, "" where that is not known."""
        info = self.info or {}
        own = next((name for name in VENDORS if info.get(f"{name}_version")), "redis")
        version = info.get(f"{own}_version")
        return f"{own.capitalize()} {version}" if version else ""

    @property
    def memory(self) -> str:
        """Tell how much memory is used, "" where that is not known."""
        used, most = _number(self.info, "used_memory"), _number(self.info, "maxmemory")
        if not used:
            return ""
        return f"{_mib(used)} of {_mib(most)} MB used" if most else f"{_mib(used)} MB used, no maxmemory"


async def look(redis: Redis) -> Sight:
    """Ask Redis what it is; what it does not allow to be asked is None. Raises Unavailable."""
    async with reaching_redis():
        try:
            info = await redis.info()
        except (NoPermissionError, ResponseError):
            info = None
        try:
            fsync = (await redis.config_get("appendfsync")).get("appendfsync")
        except (NoPermissionError, ResponseError):
            fsync = None
    return Sight(info, fsync)


def judge(sight: Sight) -> tuple[Doubt, ...]:
    """List what is wrong with a Redis, the worst first."""
    if sight.info is None:
        says = "does not allow this user INFO, so it is unknown whether it keeps accepted jobs"
        hint = "Give the user +info and +config|get, or check docs/howto/redis.md."
        return (Doubt("safety", Weight.TOLD, says, hint),)
    found = (
        _cluster(sight.info),
        _eviction(sight.info),
        _replica(sight.info),
        _version(sight.info),
        _persistence(sight.info, sight.fsync),
        _disk(sight.info),
        _memory(sight.info),
    )
    return tuple(sorted((doubt for doubt in found if doubt), key=lambda doubt: list(Weight).index(doubt.weight)))


def refusals(doubts: Sequence[Doubt]) -> list[Doubt]:
    """Choose what a worker refuses to start with."""
    return [doubt for doubt in doubts if doubt.weight is Weight.REFUSES]


def _cluster(info: Mapping[str, Any]) -> Doubt | None:
    if info.get("redis_mode") != "cluster" and not _number(info, "cluster_enabled"):
        return None
    return Doubt("mode", Weight.REFUSES, CLUSTER.says, CLUSTER.hint)


def _eviction(info: Mapping[str, Any]) -> Doubt | None:
    policy = str(info.get("maxmemory_policy") or "")
    if policy == "noeviction":
        return None
    if not policy:
        says = "does not report whether it evicts jobs when its memory is full (maxmemory-policy)"
        return Doubt("eviction", Weight.TOLD, says, _EVICTION)
    says = f"throws accepted jobs away when its memory is full (maxmemory-policy {policy})"
    return Doubt("eviction", Weight.REFUSES, says, _EVICTION)


def _replica(info: Mapping[str, Any]) -> Doubt | None:
    return None if info.get("role", "master") == "master" else Doubt("role", Weight.WARNS, REPLICA.says, REPLICA.hint)


def _version(info: Mapping[str, Any]) -> Doubt | None:
    version = str(info.get("redis_version", ""))  # others tell the Redis that they are like
    parts = re.match(r"([0-9]{1,5})\.([0-9]{1,5})(?![0-9])", version)
    if not parts:
        return Doubt("version", Weight.TOLD, "does not report its version", _VERSION)
    if (int(parts[1]), int(parts[2])) >= OLDEST:
        return None
    return Doubt("version", Weight.WARNS, f"is version {version}", _VERSION)


def _persistence(info: Mapping[str, Any], fsync: str | None) -> Doubt | None:
    if "aof_enabled" not in info:
        return Doubt("persistence", Weight.TOLD, "does not report whether it keeps an append-only file", _AOF)
    if not _number(info, "aof_enabled"):
        return Doubt("persistence", Weight.WARNS, "loses accepted jobs when it stops (appendonly no)", _AOF)
    match fsync:
        case "always":
            return None
        case None:
            return Doubt("persistence", Weight.TOLD, "does not allow this user to read appendfsync", _FSYNC)
        case "no":
            says = "may lose the jobs of half a minute in a power cut (appendfsync no)"
            return Doubt("persistence", Weight.WARNS, says, _FSYNC)
        case "everysec":
            says = "may lose the jobs of the last second or two in a power cut (appendfsync everysec)"
            return Doubt("persistence", Weight.TOLD, says, _FSYNC)
        case _:
            says = "does not report how often it writes its append-only file (appendfsync)"
            return Doubt("persistence", Weight.TOLD, says, _FSYNC)


def _disk(info: Mapping[str, Any]) -> Doubt | None:
    if info.get("aof_last_write_status", "ok") == "ok":
        return None
    return Doubt(
        "disk", Weight.WARNS, "cannot write its append-only file", "Free space on its disk; its log says more."
    )


def _memory(info: Mapping[str, Any]) -> Doubt | None:
    used, most = _number(info, "used_memory"), _number(info, "maxmemory")
    if not most or used < FULLEST * most:
        return None
    says = f"uses {_mib(used)} of its {_mib(most)} MB of memory, and refuses new jobs when it is full"
    return Doubt("memory", Weight.WARNS, says, "Raise maxmemory, or lower DARKROOM_RETENTION_SECONDS.")


def _number(info: Mapping[str, Any] | None, name: str) -> int:
    try:
        return int((info or {}).get(name, 0))
    except (TypeError, ValueError):
        return 0


def _mib(size: int) -> str:
    megabytes = size / 1_048_576
    return f"{megabytes:.0f}" if megabytes >= 10 else f"{megabytes:.1f}"
