"""What all answers to bad input have in common."""

from __future__ import annotations

import json

import httpx

from tests.catalogues.bad_input.case import Case
from tests.catalogues.bad_input.gateway import Gateway

MEMBERS = {"type", "title", "status", "code", "detail", "instance", "retryable"}
NEEDED = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}  # headers of a status


def check_case(gateway: Gateway, case: Case) -> None:
    """Make a bad request: it gets its answer, and nothing is left of it."""
    with gateway.unchanged():
        answer = gateway.play(case)
    assert (answer.status_code, answer.json()["code"]) == (case.status, case.code), answer.text
    check_problem(answer)
    if case.pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == case.pointer
    assert [text for text in case.echo if text in answer.text or json.dumps(text)[1:-1] in answer.text] == []


def check_problem(answer: httpx.Response) -> None:
    """Look at what all errors have in common."""
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem.keys() >= MEMBERS
    assert (problem["type"], problem["status"]) == (f"/problems/{problem['code']}", answer.status_code)
    assert problem["instance"] == f"urn:request:{answer.headers['X-Request-Id']}"
    assert answer.headers.keys() >= {NEEDED.get(answer.status_code, "Date").lower()}
    assert ("Accept-Post" in answer.headers) == (problem["code"] == "unsupported_media_type")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "no-store" in answer.headers["Cache-Control"]


def check_log(gateway: Gateway) -> None:
    """Look for prompts, tokens and tracebacks in the gateway's log."""
    log = gateway.stack.logs("gateway")
    assert "Uvicorn running" in log  # it is the right one
    assert [word for word in ("canary", "Traceback", *gateway.tokens.values()) if word in log] == []
