"""What the OpenAPI page promises is kept: schemathesis plays it; and the page can be read without the Internet."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.catalogues.bad_input.gateway import PLENTY, Gate
from tests.support.stack.stack import House

pytestmark = pytest.mark.real_redis
RULES = Path(__file__).with_name("schemathesis.toml")
ADDRESS = re.compile(r"""["'`(](https?://|//)[\w.-]""")


async def test_every_operation_does_what_its_page_says(house: House, tmp_path: Path) -> None:
    token = house.token()
    url, _ = await asyncio.gather(house.start_gateway(**PLENTY), house.start_worker())
    told = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(RULES), "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {token}", "--workers", "2"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await told.communicate())[0].decode()
    print(output[-400:])
    if told.returncode != 0:
        pytest.fail(output, pytrace=False)
    assert "Traceback" not in house.logs("gateway")


def operations(gate: Gate) -> Iterator[tuple[str, dict[str, Any]]]:
    """List all operations of the page."""
    for path, methods in gate.client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_everything_is_described(gate: Gate) -> None:
    silent = [name for name, operation in operations(gate) if len(operation["description"]) < 20]
    nameless = [
        f"{name}: {parameter['name']}"
        for name, operation in operations(gate)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and "description" not in parameter
    ]
    assert (silent, nameless, len(list(operations(gate)))) == ([], [], 18)


def test_every_body_and_every_error_has_an_example(gate: Gate) -> None:
    without = []
    for name, operation in operations(gate):
        wrong = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert wrong.keys() >= {"400", "421", "431", "500"}, name
        contents = {"body": operation.get("requestBody", {})} | wrong
        without += [
            f"{name}: {where} as {kind}"
            for where, part in contents.items()
            for kind, content in part.get("content", {}).items()
            if not ("example" in content or "examples" in content["schema"]) and name != "get /readyz"
        ]
    assert without == []


@pytest.mark.parametrize(
    ("path", "schema"), [("/v1/jobs/{job}", "JobResponse"), ("/v1/artifacts/{image}/sidecar", "SidecarResponse")]
)
def test_what_a_token_is_not_shown_is_not_promised(path: str, schema: str, gate: Gate) -> None:
    schemas = gate.client.get("/openapi.json").json()["components"]["schemas"]
    shown = gate.ask("GET", path.format(job=gate.job["id"], image=gate.image["id"])).json()
    assert set(schemas[schema]["required"]) <= shown.keys() <= schemas[schema]["properties"].keys()
    assert "path" not in shown


class Links(HTMLParser):
    """The addresses that a page loads by itself, and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.is_script = False
        self.script = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what is loaded."""
        self.is_script = tag == "script"
        self.found += [value for name, value in attrs if name in ("src", "href", "action", "data") and value]

    def handle_data(self, data: str) -> None:
        """Collect what a script says."""
        self.script += data if self.is_script else ""


def test_the_page_is_read_without_another_host(gate: Gate) -> None:
    answer = gate.client.get("/docs")
    links = Links()
    links.feed(answer.text)
    hosts = {urlsplit(urljoin(gate.url, link)).netloc for link in links.found}
    assert (hosts, len(links.found) >= 3) == ({urlsplit(gate.url).netloc}, True)
    assert [gate.client.get(link).status_code for link in links.found] == [200] * len(links.found)
    assert ADDRESS.findall(links.script) == []
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]  # which holds also for what scripts load
