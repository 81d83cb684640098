"""Moods outlive a call: flapping, dice, slowness, death, a limit of parallel calls, mix-ups (P81 to P85)."""

import asyncio
import time

import httpx
import pytest
from simulator.providers.calls import CHAT, chat, converse, encode
from simulator.server.server import Simulator


def mood(row: str, variant: str, **options: object) -> list[dict[str, object]]:
    """Return a script of one mood for ever."""
    return [{"kind": row, "variant": variant, "times": "always", "specimen": "good_jpeg", **options}]


async def statuses_of(client: httpx.AsyncClient, count: int) -> list[int]:
    return [(await client.post(CHAT, json=chat())).status_code for _ in range(count)]


async def test_flapping(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script(mood("P81", "flap"))

    assert await statuses_of(client, 6) == [200, 500] * 3


async def test_dice_are_loaded(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script(mood("P81", "errors"))
    first = await statuses_of(client, 60)
    await sim.reset()
    sim.script(mood("P81", "errors"))

    assert await statuses_of(client, 60) == first
    assert 8 <= first.count(500) <= 30


async def test_slowness_passes(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script(mood("P81", "slow", **{"seconds": 0.01, "for": 0.1}))

    durations = []
    for _ in range(3):
        started = time.monotonic()
        await client.post(CHAT, json=chat())
        durations.append(time.monotonic() - started)

    assert durations[0] >= 0.1
    assert durations[2] < 0.1


async def test_brown_out(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script(mood("P81", "brown_out"))

    assert await statuses_of(client, 6) == [200, 200, 503] * 2


@pytest.mark.parametrize("variant", ["reset", "503"])
async def test_death_ends(sim: Simulator, variant: str) -> None:
    sim.script(mood("P82", variant, **{"for": 0.05}))

    answer, end = await converse(sim.port, encode(CHAT, chat()))
    assert (end == "rst") == (variant == "reset")
    assert (answer[9:12] == b"503") == (variant == "503")

    await asyncio.sleep(0.06)
    answer, _ = await converse(sim.port, encode(CHAT, chat()))
    assert answer[9:12] == b"200"


async def test_whole_server_dies_for_a_while(sim: Simulator) -> None:
    sim.die(0.1)

    assert (await converse(sim.port, encode(CHAT, chat())))[1] == "rst"
    await asyncio.sleep(0.12)
    assert (await converse(sim.port, encode(CHAT, chat())))[0][9:12] == b"200"
    assert (sim.connections, len(sim.ledger)) == (2, 1)


async def test_death_over_http(sim: Simulator, client: httpx.AsyncClient) -> None:
    await client.post("/__sim/die", json={"seconds": 60})
    assert (await converse(sim.port, encode(CHAT, chat())))[1] == "rst"

    await client.post("/__sim/reset")  # on the connection that is open
    assert (await converse(sim.port, encode(CHAT, chat())))[0][9:12] == b"200"


async def test_two_at_once(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script(mood("P83", "with_retry_after", seconds=0.1))

    answers = await asyncio.gather(*(client.post(CHAT, json=chat()) for _ in range(6)))

    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 4
    assert refused[0].headers["retry-after"] == "1"
    assert sim.max_parallel == 6
    assert sorted(call.parallel for call in sim.ledger) == [1, 2, 3, 4, 5, 6]
    assert sum(call.billed for call in sim.ledger) == 2
    assert (await client.post(CHAT, json=chat())).status_code == 200


async def test_pictures_are_mixed_up(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "P84", "times": 3}])

    first, second, third = [
        (await client.post(CHAT, json=chat(f"no. {number}"))).json()["choices"][0]["message"]["images"]
        for number in range(3)
    ]

    assert first == second != third


async def test_headers_of_a_nosy_neighbour(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script(mood("P85", "headers"))

    answer = await client.post(CHAT, json=chat())
    await client.post(CHAT, json=chat())

    assert len(answer.headers.get_list("set-cookie")) == 2
    assert answer.headers["date"].endswith("1970 00:00:00 GMT")
    assert {"alt-svc", "strict-transport-security", "link"} <= answer.headers.keys()
    assert "cookie" in sim.ledger[1].headers  # httpx keeps a jar: what Darkroom must not do
