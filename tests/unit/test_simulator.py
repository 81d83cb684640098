"""Drives the provider simulator over real loopback sockets, as Darkroom's worker does."""

import asyncio
import base64
import hashlib
import io
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypedDict

import httpx
import pytest
from PIL import Image, ImageChops, ImageStat
from simulator import aihubmix
from simulator.behaviour import BEHAVIOURS
from simulator.draw import draw, edit
from simulator.ledger import Call
from simulator.order import RATIOS
from simulator.server import Simulator

Json = dict[str, object]


class Plain(TypedDict):
    trust_env: bool
    verify: bool


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
PLAIN: Plain = {"trust_env": False, "verify": False}  # no proxy; loading certificates takes 40 ms a client
KEY = {"Authorization": "Bearer sk-test"}
CHAT = "/api/v1/chat/completions"
PREDICT = "/v1/models/openai/gpt-image-2-free/predictions"
REFERENCE = draw("reference", 320, 240, 1)
REFERENCE_URL = f"data:image/png;base64,{base64.b64encode(REFERENCE).decode()}"


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(seconds=0.02) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sim.url, headers=KEY, timeout=5, **PLAIN) as http:
        yield http


def chat(prompt: str = "a fox", **config: str) -> Json:
    messages = [{"role": "user", "content": prompt}]
    return {"model": "google/gemini", "messages": messages, "image_config": {"image_size": "512", **config}}


def predict(prompt: str = "a fox", **wishes: object) -> Json:
    return {"input": {"prompt": prompt, "size": "256x256", **wishes}}


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


async def until_finished(sim: Simulator) -> Call:
    """Return the only call once its record is complete."""
    for _ in range(300):
        if sim.ledger and sim.ledger[0].seconds is not None:
            return sim.ledger[0]
        await asyncio.sleep(0.01)
    pytest.fail("the call did not end")


# --- OpenRouter


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


# --- AIHubMix


async def test_aihubmix_answers_with_n_pictures(sim: Simulator, client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, json=predict(n=2, quality="low", image=[REFERENCE_URL]))

    first, second = (base64.b64decode(each["bytesBase64"]) for each in answer.json()["output"]["b64_json"])
    assert first != second
    assert decode(first).size == decode(second).size == (256, 256)
    call = sim.ledger[0]
    assert (call.model, call.quality, call.references) == ("openai/gpt-image-2-free", "low", 1)


@pytest.mark.parametrize(
    ("wishes", "pixels"),
    [({"size": "auto"}, (1024, 1024)), ({"size": "auto", "aspect_ratio": "16x9"}, (1344, 768))],
)
async def test_aihubmix_chooses_a_size(client: httpx.AsyncClient, wishes: Json, pixels: tuple[int, int]) -> None:
    answer = await client.post(PREDICT, json={"input": {"prompt": "a fox", **wishes}})

    assert decode(base64.b64decode(answer.json()["output"]["b64_json"][0]["bytesBase64"])).size == pixels


@pytest.mark.parametrize("model", ["gpt-image-1", "openai/nope", "opanai/gpt-image-1", "openai/gpt-image-1x5"])
async def test_aihubmix_does_not_know_the_model(client: httpx.AsyncClient, model: str) -> None:
    answer = await client.post(f"/v1/models/{model}/predictions", json=predict())

    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "Incorrect model ID",
        "type": "invalid_request_error",
        "code": "model_not_found",
    }


@pytest.mark.parametrize("model", ["google/imagen-4.0-ultra-generate-001", "bfl/flux-2-pro"])
async def test_aihubmix_knows_other_vendors(client: httpx.AsyncClient, model: str) -> None:
    assert (await client.post(f"/v1/models/{model}/predictions", json=predict())).status_code == 200


@pytest.mark.parametrize("body", [predict(""), predict(n=11), predict(size="huge")])
async def test_aihubmix_rejects_bad_parameters(client: httpx.AsyncClient, body: Json) -> None:
    assert (await client.post(PREDICT, json=body)).status_code == 400


