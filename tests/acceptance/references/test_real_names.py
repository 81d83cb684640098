"""References with names from real life, on every face that takes paths: CLI, HTTP, MCP on stdio, nanobot's plugin."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import httpx
import pytest

from tests.support.clients.mcp import DARKROOM, refused, told, tools_of_command
from tests.support.factories.images import picture
from tests.support.factories.real_names import ALIKE, NAMES, lay_out, spelt
from tests.support.nanobot.venv import Venvs
from tests.support.stack.shared_stack import SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]

Ask = Callable[[SharedStack, str, Sequence[str]], Awaitable[None]]
AT_ONCE = 16  # references of a request
# JSON carries no name that is not UTF-8, and where there is no user of that name nanobot's own tool fails.
NOT_NANOBOTS = ("old encoding", "tilde")


async def run(stack: SharedStack, *arguments: str, cwd: Path, home: str = "") -> tuple[int, str]:
    """Type a command in a folder; answer its exit code and all that it says."""
    environment = os.environ | stack.stack.environment | {"DARKROOM_CONFIG": str(stack.stack.config)}
    process = await asyncio.create_subprocess_exec(
        *(DARKROOM, *arguments),
        cwd=cwd,
        env=environment | {"DARKROOM_OWNER": "ann", **({"HOME": home} if home else {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def by_command(stack: SharedStack, prompt: str, names: Sequence[str]) -> None:
    """Name files as a shell does, in their own folder."""
    folder = stack.stack.folder / "photos"
    options = [f"--reference={name}" for name in names]
    code, said = await run(stack, "generate", prompt, *options, cwd=folder)
    assert code == 0, said


async def by_http(stack: SharedStack, prompt: str, names: Sequence[str]) -> None:
    """Name files in JSON, with a token that may name paths."""
    headers = {"Authorization": f"Bearer {stack.service}", "Prefer": "wait=60"}
    body = {"prompt": prompt, "reference_images": list(map(spelt, names))}
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(f"{stack.url}/v1/jobs", json=body, headers=headers)
    assert answer.json()["state"] == "succeeded", answer.text


async def by_tool(stack: SharedStack, prompt: str, names: Sequence[str]) -> None:
    """Name files to the tool of `darkroom mcp`."""
    stdio = stack.stack
    environment = stdio.environment | {"DARKROOM_CONFIG": str(stdio.config), "DARKROOM_TOOL_WAIT_SECONDS": "60"}
    async with tools_of_command(environment, stdio.new_log("mcp")) as client:
        asked = {"prompt": prompt, "reference_images": list(map(spelt, names))}
        assert told(await client.call_tool("generate_image", asked))["state"] == "succeeded"


def lay_all_out(stack: SharedStack) -> None:
    """Make the files, in the workspace and where a command is typed."""
    for folder in ("workspace", "photos"):
        lay_out(stack.stack.folder / folder)


def sources(stack: SharedStack, prompt: str) -> set[str]:
    """Read in the sidecar which files an image was made of."""
    sidecars = (json.loads(path.read_text()) for path in stack.stack.folder.rglob("img_*.json"))
    [found] = [sidecar["source_images"] for sidecar in sidecars if sidecar["prompt"] == prompt]
    return set(found)


@pytest.mark.parametrize(
    ("ask", "folder"),
    [(by_command, "photos"), (by_http, "workspace"), (by_tool, "workspace")],
    ids=["CLI", "HTTP", "MCP"],
)
async def test_names_from_real_life_are_taken(ask: Ask, folder: str, shared_stack: SharedStack) -> None:
    lay_all_out(shared_stack)
    pairs = [*((name, name) for name in NAMES.values()), *ALIKE.values()]
    for start in range(0, len(pairs), AT_ONCE):
        some = pairs[start : start + AT_ONCE]
        await ask(shared_stack, prompt := fresh(), [asked for asked, _ in some])
        [call] = shared_stack.calls(prompt)
        assert call.references == len(some)
        assert sources(shared_stack, prompt) == {
            spelt(str(shared_stack.stack.folder / folder / name)) for _, name in some
        }


async def test_home_is_meant_by_a_tilde(shared_stack: SharedStack) -> None:
    (shared_stack.stack.folder / "workspace").mkdir(exist_ok=True)
    (shared_stack.stack.folder / "workspace" / "home fox.png").write_bytes(picture())
    await by_http(shared_stack, prompt := fresh(), ["~/workspace/home fox.png"])  # HOME of the gateway is that folder
    assert [call.references for call in shared_stack.calls(prompt)] == [1]
    code, said = await run(
        *(shared_stack, "generate", fresh(), "--reference=~/home fox.png"),
        cwd=Path("/"),
        home=str(shared_stack.stack.folder / "workspace"),
    )
    assert code == 0, said


async def test_a_name_that_is_shown_moves_no_cursor(shared_stack: SharedStack) -> None:
    name = "no \x1b[2J\x07\u202efox\u2028 \udcff.png"
    code, said = await run(shared_stack, "generate", fresh(), f"--reference={name}", cwd=shared_stack.stack.folder)
    assert code == 2
    assert r"There is no image file no \x1b[2J\x07\u202efox\u2028 \xff.png." in said
    assert "\x1b[2J" not in said


async def test_what_is_refused_is_refused_as_ever(shared_stack: SharedStack) -> None:
    """Whatever is a name now leads no further out of the workspace than before."""
    outside = shared_stack.stack.folder / "outside"
    outside.mkdir()
    (outside / "fox.png").write_bytes(picture())
    workspace = shared_stack.stack.folder / "workspace"
    workspace.mkdir(exist_ok=True)
    (workspace / "li\u00f1k").symlink_to(outside)
    names = [
        "~/outside/fox.png",
        "lin\u0303k/fox.png",
        "li\u00f1k/f\uff4fx.png",
        "..\\outside\\fox.png",
        "\n../outside/fox.png",
    ]
    environment = shared_stack.stack.environment | {"DARKROOM_CONFIG": str(shared_stack.stack.config)}
    environment |= {"HOME": str(shared_stack.stack.folder)}
    said = set()
    async with tools_of_command(environment, shared_stack.stack.new_log("mcp")) as client:
        for name in [*names, "none.png"]:
            asked = {"prompt": fresh(), "reference_images": [name]}
            said.add(refused(await client.call_tool("generate_image", asked)))
    assert len(said) == 1


TOOL = """
import json, sys
from nanobot.agent.tools.image_generation import ImageGenerationTool
from nanobot.config.schema import Config
workspace, names = json.load(sys.stdin)
tool = ImageGenerationTool(workspace=workspace, config=Config().tools.image_generation)
print(json.dumps([tool._resolve_reference_image(name) for name in names]))
"""


@pytest.mark.timeout(300)  # nanobot may have to be fetched
async def test_nanobots_own_tool_takes_them_too(shared_stack: SharedStack, venvs: Venvs, tmp_path: Path) -> None:
    lay_out(tmp_path)
    names = [name for what, name in NAMES.items() if what not in NOT_NANOBOTS]
    process = await asyncio.create_subprocess_exec(
        str((await asyncio.to_thread(venvs.get)).python),
        "-c",
        TOOL,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told_by_it, _ = await process.communicate(json.dumps([str(tmp_path), names]).encode())
    assert json.loads(told_by_it) == [str(tmp_path / name) for name in names]
