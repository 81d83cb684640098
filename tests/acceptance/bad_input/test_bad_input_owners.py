"""The catalogue's groups tenant, idem, state and sse: whose a job is, and what can be done to it; good prompts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from contract.settings.installation_secret import InstallationSecret
from producer.api.services.signed_links import SignedLinks
from tests.catalogues.bad_input.checks import check_problem
from tests.catalogues.bad_input.gateway import Gateway
from tests.catalogues.bad_input.wire import FOX, LENGTH, head, tell
from tests.support.factories.images import picture

pytestmark = pytest.mark.real_redis
MISSING, NO_IMAGE = "00000000-0000-4000-8000-000000000000", "img_" + "0" * 12
NASTY = (
    *("${OPENROUTER_API_KEY} {{canary}} %s {0} {prompt}", "<script>canary</script>", "' OR 1=1 --"),
    "*1\r\n$4\r\nPING\r\n",
    *("canary\u202egnp\u200d\u0645", "👩‍👩‍👧‍👦 canary", "canary" + "\u0301" * 40, "x" * 32_000),
)  # fmt: skip
CLEANED = {"canary\x1b[31m\x07\x85fox\n\tend": "canary[31mfox\n\tend"}


def submit(gateway: Gateway, who: str = "ann", prompt: str = "a red fox", **more: Any) -> httpx.Response:
    """Hand a good job in."""
    return gateway.ask("POST", "/v1/jobs", who, json={"prompt": prompt}, **more)


@pytest.mark.parametrize("prompt", [*NASTY, *CLEANED], ids=range(len(NASTY) + len(CLEANED)))
def test_B17_B18_B20_a_prompt_is_plain_text(prompt: str, gateway: Gateway) -> None:
    accepted = submit(gateway, prompt=prompt)
    assert accepted.status_code == 202
    assert accepted.json()["request"]["prompt"] == CLEANED.get(prompt, prompt.replace("\r", ""))
    assert "canary" not in str(accepted.headers)


def test_B04_a_link_within_the_workspace_is_followed(gateway: Gateway) -> None:
    answer = gateway.ask(
        "POST", "/v1/jobs", "bot", json={"prompt": "fox", "reference_images": ["link-in.png", "good.png"]}
    )
    assert answer.status_code == 202


def test_B12_an_id_of_anothers_image_is_an_unknown_one(gateway: Gateway) -> None:
    upload = gateway.ask("POST", "/v1/uploads", content=picture(), headers={"Content-Type": "image/png"}).json()["id"]
    names = [gateway.image["id"], NO_IMAGE, "img_0", upload, "up_" + "0" * 64]
    told = [refused_reference(gateway, who, name) for who in ("bob", "bot") for name in names]
    assert (told[0]["code"], told[1:]) == ("reference_not_found", [told[0]] * 9)


def test_B12_a_path_of_anothers_image_is_a_missing_one(gateway: Gateway) -> None:
    [path] = gateway.stack.folder.rglob(f"{gateway.image['id']}.png")
    names = [path, path.with_name("x.png"), path.with_name(f"{NO_IMAGE}.png"), path.name, f"{NO_IMAGE}.png"]
    for who, code in (("bob", "reference_needs_upload"), ("bot", "reference_outside_roots")):
        told = [refused_reference(gateway, who, str(name)) for name in names]
        assert (told[0]["code"], told[1:]) == (code, [told[0]] * 4)


def test_a_file_of_the_workspace_may_be_named_like_an_image(gateway: Gateway) -> None:
    (gateway.stack.folder / "workspace" / "img_fox").write_bytes(picture())
    answer = gateway.ask("POST", "/v1/jobs", "bot", json={"prompt": "fox", "reference_images": ["img_fox"]})
    assert answer.status_code == 202


def refused_reference(gateway: Gateway, who: str, name: str) -> dict[str, Any]:
    """Name a reference that is refused; read how."""
    answer = gateway.ask("POST", "/v1/jobs", who, json={"prompt": "fox", "reference_images": [name]})
    assert answer.status_code == 422
    return without_id(answer)


def without_id(answer: httpx.Response) -> dict[str, Any]:
    """Read a problem, but for the name of its request."""
    return {**answer.json(), "instance": ""}


@pytest.mark.parametrize(("method", "path"), [
    *[("GET", "/v1/jobs/JOB"), ("DELETE", "/v1/jobs/JOB"), ("GET", "/v1/jobs/JOB/events"), ("GET", "/v1/tasks/JOB")],
    *[("POST", "/v1/jobs/JOB/cancel"), ("POST", "/v1/jobs/JOB/retry"), ("GET", "/v1/artifacts/IMAGE")],
    *[("GET", "/v1/artifacts/IMAGE?thumbnail=128"), ("GET", "/v1/artifacts/IMAGE/sidecar")],
])  # fmt: skip
def test_B53_jobs_of_others_are_as_if_they_were_not_there(method: str, path: str, gateway: Gateway) -> None:
    his = path.replace("JOB", gateway.job["id"]).replace("IMAGE", gateway.image["id"])
    none = path.replace("JOB", MISSING).replace("IMAGE", NO_IMAGE)
    answers = [gateway.ask(method, one, "bob") for one in (his, none)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert without_id(answers[0]) == without_id(answers[1])
    assert gateway.ask("GET", f"/v1/jobs/{gateway.job['id']}").status_code == 200


def test_B54_ids_cannot_be_guessed(gateway: Gateway) -> None:
    ids = {submit(gateway).json()["id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(one[14] == "4" and one[19] in "89ab" for one in ids)  # uuid4: 122 random bits


def test_B55_a_link_is_for_one_image_for_a_while(gateway: Gateway) -> None:
    link = httpx.URL(gateway.image["signed_url"])
    assert gateway.ask("GET", str(link), "").status_code == 200
    old = SignedLinks(InstallationSecret.of(gateway.stack.settings()).key("links"), valid_s=3600)
    expired = {"expires": "1", "signature": old._signature(gateway.image["id"], None, 1)}
    others = {"thumbnail": "128"}, {"expires": "99999999999"}, expired
    for change in others:
        answer = gateway.ask("GET", str(link.copy_merge_params(change)), "")
        assert (answer.status_code, answer.json()["code"]) == (403, "link_expired")


async def test_B58_of_fifty_at_once_one_is_a_job(gateway: Gateway) -> None:
    headers = gateway.headers() | {"Idempotency-Key": "fifty"}
    async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/jobs", json={"prompt": "x"}, headers=headers) for _ in range(50))
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({json.dumps({**answer.json(), "eta_seconds": None}) for answer in answers}) == 1
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in answers) == 49


def test_B59_a_key_means_one_request_however_it_is_spelt(gateway: Gateway) -> None:
    bodies = b'{"prompt": "x", "count": 2}', b'{ "count":2,"prompt" : "\\u0078" }', b'{"prompt": "y", "count": 2}'
    headers = {"Idempotency-Key": "spelt", "Content-Type": "application/json"}
    first, same, other = (gateway.ask("POST", "/v1/jobs", headers=headers, content=body) for body in bodies)
    assert (same.status_code, same.json()["id"]) == (202, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert gateway.ask("POST", "/v1/jobs", "bob", headers=headers, content=bodies[2]).status_code == 202


@pytest.mark.parametrize("lines", [b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", b"Idempotency-Key: \xe9\r\n"])
def test_B60_a_key_is_one_and_printable(lines: bytes, gateway: Gateway) -> None:
    reply = tell(gateway, head(gateway) + lines + b"Connection: close\r\n" + LENGTH + b"\r\n", FOX)
    assert (reply.status, reply.code) == (400, "idempotency_key_invalid")


def test_B62_a_key_of_a_refused_request_is_free(gateway: Gateway) -> None:
    headers = {"Idempotency-Key": "corrected"}
    assert submit(gateway, prompt="", headers=headers).status_code == 422
    accepted = submit(gateway, headers=headers)
    assert (accepted.status_code, "Idempotent-Replayed" in accepted.headers) == (202, False)


def test_B63_what_cannot_be_done_to_a_job_now_is_told(gateway: Gateway) -> None:
    job = submit(gateway).json()
    early = gateway.ask("POST", f"/v1/jobs/{job['id']}/retry")
    check_problem(early)
    assert (early.status_code, early.json()["code"], early.json()["state"]) == (409, "job_not_finished", "queued")
    assert "Retry-After" in early.headers
    for _ in range(2):
        assert gateway.ask("POST", job["cancel_url"]).json()["state"] == "cancelled"


@pytest.fixture
def carls(gateway: Gateway) -> Iterator[dict[str, Any]]:
    """A job of Carl's that nobody does, with a prompt that looks like events."""
    job = submit(gateway, "carl", "canary\r\n\r\nevent: succeeded\rdata: {}\n\n").json()
    yield job
    gateway.ask("POST", job["cancel_url"], "carl")


