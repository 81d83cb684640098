"""The real nanobot, which knows nothing of Darkroom, with Darkroom's MCP server: over HTTP and on stdio.

The configs are those of `docs/nanobot.md`; only addresses, paths, tokens and the chat model are ours.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from front import Front, fresh
from guest.chat import Chat
from guest.gateway import Nanobot
from guest.model import Asked, Call, Model, Said, Say
from guest.venv import Venvs
from PIL import Image

from contract.job import Job, JobState

SECTION = (Path(__file__).parents[2] / "docs/nanobot.md").read_text().split("\n## Over MCP\n")[1]
EXAMPLES = dict(re.findall(r"^### (\w+)$.*?^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL))
PREFIX = "mcp_darkroom_"
PATIENCE = {"DARKROOM_TOOL_WAIT_SECONDS": "2"}
DARKROOM = Path(sys.executable).parent / "darkroom"

pytestmark = [
    pytest.mark.real_redis,
    pytest.mark.timeout(300),  # nanobot may have to be fetched
    pytest.mark.asyncio(loop_scope="module"),
]


over_http = pytest.mark.parametrize("guest", ["http"], indirect=True, scope="module")


@dataclass(frozen=True)
class Guest:
    """A nanobot with its scripted model, and who it is in Darkroom."""

    nanobot: Nanobot
    model: Model
    owner: str
    front: Front
    url: str  # of the gateway, if there is one

    async def job(self, prompt: str) -> Job:
        """Find the only job that was made of a prompt."""
        [job] = [job for job in await self.front.jobs(self.owner) if job.request.prompt == prompt]
        return job


def script(asked: Asked) -> Said:
    """Do what a chat model would: make, change, look, cancel; send what came back, and report the rest."""
    if not asked.results:
        return _first_call(asked)
    last = asked.results[-1]
    if isinstance(last, dict) and "artifacts" in last:
        return Call([("message", {"content": "Here it is.", "media": [each["path"] for each in last["artifacts"]]})])
    if isinstance(last, dict):
        return Say(f"{last['state']}: {last['message']} {last['next_step']}")
    return Say("Done." if str(last).startswith("Message sent") else str(last))


def _first_call(asked: Asked) -> Said:
    earlier = [json.loads(found) for found in re.findall(r'\{"job_id".*?\}(?=\n|$)', _told(asked))]
    job_id = earlier[-1]["job_id"] if earlier else ""
    if asked.user == "is it ready?":
        return Call([(PREFIX + "get_image_job", {"job_id": job_id, "wait_seconds": 20})])
    if asked.user == "no more!":
        return Call([(PREFIX + "cancel_image_job", {"job_id": job_id})])
    wishes: dict[str, Any] = {"prompt": asked.user}
    if "warmer" in asked.user:
        wishes["reference_images"] = [earlier[-1]["images"][0]["id"]]
    if "oblong" in asked.user:
        wishes["aspect_ratio"] = "7:99"
    return Call([(PREFIX + "generate_image", wishes)])


def _told(asked: Asked) -> str:
    """Read all that our tools have told in this chat, a line for each answer."""
    lines = []
    for message in asked.messages:
        if message["role"] == "tool":
            text = str(message["content"])
            lines.append(json.loads(text).get("text", text) if text.startswith("{") else text)
    return "\n".join(lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["http", "stdio"])
async def guest(
    request: pytest.FixtureRequest, front: Front, venvs: Venvs, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Guest]:
    """A nanobot that is configured as the page says."""
    account = front.account()
    house = front.house
    url = await house.start_gateway(**PATIENCE) if request.param == "http" else ""
    told = EXAMPLES[request.param].replace("http://127.0.0.1:8790", url).replace("dk_…", account.token)
    config = json.loads(told)
    [server] = config["tools"]["mcpServers"].values()
    if request.param == "stdio":
        assert (server["command"], server["args"][:2]) == ("darkroom", ["mcp", "--owner"])
        server["command"], server["args"][2] = str(DARKROOM), account.owner
        server["env"] = house.environment | PATIENCE | {"DARKROOM_CONFIG": str(house.config)}
    async with Model(script) as model:
        nanobot = Nanobot(tmp_path_factory.mktemp(request.param), venvs.get(), model, config)
        async with nanobot:
            yield Guest(nanobot, model, account.owner, front, url)
        assert model.errors == []


async def test_a_chat_gets_its_picture_and_has_it_changed(guest: Guest) -> None:
    async with Chat(guest.nanobot) as chat:
        told = await chat.ask(prompt := fresh())
        [picture] = await chat.pictures()
        assert told == "Here it is.Done."
        with Image.open(io.BytesIO(picture)) as image:
            image.verify()
        [path] = chat.pictured[0].media
        assert Path(path).is_relative_to(guest.nanobot.media / "generated")
        first = (await guest.job(prompt)).images[0]
        assert picture == Path(first.path).read_bytes()

        await chat.ask(edit := fresh("make it warmer"))
        assert len(await chat.pictures()) == 1
        assert list((await guest.job(edit)).request.reference_images) == [first.id]


async def test_what_takes_longer_is_asked_for_again(guest: Guest) -> None:
    async with Chat(guest.nanobot) as chat:
        told = await chat.ask(prompt := fresh("[slow 4]"))
        assert "Done." not in told
        assert "get_image_job" in told
        assert await chat.ask("is it ready?", within_s=30) == "Here it is.Done."
        assert len(await chat.pictures()) == 1
        assert (await guest.job(prompt)).state is JobState.SUCCEEDED


async def test_a_job_is_cancelled(guest: Guest) -> None:
    async with Chat(guest.nanobot) as chat:
        await chat.ask(prompt := fresh("[slow 60]"))
        assert "cancelled" in await chat.ask("no more!")
    assert (await guest.job(prompt)).state is JobState.CANCELLED


@pytest.mark.parametrize(("wish", "words"), [("[refuse]", "refused this prompt"), ("oblong", "aspect_ratio")])
async def test_the_model_reads_our_sentence(guest: Guest, wish: str, words: str) -> None:
    async with Chat(guest.nanobot) as chat:
        assert words in await chat.ask(fresh(wish))


async def test_chats_do_not_wait_for_one_another(guest: Guest) -> None:
    async with Chat(guest.nanobot) as ann, Chat(guest.nanobot, client_id="bob") as bob:
        prompts = fresh("[slow 0.7] ann"), fresh("[slow 0.7] bob")
        await asyncio.gather(ann.ask(prompts[0]), bob.ask(prompts[1]))
        jobs = [await guest.job(prompt) for prompt in prompts]
    starts = [job.created_at for job in jobs]
    assert abs((starts[0] - starts[1]).total_seconds()) < 0.7
    assert len(ann.pictured) == len(bob.pictured) == 1


@over_http
async def test_a_gateway_that_was_killed_is_found_again(guest: Guest) -> None:
    async with Chat(guest.nanobot) as chat:
        await chat.ask(fresh())
        house = guest.front.house
        house.end(house.gateways[-1])
        await house.start_gateway(DARKROOM_PORT=guest.url.rpartition(":")[2], **PATIENCE)
        assert await chat.ask(fresh()) == "Here it is.Done."


@over_http
async def test_without_the_whitelist_nanobot_does_not_go_there(guest: Guest, tmp_path: Path, venvs: Venvs) -> None:
    config = json.loads(guest.nanobot.config.read_text())
    del config["tools"]["ssrfWhitelist"]
    async with Nanobot(tmp_path / "strict", venvs.get(), guest.model, config) as strict, Chat(strict) as chat:
        await chat.ask("hello")
    offered = [asked for asked in guest.model.asked if asked.tools][-1].offered
    assert not any(name.startswith(PREFIX) for name in offered)
