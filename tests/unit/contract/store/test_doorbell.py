"""The doorbell's link to Redis."""

from __future__ import annotations

import pytest
from celery.exceptions import OperationalError

from contract.store.celery_app import celery_app


def test_a_broker_that_is_away_for_long_is_not_tried_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    pauses: list[float] = []
    with (
        pytest.raises(OperationalError, match="refused"),
        celery_app("redis://127.0.0.1:1/0").connection_for_read() as line,
    ):
        line.ensure_connection(lambda _, pause_s: pauses.append(pause_s), 30)
    assert len(pauses) == 30
    assert max(pauses) <= 2
