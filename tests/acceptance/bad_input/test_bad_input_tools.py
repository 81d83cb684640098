"""The catalogue's group mcp: what is no message, what tools refuse, and clients that go in the middle."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.catalogues.bad_input.checks import check_problem
from tests.catalogues.bad_input.gateway import Gateway
from tests.catalogues.bad_input.tools import ACCEPT, LIST, OUTSIDE, SAID, Said, called
from tests.support.clients.mcp import HELLO, message

pytestmark = pytest.mark.real_redis
BY_NAME = {case.name: case for case in SAID}


def say(gateway: Gateway, body: object, who: str = "ann", **headers: str) -> httpx.Response:
    """Say something to /mcp."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.ask("POST", "/mcp", who, content=content, headers=ACCEPT | headers)


def session(gateway: Gateway, who: str = "ann") -> dict[str, str]:
    """Open a session; answer the header that names it."""
    answer = say(gateway, message("initialize", 1, **HELLO), who)
    assert answer.status_code == 200, answer.text
    named = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"]}
    assert say(gateway, message("notifications/initialized"), who, **named).status_code == 202
    return named


def answered(answer: httpx.Response) -> dict[str, Any]:
    """Read a message, which may have come as an event."""
    [found] = re.findall(r"^data: (.*?)\r?$", answer.text, re.MULTILINE) or [answer.text]
    return dict(json.loads(found))


def refused(gateway: Gateway, who: str = "ann", **arguments: Any) -> str:
    """Call `generate_image`, which must refuse; answer its words."""
    with gateway.unchanged():
        result = answered(say(gateway, called("generate_image", **arguments), who, **session(gateway, who)))["result"]
    assert (result["isError"], len(result["content"])) == (True, 1)
    return str(result["content"][0]["text"])


@pytest.fixture(scope="module")
def named(gateway: Gateway) -> dict[str, str]:
    """A session of Ann's."""
    return session(gateway)


@pytest.mark.parametrize("what", BY_NAME)
def test_B84_what_is_no_message_for_us(what: str, gateway: Gateway, named: dict[str, str]) -> None:
    case: Said = BY_NAME[what]
    headers = {name: value for name, value in (named | dict(case.headers)).items() if value != "none"}
    with gateway.unchanged():
        answer = say(gateway, case.body, **headers)
    assert (answer.status_code, answered(answer)["error"]["code"]) == (case.status, case.code), answer.text
    assert "canary" not in json.dumps(answered(answer)["error"].get("message"))
    assert say(gateway, LIST, **named).status_code == 200


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_B84_a_session_of_another_user_is_as_if_it_were_not_there(
    method: str, gateway: Gateway, named: dict[str, str]
) -> None:
    his, none = (
        gateway.ask(method, "/mcp", "bob", headers=ACCEPT | one, content=json.dumps(LIST))
        for one in (named, {"Mcp-Session-Id": "0" * 32})
    )
    assert (his.status_code, his.text) == (none.status_code, none.text)
    assert his.status_code == 404


