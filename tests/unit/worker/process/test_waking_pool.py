"""A thread that has become free wakes Celery's loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kombu.asynchronous import get_event_loop, set_event_loop

from worker.process.waking_pool import WakingPool


class Hub:
    """Notes whether the bell was answered when it was woken."""

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.answered: list[str] = []
        self.found: list[list[str]] = []

    def call_soon(self, callback: Any) -> None:
        callback()
        self.found.append([*self.answered])
        self.woken.set()


@pytest.fixture
def hub() -> Iterator[Hub]:
    before, hub = get_event_loop(), Hub()
    set_event_loop(hub)
    yield hub
    set_event_loop(before)


@pytest.mark.parametrize("fails", [False, True])
def test_celerys_loop_is_woken_when_a_bell_is_answered(hub: Hub, fails: bool) -> None:
    pool = WakingPool(limit=1)

    def answer() -> str:
        if fails:
            raise OSError
        return "good"

    pool.on_apply(answer, (), {}, hub.answered.append)
    assert hub.woken.wait(10)
    assert hub.found == [[] if fails else ["good"]]
    pool.on_stop()


def test_without_a_loop_a_bell_is_answered_too() -> None:
    before = get_event_loop()
    set_event_loop(None)
    pool, answered = WakingPool(limit=1), threading.Event()
    pool.on_apply(answered.set, (), {}, lambda _: None)
    assert answered.wait(10)
    pool.on_stop()
    set_event_loop(before)
