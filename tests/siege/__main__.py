"""`python -m tests.siege [abuse …] [--gateways N] [--workers N]`: exit 1 if one harms others."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.siege.abuses.table import ABUSES
from tests.siege.report import heading, lines, problems, write
from tests.siege.siege import ABUSE_S, besiege


def main() -> None:
    """Run the siege."""
    parser = argparse.ArgumentParser(prog="python -m tests.siege", description=__doc__)
    parser.add_argument("abuses", nargs="*", metavar="abuse", help=", ".join(ABUSES), default=[*ABUSES])
    parser.add_argument("--gateways", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=ABUSE_S, help="of each abuse")
    parser.add_argument("--keep", type=Path, help="an empty folder for what is left, to be looked at")
    parser.add_argument("--write", type=Path, help="a page that has the table")
    wishes = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dr-") as scratch:
        phases = asyncio.run(
            besiege(
                wishes.keep or Path(scratch),
                wishes.abuses,
                gateways=wishes.gateways,
                workers=wishes.workers,
                seconds=wishes.seconds,
                say=lambda text: print(text, flush=True),
            )
        )
    table = "\n".join([f"{heading(wishes.gateways, wishes.workers)}.", "", *lines(phases)])
    print(f"\n{table}\n\n{time.monotonic() - began:.0f} s")
    if wishes.write:
        write(wishes.write, table)
    found = [problem for phase in phases for problem in problems(phase, phases[0])]
    print(*(f"NOT AS PROMISED: {problem}" for problem in found), sep="\n", flush=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
