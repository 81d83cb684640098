"""The simulator draws pictures that differ, and stays awake while it does."""

import asyncio
import base64
import io
import ssl
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat
from simulator.calls import CHAT, KEY, chat
from simulator.draw import draw, edit
from simulator.server import Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seconds=0.02) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes 40 ms a client
    async with httpx.AsyncClient(base_url=sim.url, headers=KEY, timeout=5, trust_env=False, verify=tls) as http:
        yield http


def picture_at(answer: httpx.Response) -> bytes:
    """Return the first picture of a chat completion."""
    url = answer.json()["choices"][0]["message"]["images"][0]["image_url"]["url"]
    return base64.b64decode(url.removeprefix("data:image/png;base64,"))


def decode(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image.convert("RGB")


def difference(one: bytes, other: Image.Image) -> float:
    """Return the mean difference per channel, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(decode(one), other)).mean) / 3


async def test_calls_run_side_by_side(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([], seconds=0.15)
    started = time.monotonic()

    answers = await asyncio.gather(*(client.post(CHAT, json=chat()) for _ in range(4)))

    assert 0.15 <= time.monotonic() - started < 0.6
    assert len({picture_at(answer) for answer in answers}) == 4


async def test_server_answers_while_it_draws(client: httpx.AsyncClient) -> None:
    drawing = asyncio.create_task(client.post(CHAT, json=chat(image_size="2K")))
    await asyncio.sleep(0.05)
    started = time.monotonic()

    assert (await client.get("/__sim/health")).status_code == 200
    assert time.monotonic() - started < 0.3
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
