"""Keeps what outlives one call: how often a mood was met, since when, its dice, and how many calls are at work."""

import time
from random import Random


class Moods:
    """Holds the server's state of mind, by the name of a mood."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._dice: dict[str, Random] = {}
        self.busy = 0
        self.previous: list[bytes] = []
        self._dead_until = 0.0

    @property
    def is_dead(self) -> bool:
        """Say whether every new connection is to be reset."""
        return time.monotonic() < self._dead_until

    def die(self, seconds: float) -> None:
        """Be dead for a while."""
        self._dead_until = time.monotonic() + seconds

    def count(self, name: str) -> int:
        """Return how often this was asked before."""
        before = self._counts.get(name, 0)
        self._counts[name] = before + 1
        return before

    def seconds_since_first(self, name: str) -> float:
        """Return the time since this was first asked."""
        now = time.monotonic()
        return now - self._since.setdefault(name, now)

    def roll(self, name: str, seed: int) -> float:
        """Return the next number between 0 and 1; the same seed gives the same series."""
        return self._dice.setdefault(f"{name} {seed}", Random(seed)).random()

    def clear(self) -> None:
        """Forget everything but the calls at work."""
        self._counts.clear()
        self._since.clear()
        self._dice.clear()
        self.previous = []
        self._dead_until = 0.0
