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
from simulator.catalogue.script import Step

from tests.catalogues.bad_input.gateway import PLENTY, Gateway
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
RULES = Path(__file__).with_name("schemathesis.toml")
OPERATIONS = 18
ADDRESS = re.compile(r"""["'`(](https?://|//)[\w.-]""")


@pytest.mark.timeout(300)  # hundreds of requests, on however busy a machine
async def test_every_operation_does_what_its_page_says(stack: Stack, tmp_path: Path) -> None:
    token = stack.token()
    stack.simulator.improvise(lambda order: Step("ok", {"side": 96}, "ok"))  # drawing larger ones takes time
    url, _ = await asyncio.gather(stack.start_gateway(**PLENTY), stack.start_worker())
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
    counts = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)\b.*?(\d+) generated, (\d+) passed", output, re.S)
    assert counts, output
    selected, known, tested, generated, passed = map(int, counts.groups())
    assert (selected, known, tested, generated - passed) == (OPERATIONS, OPERATIONS, OPERATIONS, 0)
    assert generated > 30 * OPERATIONS
    assert "Traceback" not in stack.logs("gateway")


def operations(gateway: Gateway) -> Iterator[tuple[str, dict[str, Any]]]:
    """List all operations of the page."""
    for path, methods in gateway.client.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_everything_is_described(gateway: Gateway) -> None:
    silent = [name for name, operation in operations(gateway) if len(operation["description"]) < 20]
    nameless = [
        f"{name}: {parameter['name']}"
        for name, operation in operations(gateway)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and "description" not in parameter
    ]
    assert (silent, nameless, len(list(operations(gateway)))) == ([], [], OPERATIONS)


def test_every_body_and_every_error_has_an_example(gateway: Gateway) -> None:
    without = []
    for name, operation in operations(gateway):
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
def test_what_a_token_is_not_shown_is_not_promised(path: str, schema: str, gateway: Gateway) -> None:
    schemas = gateway.client.get("/openapi.json").json()["components"]["schemas"]
    shown = gateway.ask("GET", path.format(job=gateway.job["id"], image=gateway.image["id"])).json()
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


def test_the_page_is_read_without_another_host(gateway: Gateway) -> None:
    answer = gateway.client.get("/docs")
    links = Links()
    links.feed(answer.text)
    hosts = {urlsplit(urljoin(gateway.url, link)).netloc for link in links.found}
    assert (hosts, len(links.found) >= 3) == ({urlsplit(gateway.url).netloc}, True)
    assert [gateway.client.get(link).status_code for link in links.found] == [200] * len(links.found)
    assert ADDRESS.findall(links.script) == []
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]  # which holds also for what scripts load
