"""How a worker's memory is divided, and where its limit is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.memory.cgroup import machine_memory, memory_limit
from worker.memory.division import LEAST, MIB, MOST, OWN, READERS, Portions, divide

GIB = 1024 * MIB
NO_LIMIT = 9223372036854771712  # of version 1


@pytest.mark.parametrize(
    ("limit", "bodies", "portions"),
    [
        (GIB, None, Portions(bodies=288 * MIB, beside=256 * MIB)),
        (GIB, 100 * MIB, Portions(bodies=100 * MIB, beside=350 * MIB)),
        (GIB, 2 * GIB, Portions(bodies=2 * GIB, beside=LEAST)),
        (64 * GIB, None, Portions(bodies=MOST, beside=READERS // 2)),
        (64 * GIB, 20 * GIB, Portions(bodies=20 * GIB, beside=READERS // 2)),
        (256 * MIB, None, Portions(bodies=LEAST, beside=LEAST)),
        (0, None, Portions(bodies=LEAST, beside=LEAST)),
    ],
)
def test_memory_is_divided(limit: int, bodies: int | None, portions: Portions) -> None:
    assert divide(limit, bodies=bodies) == portions


@pytest.mark.parametrize("mib", range(300, 8000, 97))
def test_all_parts_together_are_no_more_than_there_is(mib: int) -> None:
    portions = divide(mib * MIB)
    assert OWN + portions.bodies + 2 * portions.beside <= max(mib * MIB, OWN + 3 * LEAST)


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/", {"memory.max": GIB}, GIB),
        ("0::/a/b", {"a/b/memory.max": GIB, "memory.max": 2 * GIB}, GIB),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": GIB}, GIB),
        ("0::/a/b", {"memory.max": GIB}, GIB),  # its name outside of the container
        ("0::/a:b", {"a:b/memory.max": GIB}, GIB),
        ("0::/a", {"a/memory.max": "max"}, None),
        ("0::/a", {"a/memory.max": "many"}, None),
        ("0::/a\n4:memory:/m", {"unified/a/memory.max": "max", "memory/m/memory.limit_in_bytes": GIB}, GIB),
        ("7:pids:/p\n4:memory:/m/n", {"memory/m/memory.limit_in_bytes": GIB, "memory/p/memory.max": 1}, GIB),
        ("4:cpu,memory:/m", {"cpu,memory/m/memory.limit_in_bytes": GIB}, GIB),
        ("4:memory:/docker/7", {"memory/memory.limit_in_bytes": GIB}, GIB),
        ("4:memory:/m", {"memory/m/memory.limit_in_bytes": NO_LIMIT}, None),
        ("", {"memory.max": GIB}, None),
        ("what is this?", {"memory.max": GIB}, None),
    ],
)
def test_the_lowest_limit_of_the_own_cgroup_and_those_above_it_counts(
    own: str, files: dict[str, int | str], limit: int | None, tmp_path: Path
) -> None:
    for name, value in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    (tmp_path / "own").write_text(f"{own}\n")
    assert memory_limit(root=tmp_path / "cgroup", own=tmp_path / "own") == limit


def test_where_there_are_no_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(root=tmp_path, own=tmp_path / "own") is None
    assert machine_memory() > 100 * MIB
