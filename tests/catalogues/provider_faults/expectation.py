"""The words in which the tables say what becomes of a job whose provider misbehaves.

All jobs ask for 2K unless their row says otherwise, so there are two rungs: as asked, and 1K. A manner tells how often
each of them is tried; from that follows the whole story of a job, however often the provider misbehaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from contract.jobs.job import Outcome

MOST_CALLS = 9


@dataclass(frozen=True, slots=True)
class Manner:
    """How attempts end, and how many of them each rung gets when all end so."""

    outcome: Outcome
    first: int
    lowest: int


DELIVERED = Manner(Outcome.DELIVERED, 0, 0)
INTERRUPTED = Manner(Outcome.INTERRUPTED, 2, 2)  # it may be billed: once more, then lower
TRANSIENT = Manner(Outcome.TRANSIENT, 3, MOST_CALLS - 3)  # nothing is made and nothing billed: on and on
ITS_OWN = Manner(Outcome.TRANSIENT, 3, 3)  # no other job meets it: it is a matter of this one
THROTTLED = Manner(Outcome.RATE_LIMITED, 4, MOST_CALLS - 4)
TIMED_OUT = Manner(Outcome.TIMEOUT, 1, 2)
ASKED_TO_WAIT_TOO_LONG = Manner(Outcome.RATE_LIMITED, 1, 1)
TOO_MUCH = Manner(Outcome.UNUSABLE, 1, 1)  # a smaller size may do
UNUSABLE = Manner(Outcome.UNUSABLE, 1, 0)
SHRUNK = Manner(Outcome.UNUSABLE, 2, 0)  # once more with smaller references
REJECTED = Manner(Outcome.REJECTED, 1, 0)
GONE = Manner(Outcome.INTERRUPTED, 2, 0)  # it was made and is lost: once more, and then it ends
NOT_FETCHED = Manner(Outcome.INTERRUPTED, 1, 0)  # it is made: nobody is asked again


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What becomes of a job; `code` is its error as long as the provider misbehaves."""

    manner: Manner = DELIVERED
    code: str = ""
    where: str = "calm"  # the kind of Darkroom that it runs in: `rooms.KINDS`
    waits_s: float = 0.0  # between the first two calls, at least; then only that is tried, as it takes so long
    posts: int = 1  # of one attempt
    visits: int | None = None  # polls or downloads of one misbehaving call
    said: str = ""  # part of the error's sentence
    mime: str = ""
    warning: str = ""  # part of the sidecar's warnings
    keeps: bytes = b""  # in the stored file
    drops: tuple[bytes, ...] = ()  # not in the stored file
    step: Mapping[str, object] = field(default_factory=dict)  # on top of the catalogue's
    request: Mapping[str, object] = field(default_factory=dict)


Variants = dict[str, Expect]


def same(expect: Expect, *names: str) -> Variants:
    """Expect the same of several variants."""
    return dict.fromkeys(names, expect)


@dataclass(frozen=True, slots=True)
class Story:
    """One job: the provider misbehaves `times` times, or always, and is good then."""

    expect: Expect
    times: int | None = None

    @property
    def calls(self) -> int:
        """Tell how many calls are made."""
        whole = self.expect.manner.first + self.expect.manner.lowest
        if self.expect.manner is DELIVERED:
            return 1
        return whole if self.times is None else min(self.times + 1, whole)

    @property
    def is_delivered(self) -> bool:
        """Tell whether the job succeeds."""
        return self.expect.manner is DELIVERED or self.times is not None

    @property
    def rungs(self) -> list[int]:
        """Tell on which rung each attempt is made."""
        first = self.expect.manner.first or 1
        return [0 if number < first else 1 for number in range(self.calls)]

    @property
    def outcomes(self) -> list[Outcome]:
        """Tell how each attempt ends."""
        failed = [self.expect.manner.outcome] * (self.calls - self.is_delivered)
        return [*failed, *([Outcome.DELIVERED] if self.is_delivered else [])]

    @property
    def most_s(self) -> float:
        """Tell how long the job may take: with time-outs, and a breaker that opens after five failures."""
        return 15 + 4 * self.calls + 2 * self.expect.waits_s * self.calls

    def __str__(self) -> str:
        return "always" if self.times is None else f"{self.times} times, then good"


def stories(expect: Expect) -> Iterator[Story]:
    """Tell the stories of a variant: for ever, just too long for the first rung, and just short enough for it."""
    if expect.waits_s:
        yield Story(expect, 1)
        return
    yield Story(expect)
    if expect.where == "door":  # its fault is in the port, and stays
        return
    if expect.manner.lowest:
        yield Story(expect, expect.manner.first)
    if expect.manner.first > 1:
        yield Story(expect, expect.manner.first - 1)
