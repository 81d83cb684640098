"""What is said of a job, in words: the same for every face, and never a guess."""

from datetime import UTC, datetime
from typing import Any

import pytest

from contract.errors.catalogue.table import KINDS
from contract.jobs import wording
from contract.jobs.job import Attempt, Degraded, JobEvent, JobState, Outcome, Rendition

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = Rendition(provider="openrouter", model="a/b", image_size="2K")


def attempt(outcome: Outcome, error: str | None = None, **more: Any) -> Attempt:
    call: dict[str, Any] = {"index": 0, "rung": 0, "provider": "openrouter", "model": "a/b", "image_size": "2K"}
    return Attempt(**{**call, "started_at": WHEN, "outcome": outcome, "error": error, **more})


@pytest.mark.parametrize(
    ("state", "done", "count", "position", "note", "line"),
    [
        ("queued", 0, 1, None, "", "Queued."),
        ("queued", 0, 1, 0, "", "Queued, next in line."),
        ("queued", 0, 1, 7, "", "Queued, 7 ahead."),
        ("queued", 0, 1, 7, "Waiting 2 s, as openrouter asks.", "Waiting 2 s, as openrouter asks."),
        ("running", 0, 1, None, "", "0 of 1 image made."),
        ("running", 1, 4, None, "", "1 of 4 images made."),
        ("running", 1, 4, None, "2K timed out", "1 of 4 images made; 2K timed out"),
        ("succeeded", 3, 4, None, "old", "3 of 4 images made."),
        ("failed", 0, 4, None, "old", "No image could be made."),
        ("cancelled", 0, 4, None, "old", "Cancelled."),
        ("expired", 0, 4, 3, "old", "Not finished before its deadline."),
    ],
)
def test_progress_is_one_line(state: str, done: int, count: int, position: int | None, note: str, line: str) -> None:
    assert wording.progress(JobState(state), done=done, count=count, position=position, note=note) == line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "2K"),
        ({"image_size": "1K"}, "1K"),
        ({"quality": "low"}, "low quality"),
        ({"image_size": "1K", "quality": "low"}, "1K, low quality"),
        ({"model": "c/d", "provider": "aihubmix"}, "c/d, aihubmix"),
    ],
    ids=str,
)
def test_a_rendition_is_told_by_what_differs(changes: dict[str, str], words: str) -> None:
    assert wording.rendition(ASKED.model_copy(update=changes), beside=ASKED) == words


def test_a_quality_that_was_left_out_is_not_named() -> None:
    low = ASKED.model_copy(update={"quality": "low"})
    assert wording.rendition(ASKED.model_copy(update={"image_size": "1K"}), beside=low) == "1K"


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (attempt(Outcome.TIMEOUT, "provider_timeout", seconds=119.98), "2K timed out after 120 s"),
        (attempt(Outcome.TIMEOUT, "provider_timeout"), "2K timed out after 0 s"),
        (attempt(Outcome.RATE_LIMITED, "provider_rate_limited"), "2K is rate limited"),
        (attempt(Outcome.LOST), "2K was lost with its worker"),
        (attempt(Outcome.CANCELLED), "2K was given up"),
        (attempt(Outcome.REJECTED, "content_refused"), "2K was refused"),
        (attempt(Outcome.INTERRUPTED, "provider_interrupted"), "2K was cut off"),
        (attempt(Outcome.TRANSIENT, "provider_down"), "2K failed (provider down)"),
        (attempt(Outcome.UNUSABLE, "bad_parameters"), "2K failed (request not accepted)"),
        (attempt(Outcome.UNUSABLE), "2K failed (no reason given)"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_failure_is_told_in_a_few_words(ended: Attempt, words: str) -> None:
    assert wording.failed(ended) == words


def test_among_several_images_a_failure_names_its_own() -> None:
    lost = attempt(Outcome.LOST, index=2)
    assert wording.failed(lost, among=4) == "image 3: 2K was lost with its worker"
    assert wording.failed(lost, among=1) == "2K was lost with its worker"


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.RUNNING, Outcome.DELIVERED}))
def test_every_failure_has_words(outcome: Outcome) -> None:
    for code in (None, *KINDS):
        assert "{" not in wording.failed(attempt(outcome, code))


def test_reasons_are_counted_in_their_order_and_deliveries_are_none() -> None:
    slow = attempt(Outcome.TIMEOUT, "provider_timeout", seconds=120)
    history = [slow, attempt(Outcome.RATE_LIMITED), slow, attempt(Outcome.DELIVERED, image_size="1K")]
    assert wording.reasons(history) == "2K timed out after 120 s (2 times); 2K is rate limited"
    assert wording.reasons([]) == ""


def test_a_smaller_picture_is_told_with_its_reason() -> None:
    small = ASKED.model_copy(update={"image_size": "1K"})
    what = Degraded(requested=ASKED, delivered=small, reason="2K timed out after 120 s")
    assert wording.degraded(what) == "Delivered at 1K: 2K timed out after 120 s"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"type": "queued"}, "Queued."),
        ({"type": "running"}, "Started."),
        ({"type": "succeeded"}, "Done."),
        ({"type": "failed"}, "No image could be made."),
        ({"type": "retry", "text": "2K was cut off, trying again"}, "2K was cut off, trying again."),
        ({"type": "waiting", "text": "Waiting for a free place at x."}, "Waiting for a free place at x."),
        ({"type": "image", "index": 2}, "Image 3 is there."),
        (
            {"type": "attempt", "index": 0, "provider": "openrouter", "image_size": "2K"},
            "Asking openrouter for image 1 at 2K.",
        ),
        (
            {"type": "attempt", "index": 1, "provider": "aihubmix", "image_size": "1K", "quality": "low"},
            "Asking aihubmix for image 2 at 1K, low quality.",
        ),
        ({"type": "something new"}, "something new"),
    ],
    ids=str,
)
def test_an_event_is_told_in_one_line(event: dict[str, Any], line: str) -> None:
    assert wording.told(JobEvent(at=WHEN, **event)) == line


@pytest.mark.parametrize(
    ("code", "seconds", "words"),
    [
        ("", 12, "Waiting for a free place at openrouter."),
        ("provider_rate_limited", 30, "Waiting 30 s: openrouter takes no more calls now."),
        ("provider_down", 8, "openrouter is unavailable, trying again in 8 s."),
        ("provider_unreachable", 300, "openrouter is unavailable, trying again in 5 min."),
    ],
)
def test_a_wait_is_told_with_its_reason(code: str, seconds: float, words: str) -> None:
    assert wording.waiting("openrouter", code, seconds) == words


def test_a_provider_that_is_left_alone_is_told() -> None:
    assert wording.unavailable("openrouter") == "openrouter is unavailable"