async def test_aihubmix_without_a_key_is_401(client: httpx.AsyncClient) -> None:
    answer = await client.post(PREDICT, json=predict(), headers={"Authorization": "Basic x"})

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("variant", sorted(aihubmix.PICTURE_VARIANTS))
async def test_every_picture_variant(sim: Simulator, client: httpx.AsyncClient, variant: str) -> None:
    sim.script([{"kind": "ok", "variant": variant}])

    body = (await client.post(PREDICT, json=predict())).json()

    inside = body.get("output", body)
    found = inside if isinstance(inside, list) else inside.get("b64_json", inside.get("data"))
    first = found[0] if isinstance(found, list) else {"b64_json": found}
    assert decode(base64.b64decode(first.get("bytesBase64") or first["b64_json"])).size == (256, 256)


@pytest.mark.parametrize("variant", sorted(aihubmix.LINK_VARIANTS))
async def test_every_link_variant(sim: Simulator, client: httpx.AsyncClient, variant: str) -> None:
    sim.script([{"kind": "ok", "variant": variant}])

    output = (await client.post(PREDICT, json=predict())).json()["output"]

    link = output["urls"][0] if isinstance(output, dict) else output[0]["url"]
    assert link.startswith(f"{sim.url}/files/")
    download = await client.get(link)
    assert download.headers["content-type"] == "image/png"
    assert decode(download.content).size == (256, 256)
    assert sim.visits[0].path == link.removeprefix(sim.url)


async def poll(client: httpx.AsyncClient, url: str) -> Json:
    for _ in range(150):
        report: Json = (await client.get(url)).json()
        if report["status"] != "processing":
            return report
        await asyncio.sleep(0.02)
    pytest.fail("the task did not end")


async def test_polling_variant_ends_with_a_picture(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "ok", "variant": "polling", "seconds": 0.2}])

    task = (await client.post(PREDICT, json=predict())).json()["output"][0]
    early = (await client.get(task["polling_url"])).json()
    assert not sim.ledger[0].billed
    report = await poll(client, task["polling_url"])

    assert task["polling_url"] == f"{sim.url}/poll/{task['taskId']}"
    assert early == {"status": "processing"}
    assert report["status"] == "succeeded"
    assert isinstance(report["output"], list)
    assert decode(base64.b64decode(report["output"][0]["bytesBase64"])).size == (256, 256)
    assert sim.ledger[0].billed


async def test_polling_variant_may_fail(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "ok", "variant": "polling", "outcome": "failed"}])

    task = (await client.post(PREDICT, json=predict())).json()["output"][0]

    assert (await poll(client, task["polling_url"]))["status"] == "failed"
    assert (await client.get(task["polling_url"], headers={"Authorization": ""})).status_code == 401
    assert (await client.get("/poll/nobody")).status_code == 404


# --- Latency and pictures


async def test_calls_run_side_by_side(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([], seconds=0.3)
    started = time.monotonic()

    answers = await asyncio.gather(*(client.post(CHAT, json=chat()) for _ in range(4)))

    assert 0.3 <= time.monotonic() - started < 0.9
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


# --- Scripts and behaviours


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
        "ok",
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
    assert (await client.get("/__sim/ledger")).json() == {"calls": [], "visits": []}
    assert (await client.get("/elsewhere")).status_code == 404


@pytest.mark.parametrize(("prompt", "status"), [("a fox [fail]", 500), ("[REFUSE] me", 403), ("[slow 0.3]", 200)])
async def test_prompt_may_ask_for_a_step(client: httpx.AsyncClient, prompt: str, status: int) -> None:
    started = time.monotonic()

    assert (await client.post(CHAT, json=chat(prompt))).status_code == status
    assert ("slow" in prompt) == (time.monotonic() - started >= 0.3)


async def test_one_tier_may_time_out(client: httpx.AsyncClient) -> None:
    prompt = "a fox [2K times out]"
    with pytest.raises(httpx.ReadTimeout):
        await client.post(CHAT, json=chat(prompt, image_size="2K"), timeout=0.2)
    with pytest.raises(httpx.ReadTimeout):
        await client.post(PREDICT, json=predict(prompt, size="2048x2048"), timeout=0.2)

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

    call = await until_finished(sim)
    assert (call.billed, call.aborted_by_client) == (billed, False)
    assert (await client.post(CHAT, json=chat())).status_code == 200


async def test_drip_beats_a_read_timeout(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "drip", "every": 0.02}])

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await client.post(CHAT, json=chat(), timeout=0.2)

    call = await until_finished(sim)
    assert (call.status, call.aborted_by_client, call.billed) == (200, True, True)