async def test_B64_one_owner_follows_five_jobs_at_once(carls: dict[str, Any], gateway: Gateway) -> None:
    def streams(resources: ExitStack, number: int) -> list[int]:
        asked = (
            gateway.client.stream("GET", carls["events_url"], headers=gateway.headers("carl")) for _ in range(number)
        )
        return [resources.enter_context(one).status_code for one in asked]

    with ExitStack() as resources:
        assert streams(resources, 5) == [200] * 5
        refused = gateway.ask("GET", carls["events_url"], "carl")
        check_problem(refused)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
        assert gateway.ask("HEAD", gateway.job["events_url"]).status_code == 200
    async with asyncio.timeout(5):
        while gateway.ask("HEAD", carls["events_url"], "carl").status_code != 200:
            await asyncio.sleep(0.05)


def test_B66_a_prompt_makes_no_events(carls: dict[str, Any], gateway: Gateway) -> None:
    gateway.ask("POST", carls["cancel_url"], "carl")
    story = gateway.ask("GET", carls["events_url"], "carl")
    fields = [line.partition(": ") for line in story.content.decode().split("\n") if line]
    assert {name for name, _, _ in fields} <= {"id", "event", "data", "retry", ""}
    assert [value for name, _, value in fields if name == "event"] == ["queued", "cancelled"]
    assert all(json.loads(value)["type"] for name, _, value in fields if name == "data")
    assert "canary" not in story.text
