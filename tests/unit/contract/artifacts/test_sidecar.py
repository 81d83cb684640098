"""What a sidecar says of an image: what was asked, what came, what it cost, and why it is no better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contract.artifacts.sidecar import Sidecar
from contract.jobs import wording
from contract.jobs.ids import artifact_id
from contract.jobs.job import Attempt, Job, Outcome, Rendition, moment
from tests.support.factories.ended_job import a_job
from worker.sandbox.pool import Picture

PICTURE = Picture(data=b"fox", mime="image/webp", width=2048, height=2048, sha256="0" * 64, warnings=("It is grey.",))
ASKED = Rendition(provider="openrouter", model="a/b", image_size="2K")
IN_SQUARE = ASKED.model_copy(update={"aspect_ratio": "1:1"})


def attempt(index: int = 0, rung: int = 0, cost_usd: float | None = 0.04) -> Attempt:
    return Attempt(
        index=index,
        rung=rung,
        provider="openrouter",
        model="a/b",
        image_size="1K" if rung else "2K",
        started_at=moment(0),
        outcome=Outcome.DELIVERED,
        cost_usd=cost_usd,
    )


def locator(job: Job, name: str) -> str:
    return f"/media/{job.owner}/{name}"


def sidecar(brought: Attempt, *attempts: Attempt, picture: Picture = PICTURE, **changes: Any) -> Sidecar:
    values: dict[str, Any] = {"requested": ASKED, "snapshots": (), "reasons": (), "created_at": moment(0), **changes}
    return Sidecar.of(a_job(), 0, picture, locator=locator, attempt=brought, attempts=attempts, **values)


def test_it_names_the_image_and_what_it_is() -> None:
    found = sidecar(attempt(), attempt())
    name = artifact_id(a_job().id, 0)
    assert (found.id, found.path) == (name, f"/media/ann/{name}.webp")
    assert (found.mime, found.width, found.height, found.bytes) == ("image/webp", 2048, 2048, 3)
    assert (found.requested, found.delivered, found.degraded) == (IN_SQUARE, IN_SQUARE, None)
    assert found.warnings == ("It is grey.",)


@pytest.mark.parametrize(
    ("costs", "cost_usd"), [((0.04,), 0.04), ((0.1, None, 0.2), 0.3), ((None,), None), ((), None)], ids=str
)
def test_it_costs_what_its_calls_cost(costs: tuple[float | None, ...], cost_usd: float | None) -> None:
    calls = [attempt(cost_usd=cost) for cost in costs]
    assert sidecar(attempt(), *calls).cost_usd == cost_usd


def test_a_lower_rung_is_told_with_its_reasons_once_each() -> None:
    small = replace(PICTURE, width=1024, height=1024)
    why: dict[str, Any] = {"picture": small, "reasons": ("it is away", "it is away", "", "2K timed out")}
    found = sidecar(attempt(rung=1), attempt(rung=1), **why)
    assert found.degraded == "it is away; 2K timed out"
    assert found.delivered.image_size == "1K"
    assert sidecar(attempt(), attempt(), reasons=("it is away",)).degraded is None


def test_what_was_delivered_is_measured_and_told_where_it_is_far_from_what_was_asked_for() -> None:
    tiny = replace(PICTURE, width=320, height=160)
    found = sidecar(attempt(), attempt(), picture=tiny)
    assert (found.delivered.image_size, found.delivered.aspect_ratio) == ("320x160", "2:1")
    assert found.degraded == "openrouter made 320x160 pixels instead of 2K at 1:1"
    below = sidecar(attempt(rung=1), attempt(rung=1), picture=tiny, reasons=("2K timed out",))
    assert below.degraded == "2K timed out; openrouter made 320x160 pixels instead of 1K at 1:1"
    assert (degraded := below.image().degraded) is not None
    assert wording.degraded(degraded) == f"Delivered at 320x160, 2:1: {below.degraded}"


def test_a_picture_that_another_images_call_brought_costs_nothing_more() -> None:
    other = attempt(index=2)
    found = sidecar(other)
    assert (found.attempts, found.cost_usd) == ((other,), 0)
    assert found.warnings == ("It is grey.", "It came in the answer for image 3.")
