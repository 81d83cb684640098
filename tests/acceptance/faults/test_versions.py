"""What another version has left is taken as it is: nothing is paid for twice, and nothing stalls."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from contract.artifacts.sidecar import Sidecar
from contract.jobs.job import JobState, Outcome
from contract.store.scripts import script_text
from tests.support.network.proxy import Proxy
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
# What Redis is asked for when a worker reports an image.
ADD_IMAGE = hashlib.sha1(script_text("jobs/add_image").encode(), usedforsecurity=False).hexdigest().encode()


def grow(sidecar: Path) -> None:
    """Add to a sidecar what a newer version may write."""
    told = json.loads(sidecar.read_text())
    told["requested"]["seed"] = told["palette"] = told["attempts"][0]["upstream"] = "new"
    sidecar.write_text(json.dumps(told))


def empty(sidecar: Path) -> None:
    """Lose a sidecar's text, as a power cut may."""
    sidecar.write_bytes(b"")


def garble(sidecar: Path) -> None:
    """Damage a sidecar."""
    sidecar.write_bytes(sidecar.read_bytes()[:-40] + b"\xff" * 40)


def lose_both(sidecar: Path) -> None:
    """Damage the picture as well."""
    empty(sidecar)
    picture = next(path for path in sidecar.parent.glob(f"{sidecar.stem}.*") if path != sidecar)
    picture.write_bytes(picture.read_bytes()[:200])


@pytest.mark.parametrize(("harm", "calls"), [(grow, 1), (empty, 1), (garble, 1), (lose_both, 2)])
async def test_a_picture_is_bought_again_only_if_it_is_lost(stack: Stack, harm: object, calls: int) -> None:
    killed = await stack.start_worker(DARKROOM_LEASE_SECONDS="5", DARKROOM_FAILPOINT="after_sidecar:1")
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
        await asyncio.to_thread(killed.wait, 20)
        [sidecar] = (stack.folder / "media").rglob("img_*.json")
        assert callable(harm)
        harm(sidecar)
        await stack.start_worker(DARKROOM_LEASE_SECONDS="5")
        job = await darkroom.wait(job.id, timeout_s=40)
    assert (job.state, job.error, len(job.images)) == (JobState.SUCCEEDED, None, 1)
    assert len(stack.simulator.ledger) == calls
    read = Sidecar.model_validate_json(sidecar.read_bytes())
    assert (read.prompt, read.image()) == ("a fox", job.images[0])
    assert [attempt.outcome for attempt in read.attempts] == [Outcome.DELIVERED] * calls
    assert read.cost_usd == job.cost_usd


@pytest.mark.parametrize("harm", [empty, garble])
async def test_a_damaged_sidecar_of_a_picture_that_came_in_another_ones_answer_is_written_anew(
    stack: Stack, harm: object
) -> None:
    stack.simulator.script([{"kind": "ok", "images": 2}, {"kind": "slow", "seconds": 9, "times": "always"}])
    async with stack.client() as darkroom, Proxy(to=stack.redis.socket) as proxy:
        proxy.withhold(ADD_IMAGE)
        killed = await stack.start_worker(
            DARKROOM_LEASE_SECONDS="5",
            DARKROOM_FAILPOINT="after_sidecar:2",
            DARKROOM_REDIS_URL=f"redis://127.0.0.1:{proxy.port}",
        )
        job = await darkroom.submit(prompt="a fox", count=2)
        await asyncio.to_thread(killed.wait, 20)
        assert (await darkroom.get(job.id)).images == ()
        sidecars = sorted((stack.folder / "media").rglob("img_*.json"))
        assert (len(sidecars), callable(harm)) == (2, True)
        for sidecar in sidecars:
            harm(sidecar)  # type: ignore[operator]
        await stack.start_worker(DARKROOM_LEASE_SECONDS="5")
        job = await darkroom.wait(job.id, timeout_s=40)
    assert (job.state, len(job.images), len(stack.simulator.ledger)) == (JobState.SUCCEEDED, 2, 2)
    [paid] = [attempt.index for attempt in job.attempts if attempt.outcome is Outcome.DELIVERED]
    for image in job.images:
        read = Sidecar.model_validate_json(Path(image.sidecar).read_bytes())
        came_with = () if image.index == paid else (f"It came in the answer for image {paid + 1}.",)
        assert (read.image(), read.warnings) == (image, came_with)
        assert read.cost_usd == (job.cost_usd if image.index == paid else 0)
    assert len([line for line in stack.logs().splitlines() if "was written anew" in line]) == 2
