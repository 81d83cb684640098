"""The pictures of the catalogue as bytes, for tests with or without a server.

`SPECIMENS["bomb_9000"]()` builds a specimen when it is first asked for and keeps it. `ROWS["P64"]` names the specimens
of a row. Nothing here needs the server, or more than Pillow.
"""

from collections.abc import Callable

from simulator.pictures.animation import Specimens, once
from simulator.pictures.corpus_bombs import ANIMATIONS, HEADER_BOMBS, METADATA_BOMBS, PIXEL_BOMBS
from simulator.pictures.corpus_damage import DAMAGED, HOLLOW
from simulator.pictures.corpus_foreign import FOREIGN, POLYGLOTS
from simulator.pictures.corpus_good import BLANK, GOOD, UNUSUAL
from simulator.pictures.corpus_sloppy import SLOPPY

_GROUPS: dict[str, Specimens] = {
    "good": GOOD,
    "sloppy": SLOPPY,
    "P58": HOLLOW,
    "P59": DAMAGED,
    "P61": FOREIGN,
    "P62": POLYGLOTS,
    "P63": HEADER_BOMBS,
    "P64": PIXEL_BOMBS,
    "P65": METADATA_BOMBS,
    "P66": ANIMATIONS,
    "P67": UNUSUAL,
    "P69": BLANK,
}

ROWS: dict[str, tuple[str, ...]] = {row: tuple(makers) for row, makers in _GROUPS.items()}
SPECIMENS: dict[str, Callable[[], bytes]] = {
    name: once(make) for makers in _GROUPS.values() for name, make in makers.items()
}


def specimen(name: str) -> bytes:
    """Return a specimen's bytes."""
    return SPECIMENS[name]()
