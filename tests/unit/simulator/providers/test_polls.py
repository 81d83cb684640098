"""Polled tasks behave as the catalogue says (P79)."""

import httpx
import pytest
from simulator.providers.calls import CHAT, PREDICT, chat, predict
from simulator.server.server import Simulator


async def address_of(sim: Simulator, client: httpx.AsyncClient, variant: str) -> str:
    """Start a task that behaves so and return its address."""
    sim.script([{"kind": "P79", "variant": variant, "specimen": "good_png"}])
    task = (await client.post(PREDICT, json=predict())).json()["output"][0]
    return str(task["polling_url"])


async def statuses_of(client: httpx.AsyncClient, url: str, count: int = 4) -> list[object]:
    """Poll a few times and return the status words."""
    return [(await client.get(url)).json()["status"] for _ in range(count)]


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("processing", ["processing"] * 4),
        ("backwards", ["succeeded", "processing", "succeeded", "succeeded"]),
        ("unknown_status", ["rendering_step_7", "rendering_step_7", "succeeded", "succeeded"]),
        ("unknown_status_for_ever", ["rendering_step_7"] * 4),
        ("moderated", ["Content Moderated"] * 4),
    ],
)
async def test_words_of_a_task(sim: Simulator, client: httpx.AsyncClient, variant: str, words: list[str]) -> None:
    assert await statuses_of(client, await address_of(sim, client, variant)) == words


@pytest.mark.parametrize(
    ("variant", "last"), [("completed", "completed"), ("failed", "failed"), ("empty", "succeeded")]
)
async def test_last_word_of_a_task(sim: Simulator, client: httpx.AsyncClient, variant: str, last: str) -> None:
    url = await address_of(sim, client, variant)
    words = await statuses_of(client, url)

    assert words[-1] == last
    assert ((await client.get(url)).json().get("output") or []) == [] or variant == "completed"


async def test_success_is_taken_back_without_pictures(sim: Simulator, client: httpx.AsyncClient) -> None:
    url = await address_of(sim, client, "backwards")

    outputs = [(await client.get(url)).json().get("output") for _ in range(3)]

    assert outputs[:2] == [[], None]
    assert outputs[2]


async def test_id_changes(sim: Simulator, client: httpx.AsyncClient) -> None:
    url = await address_of(sim, client, "id_changes")

    ids = {(await client.get(url)).json()["taskId"] for _ in range(3)}

    assert len(ids) == 3
    assert url.rpartition("/")[2] not in ids


@pytest.mark.parametrize(
    ("variant", "statuses"), [("429", [429, 429, 200]), ("500", [500, 500, 200]), ("404", [404, 404, 404])]
)
async def test_polls_are_refused(sim: Simulator, client: httpx.AsyncClient, variant: str, statuses: list[int]) -> None:
    url = await address_of(sim, client, variant)

    answers = [await client.get(url) for _ in range(3)]

    assert [answer.status_code for answer in answers] == statuses
    assert answers[0].headers.get("retry-after") == ("1" if variant == "429" else None)


async def test_result_is_a_link(sim: Simulator, client: httpx.AsyncClient) -> None:
    url = await address_of(sim, client, "ready_with_link")
    await statuses_of(client, url, 2)

    report = (await client.get(url)).json()

    assert report["status"] == "Ready"
    assert (await client.get(report["result"]["sample"])).status_code == 200


async def test_poll_hangs(sim: Simulator, client: httpx.AsyncClient) -> None:
    url = await address_of(sim, client, "hang")

    with pytest.raises(httpx.ReadTimeout):
        await client.get(url, timeout=0.1)


async def test_other_dialect_has_no_polls(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script("P79")

    assert (await client.post(CHAT, json=chat())).json()["choices"][0]["message"]["images"]
