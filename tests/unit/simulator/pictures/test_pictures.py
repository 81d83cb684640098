"""The simulator draws pictures that differ, and stays awake while it does."""

import asyncio
import io

import httpx
import pytest
from PIL import Image
from simulator.pictures.draw import draw, edit
from simulator.providers.calls import CHAT, chat
from simulator.server.server import Simulator

from tests.support.factories.simulated_images import decode, difference, picture_at


async def test_calls_run_side_by_side(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "ok", "side": 96, "times": "always"}], seconds=0.5)

    answers = await asyncio.gather(*(client.post(CHAT, json=chat()) for _ in range(4)))

    took = [call.seconds for call in sim.ledger]
    assert (len(took), sim.max_parallel, [call.parallel for call in sim.ledger]) == (4, 4, [1, 2, 3, 4])
    assert all(seconds and 0.5 <= seconds < 2 * 0.5 for seconds in took), took
    assert len({picture_at(answer) for answer in answers}) == 4


async def test_server_answers_while_it_draws(sim: Simulator, client: httpx.AsyncClient) -> None:
    drawing = asyncio.create_task(client.post(CHAT, json=chat(image_size="2K")))
    while not sim.ledger:
        await asyncio.sleep(0.001)

    assert (await client.get("/__sim/health")).status_code == 200
    assert not drawing.done()
    assert (await drawing).status_code == 200


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
