"""Decides which step a generation call gets: what its model says, the script's next one, what the prompt asks, success.

A script is a list of steps for calls whose prompt (and model) contain a text. Each step is used once,
unless it says `times`. People who play with the demo write steps into the prompt: `[slow 8]`, `[fail]`.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from simulator.providers.order import Order

MODEL_PREFIX = "sim/"
MODEL_IN_HEAD = re.compile(r'(?:^|")sim/(\w+(?:\.\w+)?)(?:"|/predictions$)')


@dataclass(frozen=True)
class Step:
    """Names a behaviour and its parameters; `name` is what the script called it."""

    kind: str = "ok"
    options: Mapping[str, object] = field(default_factory=dict)
    name: str = ""

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

    def peek(self) -> Step | None:
        """Return the next step and leave it."""
        return self.steps[0] if self.steps else self.last

    def take(self) -> Step | None:
        """Take the next step."""
        return self.steps.popleft() if self.steps else self.last

    def means(self, order: Order) -> bool:
        """Say whether the queue is for this call."""
        return self.match in order.prompt and self.model in order.model

    def may_mean(self, path: str, start: str) -> bool:
        """Say whether the queue is for a call of which only the beginning is known."""
        found = self.match in start or json.dumps(self.match)[1:-1] in start
        return found and (self.model in path or self.model in start)


Catalogue = Mapping[str, Mapping[str, Step]]


class Script:
    """Keeps the queues; the oldest one that matches and has a step left wins."""

    def __init__(
        self, *, kinds: Iterable[str], variants: Iterable[str], catalogue: Catalogue, early: Collection[str]
    ) -> None:
        self._kinds = frozenset(kinds)
        self._variants = frozenset(variants)
        self._catalogue = catalogue
        self._early = early
        self._queues: list[Queue] = []
        self.otherwise: Callable[[Order], Step] = lambda order: Step(name="ok")

    def add(self, steps: Iterable[Mapping[str, object]], *, match: str = "", model: str = "") -> None:
        """Append steps, or raise ValueError if one is not understood."""
        queued: deque[Step] = deque()
        last: Step | None = None
        for raw in steps:
            if last is not None:
                raise ValueError("a step after one with times=always is never reached")
            step = self.parse(raw)
            times = raw.get("times", 1)
            if times == "always":
                last = step
            elif isinstance(times, int) and times > 0:
                queued.extend([step] * times)
            else:
                raise ValueError(f"times must be a positive number or 'always', not {times!r}")
        self._queues.append(Queue(match=match, model=model, steps=queued, last=last))

    def parse(self, raw: Mapping[str, object]) -> Step:
        """Understand one step, or raise ValueError."""
        kind, variant = raw.get("kind"), raw.get("variant")
        options = {name: value for name, value in raw.items() if name not in {"kind", "times"}}
        if isinstance(kind, str) and kind in self._catalogue:
            return _look_up(self._catalogue[kind], kind, variant, options)
        if not isinstance(kind, str) or kind not in self._kinds:
            known = ", ".join([*sorted(self._kinds), *self._catalogue])
            raise ValueError(f"unknown kind {kind!r}; known are {known}")
        if variant is not None and variant not in self._variants:
            raise ValueError(f"unknown variant {variant!r}; known are {', '.join(sorted(self._variants))}")
        return Step(kind, options, kind)

    def _from_model(self, model: str) -> Step | None:
        if not model.startswith(MODEL_PREFIX):
            return None
        kind, _, variant = model.removeprefix(MODEL_PREFIX).partition(".")
        return self.parse({"kind": kind, "variant": variant} if variant else {"kind": kind})

    def next_step(self, order: Order) -> Step:
        """Choose the step for this call, or raise ValueError if its model names an unknown one."""
        if step := self._from_model(order.model):
            return step
        for queue in self._queues:
            if queue.means(order) and (step := queue.take()):
                return step
        return step_from_prompt(order) or self.otherwise(order)

    def early_step(self, path: str, start: bytes) -> Step | None:
        """Choose a step that must begin before the call is wholly read; `start` is the beginning of its body."""
        text = start.decode("utf-8", "replace")
        named = MODEL_IN_HEAD.search(text) or re.search(r"/sim/(\w+(?:\.\w+)?)/", path)
        if named:
            return self._early_only(named[1])
        for queue in self._queues:
            if queue.peek() and queue.may_mean(path, text):
                step = queue.peek()
                return queue.take() if step and step.kind in self._early else None
        return None

    def _early_only(self, name: str) -> Step | None:
        try:
            step = self._from_model(MODEL_PREFIX + name)
        except ValueError:
            return None
        return step if step and step.kind in self._early else None

    def clear(self) -> None:
        """Forget all queues."""
        self._queues.clear()


def _look_up(variants: Mapping[str, Step], kind: str, variant: object, options: dict[str, object]) -> Step:
    name = variant if variant is not None else next(iter(variants))
    if not isinstance(name, str) or name not in variants:
        raise ValueError(f"unknown variant {name!r} of {kind}; known are {', '.join(variants)}")
    options.pop("variant", None)
    return Step(variants[name].kind, {**variants[name].options, **options}, f"{kind}.{name}")


def step_from_prompt(order: Order) -> Step | None:
    """Return the step that the prompt asks for in square brackets, if any."""
    for pattern, make_step in DIRECTIVES:
        if (found := pattern.search(order.prompt)) and (step := make_step(found, order)):
            return step
    return None


def _time_out(found: re.Match[str], order: Order) -> Step | None:
    return Step("hang", name="hang") if found[1].upper() == order.tier else None


Directive = Callable[[re.Match[str], Order], Step | None]

DIRECTIVES: list[tuple[re.Pattern[str], Directive]] = [
    (re.compile(r"\[(512|1K|2K|4K) times out\]", re.IGNORECASE), _time_out),
    (re.compile(r"\[fail\]", re.IGNORECASE), lambda found, order: Step("status", {"status": 500}, "status")),
    (
        re.compile(r"\[refuse(?: after (\d{1,4}(?:\.\d+)?))?\]", re.IGNORECASE),
        lambda found, order: Step("refuse", {"seconds": float(found[1] or 0)}, "refuse"),
    ),
    (
        re.compile(r"\[slow (\d{1,4}(?:\.\d+)?)\]", re.IGNORECASE),
        lambda found, order: Step("slow", {"seconds": float(found[1])}, "slow"),
    ),
]
