"""The real nanobot, which knows nothing of Darkroom: its own tool makes pictures through the gateway, by config alone.

The configs are those of `docs/howto/nanobot.md`; only addresses, keys and the chat model are ours.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from contract.jobs.job import JobState
from tests.support.nanobot.chat import Chat
from tests.support.nanobot.connected import ConnectedNanobot
from tests.support.nanobot.gateway import Nanobot
from tests.support.nanobot.model import Asked, Call, Model, Said, Say
from tests.support.nanobot.venv import Venvs
from tests.support.stack.shared_stack import SQUARE, SharedStack, fresh

PAGE = (Path(__file__).parents[3] / "docs/howto/nanobot.md").read_text()
SECTION = PAGE.split("\n## Without installing anything\n")[1].split("\n## ")[0]
EXAMPLES = dict(re.findall(r"^### (\w+)$.*?^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL))

RATIOS = {"modelscope": "16:9", "openai": "3:2", "custom": "3:2"}  # what becomes of 16:9

pytestmark = [pytest.mark.real_redis, pytest.mark.timeout(300)]  # nanobot may have to be fetched
on_one_loop = pytest.mark.asyncio(loop_scope="module")


def paint(asked: Asked) -> Said:
    """Do what a chat model would: make the picture, or change the last one, send it, and report."""
    match asked.results:
        case []:
            shape = {} if "of any shape" in asked.user else {"aspect_ratio": "16:9"}
            references = {"reference_images": asked.all_paths[-1:]} if "warmer" in asked.user else {}
            return Call([("generate_image", {"prompt": asked.user, **shape, **references})])
        case [{"artifacts": _}]:
            return Call([("message", {"content": "Here it is.", "media": asked.paths})])
        case [str(error)]:
            return Say(f"It failed: {error}")
    return Say("Done.")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connected(
    request: pytest.FixtureRequest, shared_stack: SharedStack, venvs: Venvs, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ConnectedNanobot]:
    """A nanobot that is configured as the page says."""
    account = shared_stack.account()
    here = EXAMPLES[request.param].replace("http://127.0.0.1:8790", shared_stack.impatient_url)
    async with Model(paint) as model:
        token = {"DARKROOM_TOKEN": account.token}
        nanobot = Nanobot(tmp_path_factory.mktemp(request.param), venvs.get(), model, json.loads(here), token)
        async with nanobot:
            yield ConnectedNanobot(request.param, nanobot, model, account.owner, shared_stack)
        assert "Traceback" not in nanobot.log
        assert model.errors == []


def of(*providers: str) -> pytest.MarkDecorator:
    """Run a test with nanobot configured so, and so."""
    return pytest.mark.parametrize("connected", providers, indirect=True, scope="module")


def test_the_page_has_an_example_of_each() -> None:
    assert list(EXAMPLES) == ["modelscope", "openai", "custom"]
    assert [json.loads(example)["tools"]["imageGeneration"]["provider"] for example in EXAMPLES.values()] == [*EXAMPLES]


@of("modelscope", "openai", "custom")
@on_one_loop
async def test_a_chat_gets_its_picture(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        told = await chat.ask(prompt := fresh())
        [picture] = await chat.pictures()
    assert told == "Here it is.Done."
    assert picture == await connected.original(prompt)
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == SQUARE
    [path] = chat.pictured[0].media
    assert_kept(connected, Path(path), prompt)
    [call] = connected.shared_stack.calls(prompt)
    assert (call.aspect_ratio, call.image_size) == (RATIOS[connected.example], "1K")


def assert_kept(connected: ConnectedNanobot, path: Path, prompt: str) -> None:
    """See that nanobot has kept the picture, and beside it what it is."""
    assert path.is_relative_to(connected.nanobot.media / "generated")
    sidecar: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    assert (sidecar["path"], sidecar["prompt"], sidecar["source_images"]) == (str(path), prompt, [])


@of("modelscope", "openai", "custom")
@on_one_loop
async def test_nobody_pays_for_more_than_was_asked_for(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(prompt := fresh("a fox of any shape"))
    [call] = connected.shared_stack.calls(prompt)
    assert (call.aspect_ratio, call.image_size) == ("1:1", "1K")


@of("modelscope", "openai", "custom")
@on_one_loop
async def test_a_chat_has_its_picture_changed_where_references_are_sent(connected: ConnectedNanobot) -> None:
    sent = 0 if connected.example == "custom" else 1
    async with Chat(connected.nanobot) as chat:
        await chat.ask(fresh())
        [first] = await chat.pictures()
        await chat.ask(prompt := fresh("make it warmer"))
        [second] = await chat.pictures()
    job = await connected.job(prompt)
    assert (len(job.request.reference_images), second) == (sent, await connected.original(prompt))
    assert [call.references for call in connected.shared_stack.calls(prompt)] == [sent]
    assert second != first


@of("modelscope")
@on_one_loop
async def test_an_edit_without_a_ratio_keeps_that_of_its_picture(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(fresh())
        await chat.ask(prompt := fresh("make it warmer, of any shape that fits"))
    [call] = connected.shared_stack.calls(prompt)
    assert (call.references, call.aspect_ratio) == (1, "16:9")


@of("modelscope")
@on_one_loop
async def test_stop_cancels_the_job(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.say(prompt := fresh("[slow 60]"))
        await connected.shared_stack.called(prompt)
        assert await chat.stop() == "Stopped 1 task(s)."
    await connected.shared_stack.given_up(prompt)
    assert await connected.end_of(prompt) is JobState.CANCELLED


@of("modelscope")
@on_one_loop
async def test_a_chat_goes_on_after_nanobot_was_killed(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        await chat.ask(fresh())
        await chat.say(lost := fresh("[slow 60]"))
        await connected.shared_stack.called(lost)
        connected.nanobot.kill()
    assert await connected.end_of(lost) is JobState.CANCELLED
    await connected.nanobot.start()
    async with Chat(connected.nanobot, chat_id=chat.id) as chat:
        await chat.ask(prompt := fresh("make it warmer"))
        assert len(await chat.pictures()) == 1
    assert len((await connected.job(prompt)).request.reference_images) == 1


@of("modelscope")
@on_one_loop
async def test_the_one_shot_agent_makes_a_picture(connected: ConnectedNanobot) -> None:
    told = await connected.nanobot.ask_once(prompt := fresh())
    assert "Done." in told
    pictures = [path.read_bytes() for path in connected.nanobot.media.rglob("*.png")]
    assert await connected.original(prompt) in pictures


@of("modelscope", "openai", "custom")
@on_one_loop
async def test_the_model_is_told_why_there_is_no_picture(connected: ConnectedNanobot) -> None:
    async with Chat(connected.nanobot) as chat:
        told = await chat.ask(prompt := fresh("[refuse]"))
    job = await connected.job(prompt)
    assert job.error is not None
    assert job.error.detail in told