def test_B84_pages_elsewhere_and_strangers_say_nothing(gateway: Gateway, named: dict[str, str]) -> None:
    for status, code, who, headers in (
        (403, "origin_not_allowed", "ann", {"Origin": "https://evil.com"}),
        (403, "csrf_rejected", "ann", {"Sec-Fetch-Site": "cross-site"}),
        (421, "host_not_allowed", "ann", {"Host": "evil.com"}),
        (401, "unauthorized", "", {}),
        (401, "unauthorized", "late", {}),
        (415, "unsupported_media_type", "ann", {"Content-Type": "text/plain"}),
        (415, "unsupported_encoding", "ann", {"Content-Encoding": "gzip"}),
    ):
        answer = say(gateway, LIST, who, **named, **headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        check_problem(answer)


def test_B84_without_arguments_a_tool_says_what_it_needs(gateway: Gateway, named: dict[str, str]) -> None:
    result = answered(say(gateway, message("tools/call", 2, name="generate_image"), **named))["result"]
    assert (result["isError"], result["content"][0]["text"].partition(" ")[0]) == (True, "Describe")


@pytest.mark.parametrize(("arguments", "code"), [
    *[({"prompt": "x", "canary": 1}, "There is no field canary."), ({"prompt": [1]}, "Describe")],
    *[({"prompt": "x", "webhook_url": "https://canary.example"}, "There is no field webhook_url.")],
    *[({"prompt": "x", "conversation": "canary"}, "There is no field conversation.")],
    *[({"prompt": "x", "count": "two"}, "count has the wrong type"), ({"prompt": "x", "count": True}, "count has")],
    *[({"prompt": "x", "reference_images": "canary.png"}, "Reference image rejected")],
    *[({"prompt": "x", "reference_images": {"0": "canary.png"}}, "reference_images has the wrong type")],
    *[({"prompt": "x", "reference_images": "[[1]]"}, "reference_images has the wrong type")],
    *[({"prompt": "x", "idempotency_key": [1]}, "idempotency_key has the wrong type")],
    *[({"prompt": "x", "idempotency_key": "\x7f"}, "An idempotency key must have")],
    *[({"prompt": "canary\0"}, "The prompt contains NUL"), ({"prompt": "canary" * 10_000}, "The prompt must have")],
])  # fmt: skip
def test_B85_tools_check_as_the_other_routes_do(arguments: dict[str, Any], code: str, gateway: Gateway) -> None:
    text = refused(gateway, **arguments)
    assert text.startswith(code)
    assert "canary" not in text.replace("field canary", "")


@pytest.mark.parametrize("who", ["ann", "bot"])
@pytest.mark.parametrize("path", OUTSIDE)
def test_B85_a_path_that_a_prompt_has_brought_in_is_refused(path: str, who: str, gateway: Gateway) -> None:
    text = refused(gateway, who, prompt="x", reference_images=[path])
    assert path not in text
    assert "id_rsa" not in text


def test_B85_a_prompt_of_10_MB_is_not_read(gateway: Gateway, named: dict[str, str]) -> None:
    with gateway.unchanged():
        answer = say(gateway, called("generate_image", prompt="x" * 10_000_000), **named)
    check_problem(answer)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("how", ["gone", "timed out", "cancelled"])
def test_B86_the_job_of_a_client_that_goes_or_times_out_goes_on_and_that_of_one_that_cancels_does_not(
    how: str, gateway: Gateway
) -> None:
    named = session(gateway, "carl")
    body = json.dumps(called("generate_image", prompt=f"a fox that is {how}"))
    headers = gateway.headers("carl") | ACCEPT | named
    with gateway.client.stream("POST", "/mcp", content=body, headers=headers) as answer:
        assert answer.status_code == 200
        job = newest(gateway, f"a fox that is {how}")
        if how != "gone":
            cancel = message("notifications/cancelled", requestId=2, reason=f"the call has {how}")
            assert say(gateway, cancel, "carl", **named).status_code == 202
            answer.read()
            assert answered(answer)["error"]["message"] == "Request cancelled"
    state = "cancelled" if how == "cancelled" else "queued"
    look = called("get_image_job", job_id=job["id"], wait_seconds=5 if how == "cancelled" else 0)
    told = answered(say(gateway, look | {"id": 3}, "carl", **named))["result"]["structuredContent"]
    assert (told["state"], told["status_url"]) == (state, job["status_url"])
    again = gateway.ask("GET", f"/v1/jobs/{job['id']}", "carl").json()
    assert again["state"] == state
    gateway.ask("POST", job["cancel_url"], "carl")


def newest(gateway: Gateway, prompt: str) -> dict[str, Any]:
    """Wait for Carl's newest job to be the one that is meant."""
    for _ in range(500):
        [job] = gateway.ask("GET", "/v1/jobs?limit=1", "carl").json()["jobs"] or [{}]
        if job and job["request"]["prompt"] == prompt:
            return dict(job)
    raise AssertionError("there is no such job")
