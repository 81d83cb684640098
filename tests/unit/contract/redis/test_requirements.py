"""What is said of a Redis by what it tells of itself: recorded INFOs, abridged, of servers and versions."""

from __future__ import annotations

from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from redis._parsers.helpers import parse_info
from redis.exceptions import NoPermissionError, ResponseError

from contract.redis.requirements import Sight, Weight, judge, look, refusals

REFUSES, WARNS, TOLD = Weight.REFUSES, Weight.WARNS, Weight.TOLD
KEEPS = "aof_enabled:1\naof_last_write_status:ok\nrole:master\nmaxmemory:0\nmaxmemory_policy:noeviction\n"
REDIS = KEEPS + "redis_mode:standalone\ncluster_enabled:0\n"
DEFAULTS = REDIS.replace("aof_enabled:1", "aof_enabled:0")
DRAGONFLY = """redis_version:7.4.0
dragonfly_version:df-v1.31.0
redis_mode:standalone
used_memory:16511056
maxmemory:419430400
maxmemory_policy:noeviction
role:master
"""
VALKEY = "redis_version:7.2.4\nserver_name:valkey\nvalkey_version:9.1.2\nserver_mode:standalone\ncluster_enabled:0\n"
INFOS = {
    "Redis 5.0.6": f"redis_version:5.0.6\n{REDIS}",
    "Redis 6.0.16": f"redis_version:6.0.16\n{REDIS}",
    "Redis 6.2.14": f"redis_version:6.2.14\n{REDIS}",
    "Redis 7.0.15": f"redis_version:7.0.15\n{REDIS}",
    "Redis 7.0.15 as Debian has it": f"redis_version:7.0.15\n{DEFAULTS}",
    "Redis 7.4.9": f"redis_version:7.4.9\n{REDIS}",
    "Redis 8.2.3": f"redis_version:8.2.3\n{REDIS}",
    "Redis 8.10.0": f"redis_version:8.10.0\n{REDIS}",
    "Redis from its source": f"redis_version:255.255.255\n{REDIS}",
    "Valkey 9.1.2": VALKEY + KEEPS,
    "Valkey cluster": VALKEY.replace("standalone", "cluster").replace("enabled:0", "enabled:1") + KEEPS,
    "KeyDB 6.3.4": f"redis_version:6.3.4\nexecutable:/usr/bin/keydb-server\n{REDIS}",
    "KeyDB 5.3.2": f"redis_version:5.3.2\nexecutable:/usr/bin/keydb-server\n{REDIS}",
    "Dragonfly": DRAGONFLY,
    "Dragonfly as a cache": DRAGONFLY.replace("noeviction", "eviction"),
    "old Dragonfly": DRAGONFLY.replace("7.4.0", "6.2.11"),
    "Redis Enterprise": f"redis_version:7.4.0\nredis_mode:standalone\n{KEEPS}rlec_version:7.8\n",
    "a cluster": f"redis_version:7.0.15\n{REDIS}".replace("standalone", "cluster").replace("enabled:0", "enabled:1"),
    "a replica": f"redis_version:7.0.15\n{REDIS}".replace("master", "slave"),
    "ElastiCache": f"redis_version:7.1.0\n{REDIS}".replace("noeviction", "volatile-lru").replace("aof_enabled:1\n", ""),
    "release candidate": f"redis_version:8.0-rc1\n{REDIS}",
    "no version": REDIS,
    "odd version": f"redis_version:unstable\n{REDIS}",
    "one number": f"redis_version:6\n{REDIS}",
    "superscript": f"redis_version:6.²\n{REDIS}",
    "no policy": f"redis_version:7.0.15\n{REDIS}".replace("maxmemory_policy:noeviction\n", ""),
    "no AOF told": f"redis_version:7.0.15\n{REDIS}".replace("aof_enabled:1\n", ""),
    "odd numbers": f"redis_version:7.0.15\nused_memory:many\n{REDIS}".replace("maxmemory:0", "maxmemory:some"),
    "nothing": "",
}
NO_VERSION = (TOLD, "version", "does not report its version")
NO_AOF = (TOLD, "persistence", "does not report whether it keeps an append-only file")
NO_POLICY = (TOLD, "eviction", "does not report whether it evicts jobs")


def sight_of(info: str, fsync: str | None = "always") -> Sight:
    """See what redis-py makes of an INFO."""
    return Sight(parsed(info), fsync)


