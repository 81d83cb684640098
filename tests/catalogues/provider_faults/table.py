"""The whole table: for each row of the specification, what becomes of a job in each of its variants."""

from tests.catalogues.provider_faults.answer import ANSWER
from tests.catalogues.provider_faults.expectation import Expect, Variants
from tests.catalogues.provider_faults.link import LINK
from tests.catalogues.provider_faults.picture import PICTURE
from tests.catalogues.provider_faults.status import STATUS
from tests.catalogues.provider_faults.wire import WIRE

EXPECTED: dict[str, Variants] = {**WIRE, **STATUS, **ANSWER, **PICTURE, **LINK}
MOODS = {  # these need many jobs: tests/acceptance/provider_faults/test_moods.py
    "P81": ("flap", "errors", "slow", "brown_out"),
    "P82": ("reset", "503", "hang"),
    "P83": ("two_at_once", "with_retry_after"),
}
NOT_USED = ("P13", "P19", "P27", "P31", "P41", "P52", "P70", "P78", "P80")  # ids that the specification leaves out


def cases() -> list[tuple[str, str, Expect]]:
    """List row, variant and expectation of every case."""
    return [(row, variant, expect) for row, variants in EXPECTED.items() for variant, expect in variants.items()]