def test_every_kind_is_tried_above() -> None:
    source = Path(__file__).read_text(encoding="utf-8")

    assert [kind for kind in BEHAVIOURS if f'"{kind}"' not in source] == []


# --- Ledger


async def test_ledger_keeps_the_call_but_not_the_key(sim: Simulator, client: httpx.AsyncClient) -> None:
    body = chat("a red fox", aspect_ratio="16:9")

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
    sim.script([{"kind": "slow", "seconds": 0.5}])

    with pytest.raises(httpx.ReadTimeout):
        await client.post(CHAT, json=chat(), timeout=0.1)
    await asyncio.sleep(0.2)

    assert (sim.ledger[0].aborted_by_client, sim.ledger[0].billed) == (True, False)
    call = await until_finished(sim)
    assert (call.status, call.bytes_sent, call.billed) == (200, 0, True)


async def test_hang_ends_with_the_client(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script([{"kind": "hang"}])

    with pytest.raises(httpx.ReadTimeout):
        await client.post(CHAT, json=chat(), timeout=0.1)

    call = await until_finished(sim)
    assert (call.status, call.billed, call.aborted_by_client) == (None, False, True)


# --- Sockets and process


async def converse(sim: Simulator, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(text)
    answer = await asyncio.wait_for(reader.read(), 3)
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /__sim/health HTTP/1.0\r\n\r\n", b"200"),
        (b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", b"100"),
    ],
)
async def test_framing(sim: Simulator, text: bytes, status: bytes) -> None:
    assert (await converse(sim, text)).split(b" ")[1] == status


async def test_pipelined_request_is_kept_while_a_call_runs(sim: Simulator) -> None:
    body = json.dumps(chat()).encode()
    call = b"POST %b HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%b"
    health = b"GET /__sim/health HTTP/1.1\r\nConnection: close\r\n\r\n"

    answer = await converse(sim, call % (CHAT.encode(), len(body), body) + health)

    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert not sim.ledger[0].aborted_by_client


async def test_closing_drops_calls_under_way() -> None:
    async with Simulator(seconds=60) as sim, httpx.AsyncClient(**PLAIN) as http:
        call = asyncio.create_task(http.post(sim.url + CHAT, json=chat(), headers=KEY))
        sim.script([{"kind": "ok", "variant": "polling"}], match="polled")
        await http.post(sim.url + PREDICT, json=predict("polled"), headers=KEY)
        await sim.close()
        with pytest.raises(httpx.TransportError):
            await call


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.com"])
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        Simulator(host=host)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_says_where_it_listens_and_ends_cleanly(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator", "--port", "0", stdout=asyncio.subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 5))
    async with httpx.AsyncClient(**PLAIN) as http:
        assert (await http.get(ready["url"] + "/__sim/health")).status_code == 200

    process.send_signal(number)

    rest = await process.stdout.read()
    assert (await process.wait(), rest, ready["url"]) == (0, b"", f"http://127.0.0.1:{ready['port']}")


async def test_process_refuses_other_hosts() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--host",
        "0.0.0.0",
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )
    _, complaint = await process.communicate()

    assert process.returncode == 2
    assert b"not a loopback address" in complaint
