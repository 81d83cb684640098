"""The catalogue's groups auth and browser, and the rest of http: who is calling, from where, and what they see."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest

from producer.tokens import Tokens
from tests.catalogues.bad_input.checks import check_problem
from tests.catalogues.bad_input.gateway import PROMPT, Gateway
from tests.catalogues.bad_input.wire import head, tell

pytestmark = pytest.mark.real_redis
PUBLIC = {"/livez", "/readyz"}


def test_B33_an_API_speaks_JSON_whatever_is_asked_for(gateway: Gateway) -> None:
    answer = gateway.ask("GET", "/v1/jobs", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("name", ["x" * 10_000, "canary", "a\tb"])
def test_B41_a_request_is_named_by_us(name: str, gateway: Gateway) -> None:
    answer = gateway.ask("GET", "/v1/jobs", headers={"X-Request-Id": name})
    assert answer.headers["X-Request-Id"].startswith("req_")


def test_B41_a_line_end_in_its_name_is_no_header(gateway: Gateway) -> None:
    reply = tell(gateway, head(gateway, "/livez", "GET") + b"X-Request-Id: a\r\n b\r\n\r\n")
    assert (reply.status, reply.code) == (400, "bad_request")


def test_B48_nothing_but_health_is_told_without_a_token(gateway: Gateway) -> None:
    paths = gateway.client.get("/openapi.json").json()["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods if path not in PUBLIC]
    assert len(asked) > 12
    for method, path in asked:
        check_problem_or_openais(gateway.ask(method.upper(), path.format_map(Anything()), ""), 401)


class Anything(dict[str, str]):
    """Has a word for every name."""

    def __missing__(self, name: str) -> str:
        return "00000000-0000-4000-8000-000000000000"


def check_problem_or_openais(answer: httpx.Response, status: int) -> None:
    """Look at an error in either form."""
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (status, 'Bearer realm="darkroom"')
    if "error" not in answer.json():
        check_problem(answer)


def test_B49_the_name_of_the_scheme_has_no_case_and_there_is_one_header(gateway: Gateway) -> None:
    token = gateway.tokens["ann"]
    for scheme in ("bearer", "BEARER"):
        assert gateway.client.get("/v1/jobs", headers={"Authorization": f"{scheme} {token}"}).status_code == 200
    twice = [("Authorization", f"Bearer {token}")] * 2
    assert gateway.client.get("/v1/jobs", headers=twice).json()["code"] == "bad_request"
    odd = gateway.client.get("/v1/jobs", headers={b"Authorization": b"Bearer dk_\xe9\xff"})
    assert (odd.status_code, odd.json()["code"]) == (401, "unauthorized")


async def test_B50_a_revoked_token_is_unknown_within_seconds(gateway: Gateway) -> None:
    tokens = Tokens(gateway.stack.settings().tokens_path)
    headers = {"Authorization": f"Bearer {tokens.create('gone')}"}
    await answered(gateway, headers, 200)
    tokens.revoke("gone")
    await answered(gateway, headers, 401)


async def answered(gateway: Gateway, headers: dict[str, str], status: int) -> None:
    """Ask until there is this answer, as the gateway looks at its tokens each second."""
    async with asyncio.timeout(5):
        while gateway.client.get("/v1/jobs", headers=headers).status_code != status:
            await asyncio.sleep(0.05)


def test_B51_nobody_can_open_it_to_everybody(gateway: Gateway) -> None:
    gateway.stack.write_config()
    environment = {"DARKROOM_HOST": "0.0.0.0", "DARKROOM_TOKENS": str(gateway.stack.folder / "none.json")}
    command = [sys.executable, "-m", "producer.api", str(gateway.stack.config)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("Error: DARKROOM_HOST: is not loopback")


def test_B52_who_is_calling_is_told_by_the_token_alone(gateway: Gateway) -> None:
    headers = dict.fromkeys(
        ("X-Forwarded-For", "X-Real-IP", "X-User-Id", "X-Darkroom-User", "X-OpenWebUI-User-Id"), "bob"
    )
    more = {
        "Forwarded": "for=bob;host=evil.com;proto=https",
        "X-Forwarded-Host": "evil.com",
        "X-Forwarded-Proto": "https",
    }
    job = gateway.ask("POST", "/v1/jobs", json={"prompt": "x"}, headers=headers | more).json()
    assert (job["owner"], job["status_url"]) == ("ann", f"{gateway.url}/v1/jobs/{job['id']}")


@pytest.mark.parametrize("method", ["OPTIONS", "POST", "DELETE"])
@pytest.mark.parametrize("private", [{}, {"Access-Control-Request-Private-Network": "true"}])
def test_B67_B70_pages_elsewhere_may_not_even_ask(method: str, private: dict[str, str], gateway: Gateway) -> None:
    asked = {
        "Origin": "https://evil.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = gateway.ask(method, "/v1/jobs", "", headers=asked | private)
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert [name for name in answer.headers if name.startswith("access-control")] == []


def test_B67_pages_elsewhere_cannot_read_what_they_get(gateway: Gateway) -> None:
    answer = gateway.ask("GET", "/v1/jobs", headers={"Origin": "https://evil.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    own = gateway.ask(
        "POST", "/v1/jobs", headers={"Origin": gateway.url, "Sec-Fetch-Site": "same-origin"}, json={"prompt": "x"}
    )
    assert own.status_code == 202


def test_B68_a_form_of_another_site_uploads_nothing(gateway: Gateway) -> None:
    answer = gateway.ask("POST", "/v1/uploads", files={"file": b"x"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_rejected")


def test_B71_an_image_is_shown_as_one_and_does_nothing(gateway: Gateway) -> None:
    answer = gateway.ask("GET", gateway.image["url"] + "?download=../../x&filename=x.html")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, gateway.image["mime"])
    assert answer.headers["Content-Disposition"] == f'inline; filename="{gateway.image["id"]}.png"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_B71_a_part_that_is_not_there_is_a_problem_and_an_odd_wish_for_one_is_ignored(gateway: Gateway) -> None:
    beyond = gateway.ask("GET", gateway.image["url"], headers={"Range": "bytes=99999999-"})
    check_problem(beyond)
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{gateway.image['bytes']}")
    for odd in ("bytes=9-5", "bytes=x", "pixels=1-2", "bytes=" + "0-1," * 1_000 + "5-6", "bytes=-0", "bytes=١-٢"):
        whole = gateway.ask("GET", gateway.image["url"], headers={"Range": odd.encode()})
        assert (whole.status_code, len(whole.content)) == (200, gateway.image["bytes"])


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/models", "/nothing", "/livez", "/docs", "/v1/webhooks/secret"])
def test_B72_answers_are_private(path: str, gateway: Gateway) -> None:
    headers = gateway.ask("GET", path).headers
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/metrics", "/admin", "/debug", "/flower", "/redoc", "/.env", "/.git/config", "/server-status"]
)
def test_B89_there_is_no_back_door(path: str, gateway: Gateway) -> None:
    assert gateway.ask("GET", path).status_code == 404


def test_B89_what_is_open_tells_nothing_of_anybody(gateway: Gateway) -> None:
    for path in (
        "/docs",
        "/openapi.json",
        "/livez",
        "/health",
        "/readyz",
        "/healthz?verbose",
        "/problems/rate_limited",
    ):
        answer = gateway.ask("GET", path, "")
        assert answer.status_code == 200
        assert [
            word
            for word in (PROMPT, "ann", gateway.tokens["ann"], str(gateway.stack.folder))
            if f'"{word}' in answer.text
        ] == []
