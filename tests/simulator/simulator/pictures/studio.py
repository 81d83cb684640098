"""Makes the pictures in threads, takes as long over it as it was told to, and hangs them up for download."""

import asyncio
import itertools
import uuid
from dataclasses import dataclass, field

from simulator.catalogue.script import Step
from simulator.pictures.draw import draw, edit, enlarge
from simulator.providers.order import Order

MAX_FILES = 64


@dataclass(kw_only=True)
class Exhibit:
    """Holds a picture that hangs for download, the step that says how it is served, and how often it was asked for."""

    picture: bytes
    step: Step = field(default_factory=Step)
    visits: int = 0


class Studio:
    """Produces pictures; no two are alike, because each gets its own seed.

    To save time they are drawn as small squares of `side` pixels and enlarged, unless that is 0.
    """

    def __init__(self, *, seconds: float, side: int = 0) -> None:
        self._usual_seconds = seconds
        self.seconds = seconds
        self.side = side
        self._seeds = itertools.count(1)
        self._files: dict[str, Exhibit] = {}

    async def develop(self, order: Order, *, seconds: float, count: int, side: int = 0) -> list[bytes]:
        """Make the pictures within the given latency, or a little later if drawing takes longer."""
        work = [asyncio.to_thread(_make, order, next(self._seeds), side) for _ in range(count)]
        pictures, _ = await asyncio.gather(asyncio.gather(*work), asyncio.sleep(seconds))
        return list(pictures)

    def publish(self, picture: bytes, step: Step) -> str:
        """Keep a picture for download as the step says and return its path; the oldest ones are dropped."""
        while len(self._files) >= MAX_FILES:
            del self._files[next(iter(self._files))]
        path = f"/files/{uuid.uuid4().hex}.png"
        self._files[path] = Exhibit(picture=picture, step=step)
        return path

    def fetch(self, path: str) -> Exhibit | None:
        """Return a published picture."""
        return self._files.get(path)

    def clear(self) -> None:
        """Forget the files and go back to the usual latency."""
        self._files.clear()
        self.seconds = self._usual_seconds


def _make(order: Order, seed: int, side: int) -> bytes:
    size = (side, side) if side else (order.width, order.height)
    base = order.references[:1]
    made = edit(base[0], order.prompt, *size, seed) if base else draw(order.prompt, *size, seed)
    return enlarge(made, order.width, order.height) if side else made
