"""A worker with the defaults holds a limit of 1 GiB, whatever comes together: nothing is killed, and no call is lost.

In a real memory cgroup, so it needs the right to make one. `-s` prints the figures.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.jobs.job import JobState
from tests.support.network.heavy_provider import Kind
from tests.support.process.memory_cgroup import CannotBeMade
from tests.support.stack.crowded_worker import Crowd, crowd

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(900)]

GIB = 2**30
LARGE_4K = Kind(width=4096, height=4096, noise=128, together=32)
MANY_2K = Kind(width=2048, height=1280, noise=171, together=128, is_chunked=True)


SMALL = Kind(width=256, height=256, together=3)
REFERENCE = Kind(width=4096, height=1700, together=0)  # 21 MB


async def crowded(folder: Path, kind: Kind, *, jobs: int, reference: Kind | None = None) -> Crowd:
    try:
        return await crowd(folder, kind, jobs=jobs, count=4, most=GIB, reference=reference)
    except CannotBeMade as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    ("kind", "jobs", "reference"),
    [(LARGE_4K, 8, None), (MANY_2K, 32, None), (SMALL, 8, REFERENCE)],
    ids=["32-answers-of-33-MB", "128-answers-of-7-MB", "32-edits-of-21-MB"],
)
async def test_calls_that_come_together_fit_into_the_memory_of_a_worker(
    kind: Kind, jobs: int, reference: Kind | None, tmp_path: Path
) -> None:
    found = await crowded(tmp_path, kind, jobs=jobs, reference=reference)
    print(found.told())
    assert [job.state for job in found.jobs] == [JobState.SUCCEEDED] * jobs, found.log
    assert (found.kills, found.starts) == (0, 1)
    assert (found.images, found.calls, found.lost) == (4 * jobs, 4 * jobs, 0)
    assert found.peak < GIB
