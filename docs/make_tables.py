"""Fills in the tables of pages that come from the code: `make docs`.

In a page a table stands between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from contract.provider_specs import SPECS
from docs import environment_variables
from producer.api.openapi import Submission
from producer.cli.first_config import first_config

ROOT = Path(__file__).parents[1]
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "array": "list"}
_TABLE = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def providers() -> Iterator[str]:
    """List the image providers."""
    yield _row("provider", "name in config.json", "key", "base URL", "call", "sizes", "qualities")
    yield _row(*["---"] * 7)
    for spec in SPECS.values():
        yield _row(
            spec.title,
            f"`{spec.name}`",
            f"`{spec.key_variable}`" if spec.needs_key else "none",
            spec.api_base,
            f"{spec.timeout_s:g} s",
            _listed(spec.size_hints),
            _listed(spec.qualities),
        )


def first_configurations() -> Iterator[str]:
    """Show the first configuration of each provider."""
    for spec in SPECS.values():
        yield f"{spec.title}:\n\n```json\n{json.dumps(first_config(spec), indent=2)}\n```\n"


def request_fields() -> Iterator[str]:
    """List the fields of a submission over HTTP."""
    schema = Submission.model_json_schema()
    yield _row("field", "type", "meaning")
    yield _row(*["---"] * 3)
    for name, field in schema["properties"].items():
        [kind] = {choice["type"] for choice in field.get("anyOf", [field])} - {"null"}
        needed = ", required" if name in schema["required"] else ""
        yield _row(f"`{name}`", _TYPES[kind] + needed, field["description"])


TABLES: Mapping[str, Callable[[], Iterator[str]]] = {
    "providers": providers,
    "first configurations": first_configurations,
    "environment variables": environment_variables.tables,
    "request fields": request_fields,
}


def pages() -> Iterator[Path]:
    """Find the pages that may have tables."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def filled(text: str) -> str:
    """Fill in the tables of a page."""

    def table(found: re.Match[str]) -> str:
        return found[1] + "".join(f"{line}\n" for line in TABLES[found[2]]()) + found[3]

    return _TABLE.sub(table, text)


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    for page in pages():
        page.write_text(filled(page.read_text()))
    example = environment_variables.EXAMPLE
    example.write_text(environment_variables.example(example.read_text(), (ROOT / "docker-compose.yml").read_text()))
