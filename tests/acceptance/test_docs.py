"""What the pages say is so: every example is run against a real gateway, and nothing there is without its row."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from house import House
from PIL import Image
from receiver import Receiver

from contract.knobs import Knobs

ROOT = Path(__file__).parents[2]
README, HTTP, ARCHITECTURE = (
    (ROOT / name).read_text() for name in ("README.md", "docs/http.md", "docs/architecture.md")
)
TOLD_BY_CURL = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }\nset -euo pipefail\n'


def blocks(page: str, language: str) -> list[str]:
    """Find the blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A folder to run examples in, beside a gateway and a receiver of webhooks."""

    folder: Path
    url: str
    token: str
    receiver: Receiver

    async def run(self, *command: str) -> str:
        """Run a program to its end, and answer what it printed."""
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def run_shell(self, *commands: str) -> str:
        """Run commands of a page, one block after the other, as somebody who reads it would."""
        return await self.run("bash", "-c", TOLD_BY_CURL + self.here("".join(commands)))

    def here(self, text: str) -> str:
        """Put our own gateway, token and receiver in the place of those of the page."""
        hook = self.receiver.url("/pictures")
        for there, ours in (
            ("http://127.0.0.1:8790", self.url),
            ("dk_…", self.token),
            ("https://chat.example.org/pictures", hook),
        ):
            text = text.replace(there, ours)
        return text

    def client(self) -> httpx.AsyncClient:
        """Make a client that shows the token."""
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"})

    def job(self, name: str) -> Any:
        """Read what a command has written."""
        return json.loads((self.folder / name).read_text())

    def size_of(self, name: str) -> tuple[int, int]:
        """Measure a picture that a command has written."""
        with Image.open(self.folder / name) as image:
            return image.size


@pytest.fixture
async def place(house: House, tmp_path: Path) -> AsyncIterator[Place]:
    if not (shutil.which("curl") and shutil.which("jq")) and not os.environ.get("CI"):
        pytest.skip("the examples need curl and jq")
    (tmp_path / "here").mkdir()
    house.environment["DARKROOM_WEBHOOK_NETWORKS"] = "127.0.0.0/8"
    async with Receiver() as receiver:
        url, _ = await asyncio.gather(house.start_gateway(), house.start_worker())
        yield Place(tmp_path / "here", url, house.token(), receiver)


@pytest.mark.real_redis
async def test_the_readme_works_as_it_stands(place: Place) -> None:
    told = await place.run_shell(*blocks(README, "sh"))
    job = place.job("done.json")
    assert (job["state"], len(job["images"]), "event: succeeded" in told) == ("succeeded", 2, True)
    assert place.size_of("fox.png") == (job["images"][0]["width"], job["images"][0]["height"])
    assert (place.folder / "same.png").read_bytes() == (place.folder / "fox.png").read_bytes()
    assert place.job("edit.json")["request"]["reference_images"] == [place.job("upload.json")["id"]]
    [openai] = [block for block in blocks(README, "python") if "import OpenAI" in block]
    await place.run(sys.executable, "-W", "ignore", "-c", place.here(openai))
    width, height = place.size_of("fox.png")
    assert width > height


@pytest.mark.real_redis
async def test_the_reference_works_as_it_stands(place: Place) -> None:
    told = await place.run_shell(*blocks(HTTP, "sh"))
    assert {"304", "204"} <= set(told.splitlines())
    ids = re.findall(r"(?:^|})([0-9a-f-]{36})$", told, re.MULTILINE)
    assert (len(ids), len(set(ids))) == (2, 1), "the same key, the same job"
    assert max(place.size_of("small.png")) == 256 < max(place.size_of("fox.png"))
    assert len((place.folder / "begin.png").read_bytes()) == 100
    assert place.job("again.json")["retry_of"] == place.job("slow.json")["id"]
    assert place.job("edit.json")["data"][0]["b64_json"]


@pytest.mark.real_redis
async def test_who_checks_webhooks_as_the_pages_say_reads_the_job(place: Place) -> None:
    names, *others = blocks(HTTP, "sh")
    await place.run_shell(names, *(block for block in others if "webhook_url" in block))
    [heard] = await place.receiver.hears()
    async with place.client() as client:
        secret = (await client.get("/v1/webhooks/secret")).json()["secret"]
    for page in (README, HTTP):
        [block] = [block for block in blocks(page, "python") if "standardwebhooks" in block]
        defined: dict[str, Any] = {}
        exec(block.replace("whsec_…", secret), defined)  # noqa: S102
        assert defined["job_of"](heard.headers, heard.body)["state"] == "succeeded"
        with pytest.raises(Exception, match="signature"):
            defined["job_of"](heard.headers, heard.body + b" ")


@pytest.mark.real_redis
async def test_errors_and_routes_are_those_of_the_page(place: Place) -> None:
    [example] = blocks(HTTP, "http")
    asked, answered = example.split("\n")[1], example.rpartition("\n\n")[2]
    async with place.client() as client:
        answer = (await client.post("/v1/jobs", json=json.loads(asked))).json()
        assert answer | {"instance": "urn:request:req_…"} == json.loads(answered)
        routes = (await client.get("/openapi.json")).json()["paths"]
    told = re.findall(r"(GET|POST|DELETE) (/[\w/{}.]+)", HTTP.partition("## Tokens")[0])
    shapes = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in told}
    real = {(method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path in routes for method in routes[path]}
    undescribed = {("GET", path) for path in ("/health", "/healthz", "/docs", "/openapi.json", "/problems/{}")}
    assert shapes == real | undescribed


def test_no_example_is_left_out() -> None:
    for page in (README, HTTP):
        fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        assert {language for language, block in fenced if "curl" in block} == {"sh"}


def test_every_setting_and_every_module_has_its_row() -> None:
    settings = set(re.findall(r"DARKROOM_[A-Z_]+", README.partition("## Configuration")[2]))
    assert {f"DARKROOM_{name.upper()}" for name in Knobs.model_fields} <= settings
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "producer/api").glob("[!_]*.py")}
    assert sorted(module for module in modules if module not in ARCHITECTURE) == []