def parsed(info: str) -> dict[str, Any]:
    """Read an INFO as redis-py does."""
    return dict(parse_info(info.replace("\n", "\r\n")))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("name", "doubts"),
    [
        ("Redis 5.0.6", [(WARNS, "version", "is version 5.0.6")]),
        ("Redis 6.0.16", [(WARNS, "version", "is version 6.0.16")]),
        ("Redis 6.2.14", []),
        ("Redis 7.0.15", []),
        (
            "Redis 7.0.15 as Debian has it",
            [(WARNS, "persistence", "loses accepted jobs when it stops (appendonly no)")],
        ),
        ("Redis 7.4.9", []),
        ("Redis 8.2.3", []),
        ("Redis 8.10.0", []),
        ("Redis from its source", []),
        ("Valkey 9.1.2", []),
        ("Valkey cluster", [(REFUSES, "mode", "is a Redis Cluster")]),
        ("KeyDB 6.3.4", []),
        ("KeyDB 5.3.2", [(WARNS, "version", "is version 5.3.2")]),
        ("Dragonfly", [NO_AOF]),
        ("Dragonfly as a cache", [(REFUSES, "eviction", "maxmemory-policy eviction"), NO_AOF]),
        ("old Dragonfly", [NO_AOF]),
        ("Redis Enterprise", []),
        ("a cluster", [(REFUSES, "mode", "is a Redis Cluster")]),
        ("a replica", [(WARNS, "role", "is a replica")]),
        ("ElastiCache", [(REFUSES, "eviction", "maxmemory-policy volatile-lru"), NO_AOF]),
        ("release candidate", []),
        ("no version", [NO_VERSION]),
        ("odd version", [NO_VERSION]),
        ("one number", [NO_VERSION]),
        ("superscript", [NO_VERSION]),
        ("no policy", [NO_POLICY]),
        ("no AOF told", [NO_AOF]),
        ("odd numbers", []),
        ("nothing", [NO_POLICY, NO_VERSION, NO_AOF]),
    ],
)
def test_a_redis_is_judged_by_what_it_tells(name: str, doubts: list[tuple[Weight, str, str]]) -> None:
    found = judge(sight_of(INFOS[name]))
    assert [(doubt.weight, doubt.name) for doubt in found] == [(weight, what) for weight, what, _ in doubts]
    for doubt, (_, _, says) in zip(found, doubts, strict=True):
        assert says in doubt.says
        assert doubt.hint
    assert [doubt.name for doubt in refusals(found)] == [what for weight, what, _ in doubts if weight is REFUSES]


def test_every_recorded_info_is_judged() -> None:
    [mark] = [mark for mark in test_a_redis_is_judged_by_what_it_tells.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert [name for name, _ in mark.args[1]] == list(INFOS)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("Redis 6.2.14", "Redis 6.2.14"),
        ("Valkey 9.1.2", "Valkey 9.1.2"),
        ("Dragonfly", "Dragonfly df-v1.31.0"),
        ("KeyDB 6.3.4", "Redis 6.3.4"),
        ("no version", ""),
        ("nothing", ""),
    ],
)
def test_a_version_is_told_with_its_vendors_name(name: str, version: str) -> None:
    assert sight_of(INFOS[name]).version == version


@pytest.mark.parametrize(
    ("fsync", "weights"),
    [("always", []), ("everysec", [TOLD]), ("no", [WARNS]), (None, [TOLD]), ("", [TOLD]), ("odd", [TOLD])],
)
def test_how_often_the_append_only_file_is_written_is_told(fsync: str | None, weights: list[Weight]) -> None:
    assert [doubt.weight for doubt in judge(sight_of(INFOS["Redis 8.2.3"], fsync))] == weights


@pytest.mark.parametrize(
    ("used", "most", "says"),
    [
        ("80", "100", "uses"),
        ("79", "100", ""),
        ("80", "0", ""),
        ("200", "100", "uses"),
    ],
)
def test_a_redis_that_is_nearly_full_is_told(used: str, most: str, says: str) -> None:
    info = INFOS["Redis 8.2.3"].replace("maxmemory:0", f"maxmemory:{most}000000\nused_memory:{used}000000")
    assert [doubt.name for doubt in judge(sight_of(info))] == (["memory"] if says else [])


class Forbidding(FakeAsyncRedis):
    """A Redis that refuses to tell of itself."""

    def __init__(self, error: Exception | None, info: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.error, self.told = error, info

    async def info(self, *_: object, **__: object) -> dict[str, Any]:
        """Refuse, or tell."""
        if self.told is None:
            assert self.error is not None
            raise self.error
        return self.told

    async def config_get(self, *_: object, **__: object) -> dict[str, str]:  # type: ignore[override]
        """Refuse, or tell nothing."""
        if self.error is not None:
            raise self.error
        return {}


@pytest.mark.parametrize("error", [NoPermissionError("no permissions"), ResponseError("unknown command 'INFO'")])
async def test_where_INFO_is_forbidden_nobody_can_tell(error: Exception) -> None:
    async with Forbidding(error) as redis:
        sight = await look(redis)
    [doubt] = judge(sight)
    assert (doubt.weight, doubt.name, "it is unknown whether" in doubt.says) == (TOLD, "safety", True)
    assert (sight.version, sight.memory) == ("", "")


@pytest.mark.parametrize("error", [None, NoPermissionError("no permissions")])
async def test_where_CONFIG_says_nothing_how_often_it_writes_cannot_be_told(error: Exception | None) -> None:
    async with Forbidding(error, parsed(INFOS["Redis 8.2.3"])) as redis:
        [doubt] = judge(await look(redis))
    assert (doubt.weight, doubt.name, "appendfsync" in doubt.says) == (TOLD, "persistence", True)
