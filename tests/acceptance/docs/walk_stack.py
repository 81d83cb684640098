"""Beside a running `darkroom up`, and beside `up --demo`: all pages are read at the same time, each in its terminal.

tests/acceptance/docs/test_pages.py runs this in a network of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.support.pages.block import Block, How, blocks, pages
from tests.support.pages.desk import QUICKSTART, README, Desk, open_desk
from tests.support.pages.terminal import Terminal

GATEWAY = "http://127.0.0.1:8790"
HOOK = """curl -H "$auth" -H "$json" -d '{"prompt": "a hare", "webhook_url": "https://chat.example.org/%s"}' \
$darkroom/v1/jobs"""
CHECK = """
import json, pathlib, runpy, sys
job_of, heard = runpy.run_path(sys.argv[1])["job_of"], json.loads(pathlib.Path(sys.argv[2]).read_text())
print(job_of(heard["headers"], heard["body"].encode())["state"])
try:
    job_of(heard["headers"], heard["body"].encode() + b" ")
except Exception as error:
    print(type(error).__name__)
"""

IMAGES = re.compile(r"^/.*/img_\w+\.png$", re.MULTILINE)

Told = dict[Block, str]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("is_demo", [True, False], ids=["up --demo", "up"])
async def test_all_pages(tmp_path: Path, is_demo: bool) -> None:
    async with open_desk(tmp_path) as desk, desk.up(is_demo=is_demo) as said, asyncio.TaskGroup() as readers:
        for page in pages():
            readers.create_task(_read(page, desk, said))


async def _read(page: str, desk: Desk, said: list[str]) -> None:
    """Do what a page says, from top to bottom, and see what came of it."""
    async with desk.terminal(page) as terminal:
        told = {}
        for block in blocks(page):
            try:
                told[block] = await _run(block, terminal)
            except AssertionError as error:
                raise AssertionError(f"{error}\nThe stack said:\n{''.join(said)}") from error
        if page in CHECKS:
            await CHECKS[page](terminal, told)
        for block in blocks(page):
            if "def job_of" in block.text:
                await _check_webhook(block, terminal, desk)


async def _run(block: Block, terminal: Terminal) -> str:
    match block.how:
        case How.SHELL:
            return await terminal.type(block)
        case How.PYTHON:
            return await terminal.run_python(block)
        case How.NODE:
            [name] = re.findall(r"^node (\S+)$", "".join(one.text for one in blocks(block.page)), re.MULTILINE)
            (terminal.folder / name).write_text(block.text)
            (terminal.folder / "node_modules").symlink_to(os.environ["PAGES_NODE_MODULES"])
        case How.EXCHANGE:
            await _exchange(block, terminal)
    return ""


async def _exchange(block: Block, terminal: Terminal) -> None:
    """Send the request of a block; … in the answer is what differs each time."""
    request, _, answer = block.text.partition("\n\n")
    line, body = request.split("\n")
    method, path = line.split()
    head, _, document = answer.partition("\n\n")
    status, *headers = head.split("\n")
    async with httpx.AsyncClient(base_url=GATEWAY, headers=await _bearer(terminal)) as client:
        real = await client.request(method, path, json=json.loads(body))
    assert f"{real.http_version} {real.status_code} " == status[: len("HTTP/1.1 422 ")]
    for header in headers:
        name, _, value = header.partition(": ")
        assert real.headers[name] == value
    assert real.json() | {"instance": "urn:request:req_…"} == json.loads(document)


async def _check_readme(terminal: Terminal, told: Told) -> None:
    real, http, sdk, python = (_of(told, words) for words in ("app icon", "Prefer: wait", "OpenAI", "load_settings"))
    assert "ok" in real
    assert "wrong" not in real
    assert len(IMAGES.findall(real)) == 1
    assert json.loads(_last_line(http))["state"] == "succeeded"
    async with httpx.AsyncClient() as client:
        image = await client.get(sdk.strip())
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    assert python.count("img_") == 2


async def _check_quickstart(terminal: Terminal, told: Told) -> None:
    generated, followed = _of(told, "2K times out"), _of(told, "darkroom watch")
    assert len(IMAGES.findall(generated)) == 4 + 1 + 1
    assert "1K" in generated
    assert "Image 1 is there" in followed
    assert len(json.loads(_last_line(_of(told, "Prefer: wait")))["images"]) == 2
    assert "wrong" not in _of(told, "darkroom doctor")


async def _check_howto_http(terminal: Terminal, told: Told) -> None:
    job, edit = _read_json(terminal, "done.json"), _read_json(terminal, "edit.json")
    assert (job["state"], len(job["images"])) == ("succeeded", 2)
    assert "event: succeeded" in _of(told, "curl -N")
    assert edit["request"]["reference_images"] == [_read_json(terminal, "upload.json")["id"]]
    assert json.loads(_of(told, "Idempotency-Key"))["state"] == "succeeded"
    assert _size(terminal, "same.png") == (job["images"][0]["width"], job["images"][0]["height"])
    width, height = _size(terminal, "fox.png")  # of OpenAI's SDK
    assert width > height


async def _check_http(terminal: Terminal, told: Told) -> None:
    lines = {line for block in told.values() for line in block.splitlines()}
    assert {"304", "204"} <= lines
    ids = re.findall(r"^[0-9a-f-]{36}$", _of(told, "order-17"), re.MULTILINE)
    assert (len(ids), len(set(ids))) == (2, 1), "the same key, the same job"
    assert max(_size(terminal, "small.jpg")) == 256 < max(_size(terminal, "fox.png"))
    assert len((terminal.folder / "begin.png").read_bytes()) == 100
    assert _read_json(terminal, "again.json")["retry_of"] == _read_json(terminal, "slow.json")["id"]
    assert _read_json(terminal, "edit.json")["data"][0]["b64_json"]


async def _check_clients(terminal: Terminal, told: Told) -> None:
    for sdk in ("answer.model_extra", "node fox.mjs"):
        encoded, job_id = _of(told, sdk).split()
        assert (encoded.startswith("iVBOR"), len(job_id)) == (True, 36), sdk
    for client in ("IMAGES_OPENAI_API", "IMAGES_EDIT_OPENAI_API", "IMAGE_GEN_OAI"):
        key = {"IMAGE_GEN_OAI": f"${client}_API_KEY"}.get(client, f"${client}_KEY")
        base = {"IMAGE_GEN_OAI": f"${client}_BASEURL"}.get(client, f"${client}_BASE_URL")
        model = {"IMAGES_OPENAI_API": "$IMAGE_GENERATION_MODEL", "IMAGES_EDIT_OPENAI_API": "$IMAGE_EDIT_MODEL"}
        values = (await terminal.ask(f'echo "{base} {key} {model.get(client, "$IMAGE_GEN_OAI_MODEL")}"')).split()
        async with httpx.AsyncClient(base_url=values[0], headers={"Authorization": f"Bearer {values[1]}"}) as http:
            assert (await http.get(f"models/{values[2]}")).status_code == 200, client


async def _check_webhook(block: Block, terminal: Terminal, desk: Desk) -> None:
    """Have a job's end told, and read it with the block, in a process of its own."""
    if block.page == "docs/reference/http.md":
        await desk.receiver.hears(path="/pictures", within_s=30)  # the page's own
    path = f"/{block.slug}"
    await terminal.ask(HOOK % path[1:])
    [heard] = await desk.receiver.hears(path=path, within_s=30)
    (terminal.folder / "heard.json").write_text(json.dumps({"headers": heard.headers, "body": heard.body.decode()}))
    (terminal.folder / "block.py").write_text(block.text)
    (terminal.folder / "check.py").write_text(CHECK)
    told = await terminal.ask("python check.py block.py heard.json")
    assert told.split() == ["succeeded", "WebhookVerificationError"]


CHECKS = {
    README: _check_readme,
    QUICKSTART: _check_quickstart,
    "docs/howto/clients.md": _check_clients,
    "docs/howto/http.md": _check_howto_http,
    "docs/reference/http.md": _check_http,
}


async def _bearer(terminal: Terminal) -> dict[str, str]:
    return {"Authorization": f"Bearer {(await terminal.ask('echo $DARKROOM_TOKEN')).strip()}"}


def _of(told: Told, words: str) -> str:
    [found] = [answer for block, answer in told.items() if words in block.text and block.how is not How.NODE]
    return found


def _last_line(answer: str) -> str:
    return answer.strip().splitlines()[-1]  # `token create` says more before it


def _read_json(terminal: Terminal, name: str) -> Any:
    return json.loads((terminal.folder / name).read_text())


def _size(terminal: Terminal, name: str) -> tuple[int, int]:
    with Image.open(terminal.folder / name) as image:
        return image.size
