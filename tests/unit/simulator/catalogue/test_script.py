"""The simulator does what scripts, prompts and behaviours say."""

import asyncio
import json
import time
from pathlib import Path

import httpx
import pytest
from simulator.catalogue.behaviour import BEHAVIOURS
from simulator.catalogue.table import CATALOGUE
from simulator.providers.calls import CHAT, PREDICT, chat, predict
from simulator.server.server import Simulator

from tests.support.factories.simulated_images import decode, picture_at


async def test_steps_are_used_one_by_one(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "status", "status": 503, "times": 2}, {"kind": "refuse"}])

    statuses = [(await client.post(CHAT, json=chat())).status_code for _ in range(4)]

    assert statuses == [503, 503, 403, 200]
    assert [call.kind for call in sim.ledger] == ["status", "status", "refuse", "ok"]


async def test_script_matches_prompt_and_model(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "refuse", "times": "always"}], match="fox", model="gemini")

    assert (await client.post(CHAT, json=chat("a cat"))).status_code == 200
    assert (await client.post(PREDICT, json=predict("a fox"))).status_code == 200
    assert [(await client.post(CHAT, json=chat("a fox"))).status_code for _ in range(2)] == [403, 403]


@pytest.mark.parametrize(
    "steps",
    [
        [{"kind": "nope"}],
        [{}],
        [{"kind": "ok", "variant": "nope"}],
        [{"kind": "ok", "times": 0}],
        [{"kind": "ok", "times": "always"}, {"kind": "ok"}],
        ["ok"],
        "nope",
        "ok ok",
        "P25.nope",
        "ok always, then ok",
        7,
    ],
)
async def test_script_refuses_what_it_does_not_understand(client: httpx.AsyncClient, steps: object) -> None:
    assert (await client.post("/__sim/script", json={"steps": steps})).status_code == 400


async def test_control_endpoints(client: httpx.AsyncClient) -> None:
    script = {"steps": [{"kind": "refuse"}], "match": "fox", "seconds": 0.01}
    assert (await client.post("/__sim/script", json=script)).json() == {"queued": 1}
    await client.post(CHAT, json=chat(), headers={"X-Request-Id": "job7.0.1"})

    call = (await client.get("/__sim/ledger")).json()["calls"][0]
    assert (call["status"], call["job_id"], call["kind"]) == (403, "job7", "refuse")
    assert (await client.post("/__sim/reset")).status_code == 200
    assert (await client.get("/__sim/ledger")).json()["calls"] == []
    assert (await client.get("/elsewhere")).status_code == 404


@pytest.mark.parametrize(("prompt", "status"), [("a fox [fail]", 500), ("[REFUSE] me", 403), ("[slow 0.2]", 200)])
async def test_prompt_may_ask_for_a_step(client: httpx.AsyncClient, prompt: str, status: int) -> None:
    started = time.monotonic()

    assert (await client.post(CHAT, json=chat(prompt))).status_code == status
    assert ("slow" in prompt) == (time.monotonic() - started >= 0.2)


async def test_one_tier_may_time_out(client: httpx.AsyncClient) -> None:
    prompt = "a fox [2K times out]"
    with pytest.raises(httpx.ReadTimeout):
        await client.post(CHAT, json=chat(prompt, image_size="2K"), timeout=0.1)
    with pytest.raises(httpx.ReadTimeout):
        await client.post(PREDICT, json=predict(prompt, size="2048x2048"), timeout=0.1)

    assert (await client.post(CHAT, json=chat(prompt))).status_code == 200


async def test_status_takes_headers_and_body(sim: Simulator, client: httpx.AsyncClient) -> None:
    headers = {"Retry-After": ["2", "5"], "X-Other": 1}
    sim.script(
        [
            {"kind": "status", "status": 429, "headers": headers, "body": {"error": "slow down"}},
            {"kind": "status", "status": 502, "body": "<h1>Bad gateway</h1>"},
            {"kind": "status", "status": 999},
        ]
    )

    throttled, page, odd = [await client.post(CHAT, json=chat()) for _ in range(3)]

    assert throttled.headers.get_list("retry-after") == ["2", "5"]
    assert throttled.json() == {"error": "slow down"}
    assert (page.text, page.headers["content-type"]) == ("<h1>Bad gateway</h1>", "text/html")
    assert odd.status_code == odd.json()["error"]["code"] == 999


