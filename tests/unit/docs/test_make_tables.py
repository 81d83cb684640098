"""The tables of the pages say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from contract.provider_specs import SPECS
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
