"""What the pages list is what there is: routes, settings, commands, links. test_pages.py runs their examples."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from contract.settings.environment import Environment
from producer.cli.main import app
from tests.support.stack.stack import Stack

ROOT = Path(__file__).parents[3]
README, CONFIGURATION, CLI, HTTP = (
    (ROOT / name).read_text()
    for name in (
        *("README.md", "docs/reference/configuration.md"),
        *("docs/reference/cli.md", "docs/reference/http.md"),
    )
)


@pytest.mark.real_redis
async def test_routes_are_those_of_the_page(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=await stack.start_gateway()) as client:
        routes = (await client.get("/openapi.json")).json()["paths"]
    told = re.findall(r"(GET|POST|DELETE) (/[\w/{}.]+)", HTTP.partition("## Tokens")[0])
    shapes = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in told}
    real = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path in routes for method in routes[path]}
    hidden = ("/health", "/healthz", "/docs", "/openapi.json", "/problems/{}", "/v1/images/generations/{}")
    undescribed = {("GET", path) for path in hidden}
    assert shapes == real | undescribed


def test_every_setting_has_its_row() -> None:
    settings = set(re.findall(r"`(DARKROOM_[A-Z_]+)`", "".join(_first_cells(CONFIGURATION))))
    assert {f"DARKROOM_{name.upper()}" for name in Environment.model_fields} <= settings


def test_every_command_has_its_row() -> None:
    rows = "\n".join(_first_cells(CLI))
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    commands = {
        f"{name} {inner}".strip()
        for name, command in group.commands.items()
        for inner in (command.commands if isinstance(command, TyperGroup) else [""])
    }
    assert {"generate", "token create"} <= commands
    assert sorted(name for name in commands if not re.search(rf"`{name}\b", rows)) == []


def test_the_readme_is_one_screen() -> None:
    assert len(README.splitlines()) <= 120


def _first_cells(page: str) -> list[str]:
    return re.findall(r"^\|([^|]+)\|", page, re.MULTILINE)
