"""nanobot and the workers are stopped and killed, and twenty chats come at once: every chat gets its own pictures."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from contract.jobs.job import JobState
from tests.support.nanobot.chat import Chat
from tests.support.nanobot.home import LATER, Home, has_picture
from tests.support.stack.shared_stack import fresh

pytestmark = [
    pytest.mark.real_redis,
    pytest.mark.timeout(300),  # nanobot may have to be fetched
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_restart_of_nanobot_loses_no_picture(home: Home, how: str) -> None:
    """One chat's turn is over when nanobot ends, the other's tool is still waiting."""
    async with Chat(home.nanobot) as late, Chat(home.nanobot, client_id="bob") as waiting:
        first = fresh("[slow 10]")
        assert await late.ask(first) == LATER
        await waiting.say(prompt := fresh("[slow 6]"))
        await home.called(prompt)
        if how == "stop":
            await home.nanobot.stop()
        else:
            home.nanobot.kill()
    await home.nanobot.start()
    for before in (late, waiting):
        async with Chat(home.nanobot, client_id=before.client_id, chat_id=before.id) as chat:
            await chat.hears(has_picture, within_s=30)
            assert len(chat.pictured) == 1
    await home.all_is_sent()
    told = [text for text in home.history() if text.startswith("Your image is ready")]
    assert [sum(name in text for text in told) for name in (first, prompt)] == [1, 1]  # none came twice
    [job] = await home.jobs(waiting)
    assert (await home.is_over(job)).state is JobState.SUCCEEDED


async def test_a_killed_worker_loses_no_picture(home: Home) -> None:
    async with Chat(home.nanobot) as chat:
        assert await chat.ask(fresh("[slow 5]")) == LATER
        home.stack.end(home.stack.workers[-1])
        await home.stack.start_worker()
        await chat.hears(has_picture, within_s=40)
        [job] = await home.jobs(chat)
        assert len(job.attempts) == 2


async def test_twenty_chats_get_their_own_pictures(home: Home) -> None:
    async def one(number: int) -> None:
        prompts = [fresh(f"[slow {seconds}] chat {number}") for seconds in (0.5, 3, 5)]
        async with Chat(home.nanobot, client_id=f"user-{number}") as chat:
            await chat.ask("\n".join(prompts), within_s=60)
            async with asyncio.timeout(60):
                while len(media := [path for frame in chat.pictured for path in frame.media]) < 3:
                    await chat.next()
            told = [json.loads(Path(path).with_suffix(".json").read_text())["prompt"] for path in media]
            assert sorted(told) == sorted(prompts)

    await asyncio.gather(*(one(number) for number in range(20)))
