"""The simulator's ledger knows what was asked, sent, paid for and given up."""

import asyncio
import hashlib

import httpx
import pytest
from simulator.providers.calls import CHAT, chat
from simulator.server.server import Simulator


async def test_ledger_keeps_the_call_but_not_the_key(sim: Simulator, client: httpx.AsyncClient) -> None:
    body = chat("a red fox", aspect_ratio="16:9")
    sim.script([], seconds=0.02)

    answer = await client.post(CHAT, json=body, headers={"X-Request-Id": "job-1.2.1"})

    call = sim.ledger[0]
    assert (call.provider, call.model, call.prompt) == ("openrouter", "google/gemini", "a red fox")
    assert (call.image_size, call.aspect_ratio, call.body) == ("512", "16:9", body)
    assert (call.request_id, call.job_id) == ("job-1.2.1", "job-1")
    assert call.headers["authorization"] == hashlib.sha256(b"Bearer sk-test").hexdigest()[:12]
    assert call.body_sha256 == hashlib.sha256(answer.request.content).hexdigest()
    assert (call.status, call.billed, call.aborted_by_client) == (200, True, False)
    assert call.bytes_sent > len(answer.content)
    assert call.seconds is not None
    assert call.seconds >= 0.02


async def test_hang_up_is_noticed_and_the_picture_is_billed(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "slow", "seconds": 0.25}])

    with pytest.raises(httpx.ReadTimeout):
        await client.post(CHAT, json=chat(), timeout=0.05)
    await asyncio.sleep(0.1)

    assert (sim.ledger[0].aborted_by_client, sim.ledger[0].billed) == (True, False)
    call = await asyncio.wait_for(sim.ended_call(), 5)
    assert (call.status, call.bytes_sent, call.billed) == (200, 0, True)


async def test_hang_ends_with_the_client(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "hang"}])

    with pytest.raises(httpx.ReadTimeout):
        await client.post(CHAT, json=chat(), timeout=0.05)

    call = await asyncio.wait_for(sim.ended_call(), 5)
    assert (call.status, call.billed, call.aborted_by_client) == (None, False, True)
