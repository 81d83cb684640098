"""The catalogue's group http, and host names: bytes on a socket, and clients that take their time."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from tests.catalogues.bad_input.gateway import Gate
from tests.catalogues.bad_input.wire import (
    CHUNK,
    CHUNKED,
    FOX,
    FRAMED,
    HOSTS,
    LENGTH,
    LOST,
    OWN_HOSTS,
    SECOND,
    Reply,
    head,
    read,
    tell,
)
from tests.support.stack.stack import House

pytestmark = pytest.mark.real_redis


def check(reply: Reply, status: int, code: str) -> None:
    """Look at what all errors have in common, also those of the server below the application."""
    assert (reply.status, reply.code, reply.answers) == (status, code, 1)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "private, no-store"
    assert reply.problem["instance"] == f"urn:request:{reply.headers['X-Request-Id']}"
    assert b"canary" not in reply.body


@pytest.mark.parametrize("what", FRAMED)
def test_B35_what_can_be_framed_in_two_ways_is_refused(what: str, gate: Gate) -> None:
    with gate.unchanged():
        check(tell(gate, head(gate), *FRAMED[what], SECOND), 400, "bad_request")


def test_B35_chunks_and_a_length_that_is_true_are_fine(gate: Gate) -> None:
    closing = head(gate) + b"Connection: close\r\n"
    assert tell(gate, closing + CHUNKED + b"\r\n", CHUNK, b"0\r\nX: y\r\n\r\n").status == 202
    assert tell(gate, closing + LENGTH + b"\r\n", FOX).status == 202


def test_B35_what_is_no_http_is_answered_all_the_same(gate: Gate) -> None:
    check(tell(gate, b"\x16\x03\x01\x02\x00\x01\x00"), 400, "bad_request")
    check(tell(gate, b"GET /livez\r\n\r\n"), 400, "bad_request")


def test_B16_a_body_over_the_cap_ends_the_connection(gate: Gate) -> None:
    told = tell(gate, head(gate) + b"Content-Length: 100000000\r\n\r\n", *[b"x" * 10**6] * 100)
    check(told, 413, "body_too_large")
    sent = tell(gate, head(gate) + CHUNKED + b"\r\n", *[b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 1_000)
    check(sent, 413, "body_too_large")


def test_B49_a_token_of_a_megabyte_is_no_header(gate: Gate) -> None:
    reply = tell(gate, b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ", b"x" * 2**20)
    check(reply, 431, "headers_too_large")


@pytest.mark.parametrize("target", LOST)
def test_B40_nothing_is_there(target: str, gate: Gate) -> None:
    check(tell(gate, head(gate, target.replace("ID", gate.job["id"]), "GET"), b"\r\n"), 404, "not_found")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "BREW"])
def test_B39_other_methods_are_refused(method: str, gate: Gate) -> None:
    reply = tell(gate, head(gate, method=method), b"\r\n")
    check(reply, 405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_B39_OPTIONS_tells_what_can_be_done(gate: Gate) -> None:
    reply = tell(gate, head(gate, "/v1/jobs/" + gate.job["id"], "OPTIONS"), b"\r\n")
    assert (reply.status, reply.headers["Allow"], reply.body) == (204, "DELETE, GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("target", ["/v1/jobs", "/v1/jobs/ID", "/v1/jobs/ID/events", "/livez", "/docs"])
def test_B39_HEAD_is_GET_without_a_body(target: str, gate: Gate) -> None:
    target = target.replace("ID", gate.job["id"])
    short, whole = (tell(gate, head(gate, target, method), b"\r\n") for method in ("HEAD", "GET"))
    assert (short.status, short.body, len(whole.body) > 0) == (200, b"", True)
    assert short.headers["Content-Type"] == whole.headers["Content-Type"]
    assert short.headers["Content-Length"] == whole.headers["Content-Length"]


def test_B39_a_method_in_the_address_or_a_header_is_not_one(gate: Gate) -> None:
    address = f"/v1/jobs/{gate.job['id']}?_method=DELETE"
    answer = gate.ask("GET", address, headers={"X-HTTP-Method-Override": "DELETE"})
    assert (answer.status_code, gate.ask("GET", address).status_code) == (200, 200)


@pytest.mark.parametrize("host", HOSTS)
def test_B69_foreign_host_names_are_refused(host: str, gate: Gate) -> None:
    check(
        tell(gate, f"GET /v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()),
        421,
        "host_not_allowed",
    )


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
def test_B69_one_host_must_be_named(hosts: bytes, gate: Gate) -> None:
    for version in (b"1.0", b"1.1"):
        check(tell(gate, b"GET /livez HTTP/%b\r\n%b\r\n" % (version, hosts)), 421, "host_not_allowed")


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_B69_own_names_are_answered(host: str, gate: Gate) -> None:
    assert tell(gate, f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()).status == 200


@pytest.fixture
async def hasty(house: House, gate: Gate) -> Gate:
    """A gateway whose patience is half a second."""
    url = await house.start_gateway(module="tests.support.stack.impatient_gateway")
    return Gate(house=house, url=url, tokens={"ann": house.token()}, client=gate.client, redis=gate.redis, job={})


async def test_B36_slow_clients_lose_their_connection_and_harm_nobody(hasty: Gate) -> None:
    start = head(hasty)
    with ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(hasty.address, timeout=5)) for _ in range(200)]
        for line, data in zip(
            lines, [b"", start[:30], start + LENGTH + b"\r\n", start + CHUNKED + b"\r\n5\r\n"] * 50, strict=True
        ):
            line.sendall(data)
        begun = time.monotonic()
        assert tell(hasty, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status == 200
        assert time.monotonic() - begun < 0.5
        assert [line.recv(1) for line in lines[0:2]] == [b"", b""]
        for line in lines[2:4]:
            check(read(line), 408, "request_timeout")


async def test_B36_neither_a_second_head_nor_the_rest_of_an_ignored_body_is_waited_for(hasty: Gate) -> None:
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    nobody = head(hasty, who="") + LENGTH + b"\r\n"
    begun = time.monotonic()
    assert tell(hasty, whole, whole[:20]).status == 200
    assert tell(hasty, nobody, FOX[:5]).status == 401
    assert time.monotonic() - begun < 4
