"""`python -m tests.chaos [campaign …] [--seed N]`: run campaigns, report, exit 1 if something is not as promised."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import CAMPAIGNS, run
from tests.chaos.verdict.report import lines, page
from tests.chaos.verdict.result import Result


def main() -> None:
    """Run one campaign after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("campaigns", nargs="*", metavar="campaign", help=", ".join(CAMPAIGNS), default=["short"])
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="repeats a storm")
    parser.add_argument("--keep", type=Path, help="a folder for what is left, to be looked at")
    parser.add_argument("--write", type=Path, help="write the results as a page")
    wishes = parser.parse_args()
    results = [_run(name, wishes.seed, wishes.keep) for name in wishes.campaigns]
    if wishes.write:
        wishes.write.write_text(page(results))
    sys.exit(1 if any(list(result.problems()) for result in results) else 0)


def _run(name: str, seed: int, keep: Path | None) -> Result:
    print(f"{name}: seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dr-") as scratch:
        folder = keep / name if keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(run(CAMPAIGNS[name], seed, folder, lambda text: print(text, flush=True)))
    print(*lines(result), sep="\n")
    problems = list(result.problems())
    print(*(f"  NOT AS PROMISED: {problem}" for problem in problems[:100]), sep="\n", flush=True)
    return result


if __name__ == "__main__":
    main()
