"""The table of limits names variables and tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

from contract.settings.environment import Environment
from producer.error_catalogue import ALL_KINDS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/explanation/limits.md").read_text()
TABLE = [line for line in PAGE.partition("<!-- siege -->")[0].splitlines() if line.startswith("| ")][1:]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE]


def test_each_row_names_a_test_that_there_is() -> None:
    assert len(ROWS) > 15
    for row in ROWS:
        [named] = re.findall(r"`(\S+)`", row[-1])
        path, _, name = named.partition("::")
        source = (ROOT / "tests" / path).read_text()
        assert f"def {name}" in source, named


def test_variables_and_codes_are_known() -> None:
    variables = {f"DARKROOM_{name.upper()}" for name in Environment.model_fields}
    assert set(re.findall(r"DARKROOM_\w+", PAGE)) <= variables
    refusals = " ".join(row[3] for row in ROWS)
    codes = re.findall(r"(?:\d{3}) `(\w+)`", refusals)
    assert len(codes) > 10
    for status, code in re.findall(r"(\d{3}) `(\w+)`", refusals):
        assert ALL_KINDS[code].status == int(status), code
