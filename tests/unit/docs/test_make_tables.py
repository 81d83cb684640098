"""The tables of the pages say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from contract.provider_specs import SPECS
from contract.settings.environment import GROUPS, Environment
from docs import environment_variables
from docs.make_tables import ROOT, TABLES, filled, pages
from producer.cli.first_config import first_config


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_tables_of_a_page_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert filled(text) == text, "run `make docs`"


def test_every_table_stands_somewhere_and_nothing_but_a_table_is_named() -> None:
    named = [name for page in pages() for name in re.findall(r"<!-- table: (.*?) -->", page.read_text())]
    assert sorted(named) == sorted(TABLES)


def test_every_provider_has_its_row_and_its_first_configuration() -> None:
    page = (ROOT / "docs/reference/providers.md").read_text()
    examples = [json.loads(code) for code in re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]
    assert examples == [first_config(spec) for spec in SPECS.values()]
    for spec in SPECS.values():
        assert f"| {spec.title} | `{spec.name}` |" in page
        assert f"| {spec.api_base} | {spec.timeout_s:g} s |" in page


def test_every_variable_is_described_once_and_told_in_its_row() -> None:
    told = [variable for group in GROUPS for variable in environment_variables.variables(group)]
    assert sorted(variable.name for variable in told) == sorted(
        f"DARKROOM_{name.upper()}" for name in Environment.model_fields
    )
    assert [variable.name for variable in told if len(variable.sentence) < 15 or variable.sentence.endswith(".")] == []
    rows = "\n".join(environment_variables.tables())
    assert "| `DARKROOM_LEASE_SECONDS` | number | `15` | how long a silent worker keeps its jobs, at least 5 |" in rows
    assert (
        "| `DARKROOM_BUDGET_USD_PER_DAY` | number | `0`: no limit | what one owner may spend in a day (UTC) |" in rows
    )
    assert "in addition to `localhost`: `darkroom.example.org,gateway` |" in rows
    assert (
        "| `DARKROOM_ATTEMPT_TIMEOUT_SECONDS` | number | that of the provider | time-out of one provider call" in rows
    )


def test_env_example_is_made_of_the_same_sentences() -> None:
    text = environment_variables.EXAMPLE.read_text()
    compose = (ROOT / "docker-compose.yml").read_text()
    assert environment_variables.example(text, compose) == text, "run `make docs`"
    assert "\n# How long a silent worker keeps its jobs, at least 5.\n# DARKROOM_LEASE_SECONDS=15\n" in text
    emptied = text.replace("# DARKROOM_LEASE_SECONDS=15\n", "")
    assert environment_variables.example(emptied, compose) == text
    assert "DARKROOM_LEASE_SECONDS" not in environment_variables.example(text, compose.replace("LEASE_SECONDS", "X"))
