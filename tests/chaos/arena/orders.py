"""What clients ask for in a campaign: made from its seed, kept as JSON lines for the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

OWNERS = 20
REFUSED = 0.02  # of the orders are refused by the provider
CANCELLED = 0.06
IMPATIENT = 0.03  # are handed in once, whatever comes of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing that a client wants; `key` is its idempotency key and stands in its prompt."""

    key: str
    owner: str
    count: int
    image_size: str
    at: float  # seconds after the start
    is_refused: bool = False
    cancel_after: float | None = None
    is_hasty: bool = False

    @property
    def prompt(self) -> str:
        """What the provider reads."""
        return f"{self.key} {'[refuse]' if self.is_refused else 'a fox'}"


def make_orders(seed: int, number: int, *, over_s: float) -> list[Order]:
    """Make a burst at the start, and the rest spread over the time of the storm."""
    dice = Random(f"orders {seed}")
    return [_order(dice, index, 0.0 if index < number / 10 else dice.uniform(0, over_s)) for index in range(number)]


def _order(dice: Random, index: int, at: float) -> Order:
    kind = dice.random()
    is_cancelled = REFUSED <= kind < REFUSED + CANCELLED
    return Order(
        key=f"order-{index:05}",
        owner=f"owner-{dice.randrange(OWNERS)}",
        count=dice.choices((1, 2, 3, 4), (80, 12, 5, 3))[0],
        image_size=dice.choices(("1K", "2K", "4K"), (20, 50, 30))[0],
        at=at,
        is_refused=kind < REFUSED,
        cancel_after=dice.expovariate(0.7) if is_cancelled else None,
        is_hasty=kind > 1 - IMPATIENT,
    )


def write_orders(path: Path, orders: Iterable[Order]) -> None:
    """Write orders as JSON lines, the earliest first."""
    lines = (json.dumps(asdict(order)) for order in sorted(orders, key=lambda order: order.at))
    path.write_text("\n".join(lines) + "\n")


def read_orders(path: Path) -> list[Order]:
    """Read what `write_orders` wrote."""
    return [Order(**json.loads(line)) for line in path.read_text().splitlines()]
