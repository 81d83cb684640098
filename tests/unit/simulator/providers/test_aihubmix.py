"""The simulator speaks AIHubMix's predictions."""

import asyncio
import base64

import httpx
import pytest
from simulator.pictures.draw import draw
from simulator.providers import aihubmix
from simulator.providers.calls import PREDICT, predict
from simulator.server.server import Simulator

from tests.support.factories.simulated_images import decode

Json = dict[str, object]

REFERENCE = draw("reference", 320, 240, 1)
REFERENCE_URL = f"data:image/png;base64,{base64.b64encode(REFERENCE).decode()}"


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
    sim.script([{"kind": "ok", "variant": "polling", "seconds": 0.1}])

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
