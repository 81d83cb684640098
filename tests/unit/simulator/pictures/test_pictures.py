"""The simulator draws pictures that differ, and stays awake while it does."""

import asyncio
import io
import time

import httpx
import pytest
from PIL import Image
from simulator.pictures.draw import draw, edit
from simulator.providers.calls import CHAT, chat
from simulator.server.server import Simulator

from tests.support.factories.simulated_images import decode, difference, picture_at


async def test_calls_run_side_by_side(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([], seconds=0.15)
    started = time.monotonic()

    answers = await asyncio.gather(*(client.post(CHAT, json=chat()) for _ in range(4)))

    assert time.monotonic() - started >= 0.15
    assert sim.max_parallel == 4
    assert len({picture_at(answer) for answer in answers}) == 4


async def test_server_answers_while_it_draws(client: httpx.AsyncClient) -> None:
    seconds = []
    for _ in range(3):  # the machine may be busy with other things
        drawing = asyncio.create_task(client.post(CHAT, json=chat(image_size="2K")))
        await asyncio.sleep(0.05)
        started = time.monotonic()

        assert (await client.get("/__sim/health")).status_code == 200
        seconds.append(time.monotonic() - started)
        assert (await drawing).status_code == 200
    assert min(seconds) < 0.3


def test_same_prompt_gives_a_visibly_different_scene() -> None:
    assert difference(draw("a fox", 256, 256, 1), decode(draw("a fox", 256, 256, 2))) > 3


@pytest.mark.parametrize("prompt", ["", "日本の庭", "x" * 40_000, "a\x00b \ud800", "word " * 300])
def test_any_prompt_can_be_drawn(prompt: str) -> None:
    assert decode(draw(prompt, 96, 64, 1)).size == (96, 64)


def test_edit_follows_its_reference() -> None:
    red, blue = (io.BytesIO(), io.BytesIO())
    Image.new("RGB", (300, 200), (200, 30, 30)).save(red, "PNG")
    Image.new("RGB", (300, 200), (30, 30, 200)).save(blue, "PNG")

    assert difference(edit(red.getvalue(), "x", 200, 300, 1), decode(edit(blue.getvalue(), "x", 200, 300, 1))) > 20
