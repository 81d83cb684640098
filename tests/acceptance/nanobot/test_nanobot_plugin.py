"""Darkroom inside the real nanobot: answered in the turn, or sent into the chat when it takes longer."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from contract.jobs.job import JobState
from tests.support.nanobot.chat import Chat
from tests.support.nanobot.home import LATER, Home, has_picture, owner_of
from tests.support.nanobot.model import Asked, Call, Said, Say
from tests.support.nanobot.venv import NANOBOT, OLDEST_NANOBOT
from tests.support.stack.shared_stack import fresh

SEED = {"id", "path", "mime", "prompt", "model", "provider", "source_images", "created_at"}

pytestmark = [
    pytest.mark.real_redis,
    pytest.mark.timeout(300),  # nanobot may have to be fetched
    pytest.mark.asyncio(loop_scope="module"),
]


both_versions = pytest.mark.parametrize("home", [OLDEST_NANOBOT, NANOBOT], indirect=True)


def assert_same(data: bytes, path: str) -> None:
    with Image.open(io.BytesIO(data)) as image:
        image.verify()
    assert data == Path(path).read_bytes()


@both_versions
async def test_what_is_quick_is_answered_in_the_turn(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        told = await chat.ask(prompt := fresh())
        [picture] = await chat.pictures()
        [job] = await home.jobs(chat)
    assert told == "Here it is.Done."
    assert_same(picture, job.images[0].path)
    [result] = [result for asked in home.model.asked for result in asked.results if prompt in str(result)][:1]
    [artifact] = result["artifacts"]
    assert (set(result), set(artifact)) == ({"artifacts", "next_step"}, SEED)
    assert artifact["path"] == job.images[0].path
    assert Path(artifact["path"]).is_relative_to(home.nanobot.media / "generated")
    assert json.loads(Path(artifact["path"]).with_suffix(".json").read_text())["prompt"] == prompt
    assert (job.owner, job.conversation) == (owner_of(chat), f"websocket:{chat.id}")


@both_versions
async def test_what_takes_longer_is_sent_later_and_can_be_edited(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        told = await chat.ask(prompt := fresh("[slow 4] a fox"))
        assert told == LATER
        letter = await chat.hears(has_picture)
        ended = next(at for at, frame in enumerate(chat.heard) if frame.event == "turn_end")
        assert chat.heard.index(letter) > ended
        assert letter.text.startswith("Your image is ready: “[slow 4] a fox")
        assert_same((await chat.pictures())[0], letter.media[0])
        [queued] = [result for asked in home.model.asked for result in asked.results if "next_step" in str(result)][-1:]
        [job] = await home.jobs(chat)
        assert (queued["job_id"], letter.media) == (job.id, [job.images[0].path])
        assert letter.text in home.history()

        assert await chat.ask(edit := fresh("make it warmer")) == "Here it is.Done."
        newest = (await home.jobs(chat))[0]
        assert (newest.request.prompt, list(newest.request.reference_images)) == (edit, letter.media)
        await chat.ask("And now?")
    contexts = [
        asked.context
        for asked in home.model.asked
        if "artifact_paths" in asked.context and prompt.split()[-1] in asked.context
    ]
    assert len(set(contexts)) == 1


async def test_an_edit_keeps_the_shape_and_what_is_far_from_the_request_is_told(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        await chat.ask(fresh("a wide fox"))
        home.simulator.script([{"kind": "ok", "width": 256, "height": 256}], match=(edit := fresh("make it warmer")))
        await chat.ask(edit)
        newest = (await home.jobs(chat))[0]
    assert (newest.request.prompt, newest.request.aspect_ratio) == (edit, "16:9")
    [result] = [result for asked in home.model.asked for result in asked.results if edit in str(result)][:1]
    words = "Delivered at 256x256, 1:1: openrouter made 256x256 pixels instead of 1K at 16:9."
    assert result["next_step"].startswith(f"Tell the user: {words} ")


async def test_the_model_learns_of_late_pictures_once_and_in_their_chat_only(home: Home) -> None:
    async with Chat(home.nanobot) as chat, Chat(home.nanobot, client_id="bob") as other:
        await chat.ask(fresh("[slow 4]"))
        await chat.hears(has_picture)
        home.model.asked.clear()
        await other.ask("a cat")
        assert not any("artifact_paths" in asked.context for asked in home.model.asked)
        await chat.ask("a dog")
        assert "artifact_paths" in home.model.asked[-1].context
        home.model.asked.clear()
        await chat.ask("a bird")
        assert not any("artifact_paths" in asked.context for asked in home.model.asked)


async def test_a_late_failure_is_told_in_words(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        assert await chat.ask(fresh("a late failure")) == LATER
        letter = await chat.hears(lambda frame: frame.is_message and "could not be made" in frame.text)
        [job] = await home.jobs(chat)
    assert job.error is not None
    assert job.error.detail in letter.text


async def test_stop_cancels_the_job(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        await chat.say(prompt := fresh("[slow 60]"))
        await home.called(prompt)
        assert await chat.stop() == "Stopped 1 task(s)."
        [job] = await home.jobs(chat)
        assert (await home.is_over(job)).state is JobState.CANCELLED
        assert await chat.ask(fresh()) == "Here it is.Done."
        assert not any("cancelled" in frame.text for frame in chat.frames)


async def test_the_model_looks_and_cancels(home: Home) -> None:
    def script(asked: Asked) -> Said:
        match asked.user, asked.results:
            case "how far?", []:
                return Call([("image_job_status", {})])
            case "no more!", []:
                return Call([("cancel_image_job", {})])
            case _, []:
                return Call([("generate_image", {"prompt": asked.user})])
        return Say(f"{asked.results[-1]['status']}: {asked.results[-1]['progress']}")

    home.model.answer, paint = script, home.model.answer
    try:
        async with Chat(home.nanobot) as chat:
            await chat.ask(fresh("[slow 60]"))
            assert await chat.ask("how far?") == "running: 0 of 1 image made."
            assert await chat.ask("no more!") == "cancelled: Cancelled."
            assert await chat.ask("no more!") == "already_finished: Cancelled."
    finally:
        home.model.answer = paint


async def test_arguments_are_understood_as_chat_models_write_them(home: Home) -> None:
    absent = {"aspect_ratio": "", "image_size": None}

    def script(asked: Asked) -> Said:
        match asked.user.split()[0], asked.results:
            case "look", []:
                return Call([("image_job_status", {"job_id": "null", "wait_seconds": "0"})])
            case "warmer", []:
                written = json.dumps(asked.all_paths[-1:])
                return Call([("generate_image", absent | {"prompt": asked.user, "reference_images": written})])
            case _, []:
                few = {"prompt": asked.user, "count": "2.0", "reference_images": ""}
                return Call([("generate_image", absent | few)])
        return Say(f"{len(asked.paths)} images" if asked.paths else str(asked.results[-1]))

    home.model.answer, paint = script, home.model.answer
    try:
        async with Chat(home.nanobot) as chat:
            assert await chat.ask(fresh("hens")) == "2 images"
            assert await chat.ask(fresh("warmer")) == "1 images"
            assert await chat.ask("look") == "1 images"
            edit, first = await home.jobs(chat)
    finally:
        home.model.answer = paint
    assert (first.request.count, first.request.reference_images) == (2, ())
    assert edit.request.reference_images == (first.images[-1].path,)


async def test_calls_of_one_turn_run_at_the_same_time(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        same = fresh("[slow 0.7]")
        assert await chat.ask("\n".join([same, same, same])) == "Here it is.Done."
        jobs = await home.jobs(chat)
    assert len(jobs) == 3
    starts = [job.started_at for job in jobs if job.started_at]
    ends = [job.ended_at for job in jobs if job.ended_at]
    assert max(starts) < min(ends)


async def test_two_chats_at_once(home: Home) -> None:
    async with Chat(home.nanobot) as ann, Chat(home.nanobot, client_id="bob") as bob:
        prompts = fresh("[slow 0.3]"), fresh("[slow 4]")
        told = await asyncio.gather(ann.ask(prompts[0]), bob.ask(prompts[1]))
        assert list(told) == ["Here it is.Done.", LATER]
        await bob.hears(has_picture)
        for chat, prompt in zip((ann, bob), prompts, strict=True):
            [frame] = chat.pictured
            assert json.loads(Path(frame.media[0]).with_suffix(".json").read_text())["prompt"] == prompt


async def test_a_refused_wish_is_told_to_the_model(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        told = await chat.ask(fresh("oblong"))
        assert told.startswith("Error: ")
        assert "aspect_ratio" in told
        assert await home.jobs(chat) == []


async def test_the_one_shot_agent_waits_for_its_picture(home: Home) -> None:
    told = await home.nanobot.ask_once(fresh("[slow 4]"))
    assert "Done." in told
    assert LATER not in told


async def test_the_skill_takes_the_place_of_nanobots_own(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        await chat.ask(fresh())
    system = str([asked for asked in home.model.asked if asked.tools][-1].messages[0]["content"])
    assert "talk about them while they are being made" in system
    assert "iteratively edit saved image artifacts" not in system
