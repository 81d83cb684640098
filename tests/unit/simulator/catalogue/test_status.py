"""Statuses come with the headers and bodies of the catalogue (P24 to P42)."""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest
from simulator.catalogue.table import CATALOGUE
from simulator.providers.calls import CHAT, PREDICT, chat, converse, encode, predict
from simulator.server.server import Simulator


async def ask(sim: Simulator, client: httpx.AsyncClient, script: str) -> httpx.Response:
    """Play one step at OpenRouter."""
    sim.script(script)
    return await client.post(CHAT, json=chat())


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("P24", ["2"]),
        ("P24.no_header", []),
        ("P25.zero", ["0"]),
        ("P25.negative", ["-1"]),
        ("P25.soon", ["soon"]),
        ("P25.two_headers", ["1", "3"]),
        ("P26.a_day", ["86400"]),
        ("P26.exponent", ["1e99"]),
    ],
)
async def test_retry_after(sim: Simulator, client: httpx.AsyncClient, script: str, expected: list[str]) -> None:
    answer = await ask(sim, client, script)

    assert (answer.status_code, answer.headers.get_list("retry-after")) == (429, expected)


@pytest.mark.parametrize(("script", "seconds"), [("P25.date", 3), ("P25.past_date", -60), ("P26.far_date", 86_400)])
async def test_retry_after_as_a_date(sim: Simulator, client: httpx.AsyncClient, script: str, seconds: int) -> None:
    then = parsedate_to_datetime((await ask(sim, client, script)).headers["retry-after"])

    assert abs((then - datetime.now(UTC)).total_seconds() - seconds) < 3


@pytest.mark.parametrize("status", ["502", "503", "504", "524"])
async def test_proxy_pages(sim: Simulator, client: httpx.AsyncClient, status: str) -> None:
    answer = await ask(sim, client, f"P29.{status}")

    assert (answer.status_code, answer.headers["content-type"]) == (int(status), "text/html")
    assert "nginx" in answer.text


async def test_every_status_is_the_one_of_its_step(sim: Simulator) -> None:
    steps = [
        (row, name, step)
        for row, named in CATALOGUE.items()
        for name, step in named.items()
        if step.kind == "status" and not name.startswith("long") and 100 <= step.number("status", 0) < 1000
    ]
    for row, name, _ in steps:
        sim.script(f"{row}.{name}", match=f"{row} {name} end")

    answers = await asyncio.gather(
        *(converse(sim.port, encode(PREDICT, predict(f"{row} {name} end"))) for row, name, _ in steps)
    )

    assert [int(answer.split(b" ")[1]) for answer, _ in answers] == [step.options["status"] for *_, step in steps]


async def test_openrouter_errors_have_their_metadata(sim: Simulator, client: httpx.AsyncClient) -> None:
    limited = (await ask(sim, client, "P34.in_flight_budget")).json()["error"]
    parked = (await ask(sim, client, "P36.key_limit")).json()["error"]
    newer = (await ask(sim, client, "P30.availability")).json()["error"]
    flagged = (await ask(sim, client, "P35.moderation")).json()["error"]

    assert limited["metadata"]["limit_source"] == "openrouter_in_flight_budget"
    assert parked["metadata"].keys() >= {"limit_source", "scope", "limit_usd", "spend_usd", "resets_at"}
    assert newer["availability"]["retryable"] is True
    assert newer.keys() == {"message", "error_type", "http_status", "availability"}
    assert flagged["metadata"].keys() == {"reasons", "flagged_input", "provider_name", "model_slug"}


async def test_aihubmix_errors_have_the_unified_form(sim: Simulator, client: httpx.AsyncClient) -> None:
    sim.script("P34, P35, P37, P38")

    answers = [await client.post(PREDICT, json=predict()) for _ in range(4)]

    errors = [answer.json()["error"] for answer in answers]
    assert [error["code"] for error in errors] == [
        "insufficient_quota",
        "moderation_blocked",
        "model_not_found",
        "invalid_value",
    ]
    assert errors[3]["param"] == "size"
    assert all("x-request-id" in answer.headers for answer in answers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_leads_into_a_trap(sim: Simulator, client: httpx.AsyncClient, status: int) -> None:
    answer = await ask(sim, client, f"P40.{status}")
    assert (answer.status_code, answer.headers["location"]) == (status, f"{sim.url}/trap")
    assert sim.visits == []

    await client.post(answer.headers["location"])
    await client.get(answer.headers["location"], headers={"Authorization": ""})

    assert [(visit.method, visit.path) for visit in sim.visits] == [("POST", "/trap"), ("GET", "/trap")]
    assert sim.visits[0].authorized


async def test_answer_before_the_upload_is_read(sim: Simulator) -> None:
    sim.script("P39.early")
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    started = time.monotonic()
    writer.write(encode(CHAT, chat("x" * 30_000_000))[:20_000])  # the rest is never sent

    assert (await asyncio.wait_for(reader.readline(), 2)).startswith(b"HTTP/1.1 413")
    writer.transport.abort()
    assert time.monotonic() - started < 1
