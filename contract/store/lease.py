"""A worker's lease of a job, and what it hears when it holds that no longer or may not call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field


class LeaseLost(Exception):
    """The job is not this worker's any more: cancelled, or claimed by another."""


class CallRefused(Exception):
    """A provider call may not be made; the message is an error code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's hold on a job, with Redis's time carried on by the local monotonic clock."""

    job_id: str
    fence: int
    deadline_ms: int
    fields: Mapping[str, str] = field(repr=False)
    claimed_ms: int
    claimed_at: float = field(default_factory=time.monotonic)

    def now_ms(self) -> float:
        """Tell Redis's time without asking it."""
        return self.claimed_ms + 1000 * (time.monotonic() - self.claimed_at)

    def left_s(self) -> float:
        """Tell how many seconds the job still has."""
        return (self.deadline_ms - self.now_ms()) / 1000
