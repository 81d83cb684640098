"""Decides which step a generation call gets: the script's next one, what the prompt asks for, or success.

A script is a list of steps for calls whose prompt (and model) contain a text. Each step is used once,
unless it says `times`. People who play with the demo write steps into the prompt: `[slow 8]`, `[fail]`.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from simulator.order import Order


@dataclass(frozen=True)
class Step:
    """Names a behaviour and its parameters."""

    kind: str = "ok"
    options: Mapping[str, object] = field(default_factory=dict)

    def text(self, name: str, default: str) -> str:
        """Return a parameter that is a string."""
        value = self.options.get(name, default)
        return value if isinstance(value, str) else default

    def number(self, name: str, default: float) -> float:
        """Return a parameter that is a number."""
        value = self.options.get(name, default)
        return value if isinstance(value, int | float) else default


@dataclass(kw_only=True)
class Queue:
    """Holds steps for the calls that match; `last` repeats for ever once the others are used."""

    match: str
    model: str
    steps: deque[Step]
    last: Step | None

    def next_step(self, order: Order) -> Step | None:
        """Take the next step if this call is meant."""
        if self.match not in order.prompt or self.model not in order.model:
            return None
        return self.steps.popleft() if self.steps else self.last


class Script:
    """Keeps the queues; the oldest one that matches and has a step left wins."""

    def __init__(self, *, kinds: Iterable[str], variants: Iterable[str]) -> None:
        self._kinds = frozenset(kinds)
        self._variants = frozenset(variants)
        self._queues: list[Queue] = []

    def add(self, steps: Iterable[Mapping[str, object]], *, match: str = "", model: str = "") -> None:
        """Append steps, or raise ValueError if one is not understood."""
        queued: deque[Step] = deque()
        last: Step | None = None
        for raw in steps:
            if last is not None:
                raise ValueError("a step after one with times=always is never reached")
            step = self._parse(raw)
            times = raw.get("times", 1)
            if times == "always":
                last = step
            elif isinstance(times, int) and times > 0:
                queued.extend([step] * times)
            else:
                raise ValueError(f"times must be a positive number or 'always', not {times!r}")
        self._queues.append(Queue(match=match, model=model, steps=queued, last=last))

    def _parse(self, raw: Mapping[str, object]) -> Step:
        kind = raw.get("kind")
        if not isinstance(kind, str) or kind not in self._kinds:
            raise ValueError(f"unknown kind {kind!r}; known are {', '.join(sorted(self._kinds))}")
        variant = raw.get("variant")
        if variant is not None and variant not in self._variants:
            raise ValueError(f"unknown variant {variant!r}; known are {', '.join(sorted(self._variants))}")
        return Step(kind, {name: value for name, value in raw.items() if name not in {"kind", "times"}})

    def next_step(self, order: Order) -> Step:
        """Choose the step for this call."""
        for queue in self._queues:
            if step := queue.next_step(order):
                return step
        return step_from_prompt(order) or Step()

    def clear(self) -> None:
        """Forget all queues."""
        self._queues.clear()


def step_from_prompt(order: Order) -> Step | None:
    """Return the step that the prompt asks for in square brackets, if any."""
    for pattern, make_step in DIRECTIVES:
        if (found := pattern.search(order.prompt)) and (step := make_step(found, order)):
            return step
    return None


def _time_out(found: re.Match[str], order: Order) -> Step | None:
    return Step("hang") if found[1].upper() == order.tier else None


Directive = Callable[[re.Match[str], Order], Step | None]

DIRECTIVES: list[tuple[re.Pattern[str], Directive]] = [
    (re.compile(r"\[(512|1K|2K|4K) times out\]", re.IGNORECASE), _time_out),
    (re.compile(r"\[fail\]", re.IGNORECASE), lambda found, order: Step("status", {"status": 500})),
    (re.compile(r"\[refuse\]", re.IGNORECASE), lambda found, order: Step("refuse")),
    (
        re.compile(r"\[slow (\d{1,4}(?:\.\d+)?)\]", re.IGNORECASE),
        lambda found, order: Step("slow", {"seconds": float(found[1])}),
    ),
]
