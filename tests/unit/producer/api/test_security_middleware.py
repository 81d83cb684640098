"""What may come in: host names, origins, what browsers say of a request, and what every answer says."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.types import Message, Receive, Scope, Send

from producer.api.problem_details import ProblemDetails
from producer.api.server.security_middleware import HEADERS, SecurityMiddleware

LISTED = "https://chat.example"
OWN = {"Origin": "http://localhost:8790", "Host": "localhost:8790"}
PREFLIGHT = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in pieces."""
    own = [(b"content-security-policy", b"default-src 'self'")] if scope["path"] == "/page" else []
    headers = [(b"referrer-policy", b"origin"), *own]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await send({"type": "http.response.body"})


async def ask(method: str = "POST", path: str = "/v1/jobs", query: str = "", **headers: str) -> list[Message]:
    """Ask the guard, and collect what it sends."""
    named = {"Host": "localhost"} | headers
    scope = {
        "type": "http",
        "method": method,
        "path": path.replace("%2f", "/").replace("%2F", "/"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in named.items()],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    hosts = {"localhost", "[::1]", "Images.Example"}
    refuse = ProblemDetails({}).answer
    await SecurityMiddleware(application, hosts=hosts, origins=[LISTED], refuse=refuse)(scope, receive, send)
    return sent


def status(sent: list[Message]) -> int:
    """Tell the status of an answer."""
    return int(sent[0]["status"])


def headers_in(sent: list[Message]) -> dict[str, str]:
    """Read the headers of an answer."""
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize(
    ("host", "is_let"),
    [
        *(("localhost", True), ("LOCALHOST:1", True), ("[::1]:65535", True), ("images.example:443", True)),
        *(("localhost:0", False), ("localhost:65536", False), ("localhost:08", False), ("localhost.", False)),
        *(("", False), ("evil.com", False), ("localhost.evil.com", False), ("::1", False), ("localhost:", False)),
        *(("localhost, evil.com", False), ("localhost@evil.com", False), ("[::1", False), ("localhost ", False)),
    ],
)
async def test_a_host_must_be_a_listed_one(host: str, is_let: bool) -> None:
    assert status(await ask("GET", Host=host)) == (200 if is_let else 421)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        (OWN, 200),
        ({"Origin": LISTED}, 200),
        ({"Origin": LISTED, "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({**OWN, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://chat.example.evil.com"}, 403),
        ({"Origin": "https://chat.example:8443"}, 403),
        ({"Origin": "http://localhost:8790"}, 403),  # another port than the one that was asked
    ],
)
async def test_a_page_changes_something_only_from_a_listed_origin(headers: Mapping[str, str], expected: int) -> None:
    assert status(await ask(**headers)) == expected
    assert status(await ask("GET", **headers)) == 200


async def test_a_listed_origin_may_ask_and_read() -> None:
    sent = await ask("OPTIONS", **PREFLIGHT)
    told = headers_in(sent)
    assert (status(sent), told["access-control-allow-origin"], told["vary"]) == (204, LISTED, "Origin")
    assert "authorization" in told["access-control-allow-headers"].lower()
    assert headers_in(await ask(Origin=LISTED))["access-control-allow-origin"] == LISTED


async def test_no_other_origin_is_told_anything() -> None:
    sent = await ask("OPTIONS", **(PREFLIGHT | {"Origin": "https://evil.com"}))
    assert status(sent) == 403
    for answer in (sent, await ask("GET", Origin="https://evil.com"), await ask(**OWN)):
        assert [name for name in headers_in(answer) if name.startswith("access-control")] == []


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/models/a%2fb", "", 200),
        ("/v1/jobs/a%2fb", "", 404),
        ("/v1/jobs/a%2Fb", "", 404),
        ("/v1/jobs/" + "x" * 9_000, "", 414),
        ("/v1/jobs", "x" * 9_000, 414),
    ],
)
async def test_an_address_is_short_and_clear(path: str, query: str, expected: int) -> None:
    assert status(await ask("GET", path, query)) == expected


async def test_HEAD_ends_with_the_head() -> None:
    assert [message["type"] for message in await ask("HEAD")] == ["http.response.start", "http.response.body"]


async def test_every_answer_is_dressed_unless_it_has_its_own() -> None:
    told = headers_in(await ask("GET", **{"X-Request-Id": "mine"}))
    expected = {name.lower(): value for name, value in HEADERS.items()} | {"referrer-policy": "origin"}
    assert {name: told[name] for name in expected} == expected
    assert told["x-request-id"].startswith("req_")


async def test_a_page_brings_its_own_policy_and_nothing_else_has_one_but_the_strict_one() -> None:
    """The middleware knows no page: what a route sets stays, also for an address that is called /docs."""
    policy = "content-security-policy"
    assert headers_in(await ask("GET", "/page"))[policy] == "default-src 'self'"
    assert headers_in(await ask("GET", "/docs"))[policy] == HEADERS["Content-Security-Policy"]
