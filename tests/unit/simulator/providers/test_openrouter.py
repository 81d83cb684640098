"""The simulator speaks OpenRouter's chat completions."""

import base64

import httpx
import pytest
from simulator.pictures.draw import draw
from simulator.providers.calls import CHAT, KEY, PREDICT, chat, predict
from simulator.providers.order import RATIOS
from simulator.server.server import Simulator

from tests.support.factories.simulated_images import decode, difference, picture_at

REFERENCE = draw("reference", 320, 240, 1)
REFERENCE_URL = f"data:image/png;base64,{base64.b64encode(REFERENCE).decode()}"


async def test_openrouter_answers_with_a_picture_and_its_cost(client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=chat())

    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["X-Generation-Id"] == body["id"]
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["cost"] == 0.04
    assert decode(picture_at(answer)).size == (512, 512)


@pytest.mark.parametrize("ratio", RATIOS)
async def test_openrouter_ratio_gives_the_size_of_the_table(client: httpx.AsyncClient, ratio: str) -> None:
    answer = await client.post(CHAT, json=chat(aspect_ratio=ratio))

    width, height = RATIOS[ratio]
    assert decode(picture_at(answer)).size == (width // 2, height // 2)


@pytest.mark.parametrize(("size", "pixels"), [("1K", (1344, 768)), ("2K", (2688, 1536)), ("320x200", (320, 200))])
async def test_openrouter_sizes(client: httpx.AsyncClient, size: str, pixels: tuple[int, int]) -> None:
    answer = await client.post(CHAT, json=chat(image_size=size, aspect_ratio="16:9"))

    assert decode(picture_at(answer)).size == pixels


async def test_pictures_are_drawn_small_and_enlarged_until_they_are_drawn_as_asked() -> None:
    async with Simulator(seconds=0, side=96) as sim, httpx.AsyncClient(base_url=sim.url, headers=KEY) as client:
        coarse = await client.post(CHAT, json=chat())
        sim.draw_as_asked()
        whole = await client.post(CHAT, json=chat())

    assert [decode(picture_at(answer)).size for answer in (coarse, whole)] == [(512, 512)] * 2
    assert len(picture_at(coarse)) < len(picture_at(whole)) / 4


async def test_a_step_may_deliver_another_size(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "ok", "width": 256, "height": 128, "side": 96}])

    assert decode(picture_at(await client.post(CHAT, json=chat()))).size == (256, 128)


async def test_openrouter_without_a_key_is_401(sim: Simulator, client: httpx.AsyncClient) -> None:
    answer = await client.post(CHAT, json=chat(), headers={"Authorization": "Bearer"})

    assert answer.status_code == answer.json()["error"]["code"] == 401
    assert sim.ledger[0].status == 401


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"messages": []},
        {"model": "m", "messages": "hello"},
        {"model": "m", "messages": [{"role": "user", "content": ""}]},
        chat(image_size="0.5K"),
        chat(image_size="9999x9999"),
        chat(aspect_ratio="7:5"),
    ],
)
async def test_openrouter_rejects_bad_parameters(client: httpx.AsyncClient, body: object) -> None:
    answer = await client.post(CHAT, json=body)

    assert answer.status_code == answer.json()["error"]["code"] == 400


async def test_openrouter_edits_the_reference_it_was_sent(sim: Simulator, client: httpx.AsyncClient) -> None:
    blocks = [
        {"type": "text", "text": "make it winter"},
        {"type": "image_url", "image_url": {"url": REFERENCE_URL}},
    ]
    body = {**chat(image_size="320x240"), "messages": [{"role": "user", "content": blocks}]}

    answer = await client.post(CHAT, json=body)

    assert 5 < difference(REFERENCE, decode(picture_at(answer))) < 90
    assert (sim.ledger[0].references, sim.ledger[0].prompt) == (1, "make it winter")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "data:image/png,abc",
        "data:image/png;base64,%%%",
        "data:image/png;base64,bm8gcGljdHVyZQ==",
        f"data:image/png;base64,{base64.b64encode(REFERENCE[:2000]).decode()}",
    ],
)
async def test_unreadable_reference_is_400(client: httpx.AsyncClient, url: str) -> None:
    blocks = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": url}}]
    chat_answer = await client.post(CHAT, json={**chat(), "messages": [{"role": "user", "content": blocks}]})
    prediction = await client.post(PREDICT, json=predict(image=url))

    assert chat_answer.status_code == prediction.status_code == 400
    assert chat_answer.json()["error"]["metadata"]["error_type"] == "invalid_image"
    assert prediction.json()["error"]["code"] == "invalid_image"
