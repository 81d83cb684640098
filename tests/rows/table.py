"""The whole table: for each row of the specification, what becomes of a job in each of its variants."""

from rows.answer import ANSWER
from rows.expectation import Expect, Variants
from rows.link import LINK
from rows.picture import PICTURE
from rows.status import STATUS
from rows.wire import WIRE

EXPECTED: dict[str, Variants] = {**WIRE, **STATUS, **ANSWER, **PICTURE, **LINK}
MOODS = {  # these need many jobs: tests/acceptance/test_moods.py
    "P81": ("flap", "errors", "slow", "brown_out"),
    "P82": ("reset", "503", "hang"),
    "P83": ("two_at_once", "with_retry_after"),
}
NOT_USED = ("P13", "P19", "P27", "P31", "P41", "P52", "P70", "P78", "P80")  # ids that the specification leaves out


def cases() -> list[tuple[str, str, Expect]]:
    """List row, variant and expectation of every case."""
    return [(row, variant, expect) for row, variants in EXPECTED.items() for variant, expect in variants.items()]
