"""A thread that has become free wakes Celery's loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from kombu.asynchronous import Hub, get_event_loop, set_event_loop

from worker.process.waking_pool import WakingPool


class Noting(Hub):  # type: ignore[misc]
    """Notes whether the bell was answered when it was woken."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = threading.Event()
        self.answered: list[str] = []
        self.found: list[list[str]] = []

    def call_soon(self, callback: Callable[[], None], *call: object) -> object:
        self.found.append([*self.answered])
        self.woken.set()
        return super().call_soon(callback, *call)


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_celerys_loop_is_woken_when_a_bell_is_answered(fails: bool, is_lost: bool) -> None:
    before, hub, pool = get_event_loop(), Noting(), WakingPool(limit=1)
    if is_lost:  # Redis, for a moment
        hub.reset()
        assert get_event_loop() is None
    pool.register_with_event_loop(hub)

    def answer() -> str:
        if fails:
            raise OSError
        return "good"

    pool.on_apply(answer, (), {}, hub.answered.append)
    assert hub.woken.wait(10)
    assert hub.found == [[] if fails else ["good"]]
    next(hub.create_loop())  # does not wait
    pool.on_stop()
    hub.close()
    set_event_loop(before)


def test_without_a_loop_a_bell_is_answered_too() -> None:
    pool, answered = WakingPool(limit=1), threading.Event()
    pool.on_apply(answered.set, (), {}, lambda _: None)
    assert answered.wait(10)
    pool.on_stop()
