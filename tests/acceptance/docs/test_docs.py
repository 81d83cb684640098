"""What the pages list is what there is: routes and settings. test_pages.py runs their examples."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from contract.settings.environment import Environment
from tests.support.stack.stack import Stack

ROOT = Path(__file__).parents[3]
README, HTTP = ((ROOT / name).read_text() for name in ("README.md", "docs/reference/http.md"))


@pytest.mark.real_redis
async def test_routes_are_those_of_the_page(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=await stack.start_gateway()) as client:
        routes = (await client.get("/openapi.json")).json()["paths"]
    told = re.findall(r"(GET|POST|DELETE) (/[\w/{}.]+)", HTTP.partition("## Tokens")[0])
    shapes = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in told}
    real = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path in routes for method in routes[path]}
    undescribed = {("GET", path) for path in ("/health", "/healthz", "/docs", "/openapi.json", "/problems/{}")}
    assert shapes == real | undescribed


def test_every_setting_has_its_row() -> None:
    settings = set(re.findall(r"DARKROOM_[A-Z_]+", README.partition("## Configuration")[2]))
    assert {f"DARKROOM_{name.upper()}" for name in Environment.model_fields} <= settings
