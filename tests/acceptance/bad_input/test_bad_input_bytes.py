"""The catalogue's group http, and host names: bytes on a socket, and clients that take their time."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import pytest

from tests.catalogues.bad_input.gateway import Gateway
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
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis


def check(reply: Reply, status: int, code: str) -> None:
    """Look at what all errors have in common, also those of the server below the application."""
    assert (reply.status, reply.code, reply.answers) == (status, code, 1)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "private, no-store"
    assert reply.problem["instance"] == f"urn:request:{reply.headers['X-Request-Id']}"
    assert b"canary" not in reply.body


@pytest.mark.parametrize("what", FRAMED)
def test_B35_what_can_be_framed_in_two_ways_is_refused(what: str, gateway: Gateway) -> None:
    with gateway.unchanged():
        check(tell(gateway, head(gateway), *FRAMED[what], SECOND), 400, "bad_request")


def test_B35_chunks_and_a_length_that_is_true_are_fine(gateway: Gateway) -> None:
    closing = head(gateway) + b"Connection: close\r\n"
    assert tell(gateway, closing + CHUNKED + b"\r\n", CHUNK, b"0\r\nX: y\r\n\r\n").status == 202
    assert tell(gateway, closing + LENGTH + b"\r\n", FOX).status == 202


def test_B35_what_is_no_http_is_answered_all_the_same(gateway: Gateway) -> None:
    check(tell(gateway, b"\x16\x03\x01\x02\x00\x01\x00"), 400, "bad_request")
    check(tell(gateway, b"GET /livez\r\n\r\n"), 400, "bad_request")


def test_B16_a_body_over_the_cap_ends_the_connection(gateway: Gateway) -> None:
    told = tell(gateway, head(gateway) + b"Content-Length: 100000000\r\n\r\n", *[b"x" * 10**6] * 100)
    check(told, 413, "body_too_large")
    sent = tell(gateway, head(gateway) + CHUNKED + b"\r\n", *[b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 1_000)
    check(sent, 413, "body_too_large")


def test_B49_a_token_of_a_megabyte_is_no_header(gateway: Gateway) -> None:
    reply = tell(gateway, b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ", b"x" * 2**20)
    check(reply, 431, "headers_too_large")


@pytest.mark.parametrize("target", LOST)
def test_B40_nothing_is_there(target: str, gateway: Gateway) -> None:
    check(tell(gateway, head(gateway, target.replace("ID", gateway.job["id"]), "GET"), b"\r\n"), 404, "not_found")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "BREW"])
def test_B39_other_methods_are_refused(method: str, gateway: Gateway) -> None:
    reply = tell(gateway, head(gateway, method=method), b"\r\n")
    check(reply, 405, "method_not_allowed")
    assert reply.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_B39_OPTIONS_tells_what_can_be_done(gateway: Gateway) -> None:
    reply = tell(gateway, head(gateway, "/v1/jobs/" + gateway.job["id"], "OPTIONS"), b"\r\n")
    assert (reply.status, reply.headers["Allow"], reply.body) == (204, "DELETE, GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("target", ["/v1/jobs", "/v1/jobs/ID", "/v1/jobs/ID/events", "/livez", "/docs"])
def test_B39_HEAD_is_GET_without_a_body(target: str, gateway: Gateway) -> None:
    target = target.replace("ID", gateway.job["id"])
    short, whole = (tell(gateway, head(gateway, target, method), b"\r\n") for method in ("HEAD", "GET"))
    assert (short.status, short.body, len(whole.body) > 0) == (200, b"", True)
    assert short.headers["Content-Type"] == whole.headers["Content-Type"]
    assert short.headers["Content-Length"] == whole.headers["Content-Length"]


def test_B39_a_method_in_the_address_or_a_header_is_not_one(gateway: Gateway) -> None:
    address = f"/v1/jobs/{gateway.job['id']}?_method=DELETE"
    answer = gateway.ask("GET", address, headers={"X-HTTP-Method-Override": "DELETE"})
    assert (answer.status_code, gateway.ask("GET", address).status_code) == (200, 200)


@pytest.mark.parametrize("host", HOSTS)
def test_B69_foreign_host_names_are_refused(host: str, gateway: Gateway) -> None:
    check(
        tell(gateway, f"GET /v1/jobs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()),
        421,
        "host_not_allowed",
    )


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: localhost\r\n"])
def test_B69_one_host_must_be_named(hosts: bytes, gateway: Gateway) -> None:
    for version in (b"1.0", b"1.1"):
        check(tell(gateway, b"GET /livez HTTP/%b\r\n%b\r\n" % (version, hosts)), 421, "host_not_allowed")


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_B69_own_names_are_answered(host: str, gateway: Gateway) -> None:
    assert tell(gateway, f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()).status == 200


@pytest.fixture
async def impatient(stack: Stack, gateway: Gateway) -> Gateway:
    """A gateway whose patience is half a second."""
    url = await stack.start_gateway(module="tests.support.stack.impatient_gateway")
    return Gateway(
        stack=stack, url=url, tokens={"ann": stack.token()}, client=gateway.client, redis=gateway.redis, job={}
    )


async def test_B36_slow_clients_lose_their_connection_and_harm_nobody(impatient: Gateway) -> None:
    start = head(impatient)
    with ExitStack() as resources:
        lines = [resources.enter_context(socket.create_connection(impatient.address, timeout=5)) for _ in range(200)]
        for line, data in zip(
            lines, [b"", start[:30], start + LENGTH + b"\r\n", start + CHUNKED + b"\r\n5\r\n"] * 50, strict=True
        ):
            line.sendall(data)
        begun = time.monotonic()
        assert tell(impatient, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").status == 200
        assert time.monotonic() - begun < 0.5
        assert [line.recv(1) for line in lines[0:2]] == [b"", b""]
        for line in lines[2:4]:
            check(read(line), 408, "request_timeout")


async def test_B36_neither_a_second_head_nor_the_rest_of_an_ignored_body_is_waited_for(impatient: Gateway) -> None:
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    nobody = head(impatient, who="") + LENGTH + b"\r\n"
    begun = time.monotonic()
    assert tell(impatient, whole, whole[:20]).status == 200
    assert tell(impatient, nobody, FOX[:5]).status == 401
    assert time.monotonic() - begun < 4
