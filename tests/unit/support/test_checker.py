"""The checker of chaos campaigns must be able to fail: each kind of breach is found in evidence made for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contract.jobs.ids import artifact_id
from contract.jobs.job import Attempt, Failure, Image, Job, JobEvent, JobState, Outcome, Progress, moment
from contract.jobs.request import JobRequest
from tests.chaos.arena.journal import Entry
from tests.chaos.arena.orders import Order
from tests.chaos.verdict.checker import judge
from tests.chaos.verdict.evidence import Evidence, Found, Held, Made

ORDER = Order(key="order-1", owner="ann", count=2, image_size="1K", at=0)


def attempt(index: int, outcome: Outcome = Outcome.DELIVERED) -> Attempt:
    return Attempt(
        index=index, rung=0, provider="p", model="m", image_size="1K", started_at=moment(1000), outcome=outcome
    )


def image(index: int) -> Image:
    name = artifact_id("j1", index)
    return Image(
        id=name,
        index=index,
        path=f"/{name}.png",
        mime="image/png",
        width=96,
        height=96,
        bytes=1,
        sha256="",
        sidecar=f"/{name}.json",
    )


def found(*, key: str = "order-1", endings: int = 1, calls: int = 2, crashes: int = 0, **changes: Any) -> Found:
    job = Job(
        id="j1",
        state=JobState.SUCCEEDED,
        owner="ann",
        conversation=None,
        created_at=moment(0),
        started_at=moment(1000),
        ended_at=moment(5000),
        request=JobRequest(prompt=f"{key} a fox", count=2, aspect_ratio="1:1", image_size="1K"),
        position=None,
        progress=Progress(done=2, count=2, message=""),
        images=(image(0), image(1)),
        attempts=(attempt(0), attempt(1)),
        degraded=None,
        cost_usd=None,
        error=None,
    ).model_copy(update=changes)
    lost = [JobEvent.model_validate({"type": "queued", "at": moment(2), "why": "worker_lost"})] * crashes
    ends = [JobEvent(type=job.state, at=moment(5000))] * endings
    return Found(key=key, job=job, events=(*lost, *ends), calls=calls, attempts=frozenset(range(calls)))


def evidence(*jobs: Found, order: Order = ORDER, **changes: Any) -> Evidence:
    whole = Evidence(
        orders=[order],
        entries=[Entry(key="order-1", kind="acknowledged", job_id="j1", seconds=0, at=0)],
        found=jobs,
        made=[Made(job_id="j1", number=number, started_at=1.0, kind="ok") for number in (0, 1)],
        pairs={artifact_id("j1", index): "j1" for index in (0, 1)},
        orphans=[],
    )
    return replace(whole, **changes)


def test_a_good_campaign_is_good() -> None:
    verdict = judge(evidence(found()))
    assert verdict.is_kept
    assert (verdict.attempted, verdict.acknowledged, verdict.ok, verdict.recovered) == (1, 1, 1, 0)
    assert (verdict.calls, verdict.calls_for_crashes, verdict.stray) == (2, 0, [])


def told(kind: str, job_id: str = "j1") -> Entry:
    return Entry(key="order-1", kind=kind, job_id=job_id, seconds=0, at=0)  # type: ignore[arg-type]


def late(*, at: float) -> Made:
    return Made(job_id="j1", number=0, started_at=at, kind="ok")


FAILED = Failure(code="provider_timeout", detail="", retryable=True)
BREACHES: dict[str, tuple[str, Callable[[], Evidence]]] = {
    "gone": ("lost", lambda: evidence()),
    "not ended": ("lost", lambda: evidence(found(state=JobState.RUNNING, endings=0))),
    "not on disk": ("lost", lambda: evidence(found(), pairs={artifact_id("j1", 0): "j1"})),
    "two ids": ("duplicated", lambda: evidence(found(), entries=[told("acknowledged"), told("acknowledged", "j2")])),
    "two jobs": ("duplicated", lambda: evidence(found(), found(id="j2"))),
    "two ends": ("duplicated", lambda: evidence(found(endings=2))),
    "no end in its story": ("duplicated", lambda: evidence(found(endings=0))),
    "one image twice": ("duplicated", lambda: evidence(found(images=(image(0), image(0))))),
    "an image too many": ("duplicated", lambda: evidence(found(images=(image(0), image(1), image(2))))),
    "nobody asked": ("unexpected", lambda: evidence(found(key="order-2"))),
    "no reason to fail": (
        "unexpected",
        lambda: evidence(found(state=JobState.FAILED, images=(), error=FAILED)),
    ),
    "too few crashes": (
        "unexpected",
        lambda: evidence(
            found(
                state=JobState.FAILED, images=(), error=FAILED.model_copy(update={"code": "worker_crashed"}), crashes=1
            )
        ),
    ),
    "cancelled by nobody": ("unexpected", lambda: evidence(found(state=JobState.CANCELLED, images=()))),
    "rose again": (
        "unexpected",
        lambda: evidence(found(), order=replace(ORDER, cancel_after=1), entries=[told("cancelled")]),
    ),
    "refused and yet made": ("unexpected", lambda: evidence(found(), order=replace(ORDER, is_refused=True))),
    "a pair of nobody": ("unexpected", lambda: evidence(found(), pairs={"img_0": "j9"})),
    "torn": ("torn", lambda: evidence(found(), torn=["img_1.json: its image is missing"])),
    "unaccounted": (
        "unpaid",
        lambda: evidence(found(), made=[Made(job_id="j1", number=7, started_at=1.0, kind="ok")]),
    ),
    "beyond the budget": ("unpaid", lambda: evidence(found(calls=19))),
    "called after its end, beside a partition": (
        "unpaid",
        lambda: evidence(found(), made=[late(at=7.2)], held=[Held(at=4.0, over=6.0, most_s=math.inf)]),
    ),
    "called after its end, during a partition": (
        "unpaid",
        lambda: evidence(found(), made=[late(at=6.5)], held=[Held(at=5.2, over=6.0, most_s=math.inf)]),
    ),
    "called after its end, and not as late as the network was slow": (
        "unpaid",
        lambda: evidence(found(), made=[late(at=6.0)], held=[Held(at=4.0, over=9.0, most_s=0.6)]),
    ),
    "called after its end": (
        "unpaid",
        lambda: evidence(found(), made=[late(at=5.2)]),
    ),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_found(name: str) -> None:
    kind, make = BREACHES[name]
    verdict = judge(make())
    assert getattr(verdict, kind)
    assert not verdict.is_kept


def test_what_is_explained_is_no_breach() -> None:
    exhausted = tuple(attempt(index, Outcome.TIMEOUT) for index in (0, 1) for _ in (0, 1))
    gave_up = judge(evidence(found(state=JobState.FAILED, images=(), error=FAILED, attempts=exhausted, calls=4)))
    assert (gave_up.is_kept, gave_up.gave_up) == (True, 1)
    crashed = FAILED.model_copy(update={"code": "worker_crashed"})
    poison = judge(evidence(found(state=JobState.FAILED, images=(), error=crashed, crashes=2)))
    assert (poison.is_kept, poison.crashed) == (True, 1)
    in_transit = evidence(found(), made=[late(at=6.5)], held=[Held(at=4.0, over=6.0, most_s=math.inf)])
    assert judge(in_transit).is_kept  # the network kept what was sent before the job's end
    unknown = judge(evidence(found(), entries=[told("unknown", "")]))
    assert (unknown.is_kept, unknown.recovered, unknown.acknowledged) == (True, 1, 0)


def test_calls_for_crashes_are_told_from_those_for_the_provider() -> None:
    attempts = (attempt(0, Outcome.TRANSIENT), attempt(0, Outcome.LOST), attempt(0), attempt(0), attempt(1))
    verdict = judge(evidence(found(attempts=attempts, calls=5)))
    assert (verdict.calls, verdict.calls_for_crashes) == (5, 2)
    assert verdict.cost_of_crashes == pytest.approx(5 / 3)