@pytest.mark.parametrize("provider", ["openrouter", "aihubmix"])
async def test_answers_without_a_picture(sim: Simulator, client: httpx.AsyncClient, provider: str) -> None:
    kinds = ["refuse", "no_image", "empty_choices", "error_in_200"]
    sim.script([*({"kind": kind} for kind in kinds), {"kind": "error_in_200", "shape": "choice", "code": 429}])
    path, body = (CHAT, chat()) if provider == "openrouter" else (PREDICT, predict())

    refused, words, nothing, top, inner = [(await client.post(path, json=body)).json() for _ in range(5)]

    if provider == "openrouter":
        assert refused["error"]["metadata"]["flagged_input"] == "a fox"
        assert "can't" in words["choices"][0]["message"]["content"]
        assert nothing["choices"] == []
        assert inner["choices"][0]["finish_reason"] == "error"
        assert inner["choices"][0]["error"]["code"] == 429
    else:
        assert refused["error"]["code"] == "moderation_blocked"
        assert "can't" in words["output"][0]["text"]
        assert nothing == {"output": []}
        assert inner["output"][0]["error"]["code"] == "429"
    assert top["error"]["code"] in (502, "502")
    assert not any(call.billed for call in sim.ledger)


async def test_a_model_without_words_is_asked_for_images_alone(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "image_only", "times": "always"}])
    asked = (["image", "text"], ["image"])
    answers = [await client.post(CHAT, json={**chat(), "modalities": modalities}) for modalities in asked]
    assert [answer.status_code for answer in answers] == [404, 200]


async def test_damaged_payloads(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "truncated_image"}, {"kind": "not_an_image"}, {"kind": "bad_json"}])

    with pytest.raises(OSError, match="truncated"):
        decode(picture_at(await client.post(CHAT, json=chat())))
    assert picture_at(await client.post(CHAT, json=chat())).startswith(b"<!doctype html>")
    with pytest.raises(json.JSONDecodeError):
        (await client.post(CHAT, json=chat())).json()
    assert all(call.billed for call in sim.ledger)


@pytest.mark.parametrize("kind", ["url", "https_url"])
async def test_openrouter_answers_with_a_link(sim: Simulator, client: httpx.AsyncClient, kind: str) -> None:
    sim.script([{"kind": kind}])

    answer = (await client.post(CHAT, json=chat())).json()

    link = answer["choices"][0]["message"]["images"][0]["image_url"]["url"]
    assert decode((await client.get(link)).content).size == (512, 512)
    assert (await client.get(f"{sim.url}/files/other.png")).status_code == 404


@pytest.mark.parametrize(
    ("kind", "error", "billed"),
    [("reset", httpx.ReadError, True), ("close", httpx.RemoteProtocolError, False)],
)
async def test_broken_connections(
    sim: Simulator, client: httpx.AsyncClient, kind: str, error: type[Exception], billed: bool
) -> None:
    sim.script([{"kind": kind}])

    with pytest.raises(error):
        await client.post(CHAT, json=chat())

    call = await asyncio.wait_for(sim.ended_call(), 5)
    assert (call.billed, call.aborted_by_client) == (billed, False)
    assert (await client.post(CHAT, json=chat())).status_code == 200


async def test_drip_beats_a_read_timeout(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "drip", "every": 0.02}])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.post(CHAT, json=chat(), timeout=0.2)

    call = await asyncio.wait_for(sim.ended_call(), 5)
    assert (call.status, call.aborted_by_client, call.billed) == (200, True, True)


def test_every_kind_is_tried_here_or_by_a_row_of_the_catalogue() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    tried = {step.kind for steps in CATALOGUE.values() for step in steps.values()}

    assert [kind for kind in BEHAVIOURS if kind not in tried and f'"{kind}"' not in source] == []
