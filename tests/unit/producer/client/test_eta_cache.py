"""Expectations are asked for once a second, however many look."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

import pytest

from contract.store.job_reader import Pace
from contract.store.producer_store import ProducerStore
from producer.client import eta
from producer.client.eta import EtaCache


class Store:
    """A job table with one slot, whose jobs take ten seconds."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def pace(self, kinds: Sequence[str]) -> dict[str, Pace]:
        """Note what is asked for."""
        self.asked.append(sorted(kinds))
        return {kind: Pace(durations_s=(10.0,) * 3, slots=1, running=1) for kind in kinds}


async def test_what_is_known_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    known = EtaCache(cast(ProducerStore, store))
    assert await known.expectations({"a": ("1K", 0), "b": ("2K", 1)}) == {"a": (20, 20), "b": (30, 30)}
    assert await known.expectations({"c": ("1K", 2), "d": ("4K", 0)}) == {"c": (40, 40), "d": (20, 20)}
    assert store.asked == [["1K", "2K"], ["4K"]]
    now = time.monotonic()
    monkeypatch.setattr("producer.client.eta.time.monotonic", lambda: now + 1.1)
    await known.expectations({"a": ("1K", 0)})
    assert store.asked[2:] == [["1K"]]


async def test_nobody_is_asked_about_nothing() -> None:
    store = Store()
    assert await EtaCache(cast(ProducerStore, store)).expectations({}) == {}
    assert store.asked == []


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eta, "MOST_KINDS", 2)
    known = EtaCache(cast(ProducerStore, Store()))
    for number in range(10):
        await known.expectations({"a": (f"kind {number}", 0)})
    assert len(known._known) <= 3
