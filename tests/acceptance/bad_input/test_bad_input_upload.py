"""The catalogue's group upload: what is refused costs little and leaves nothing, what is kept is only the picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from simulator.pictures.corpus import ROWS, specimen

from tests.catalogues.bad_input.checks import check_case
from tests.catalogues.bad_input.gateway import Gateway
from tests.catalogues.bad_input.uploads import AROUND, EDGE, FORM, GOOD, LIMIT, NAMES, PNG, UPLOADS, end, part
from tests.catalogues.bad_input.wire import head, tell

pytestmark = pytest.mark.real_redis
CASES = {case.name: case for case in UPLOADS}
MOST_CPU_S = 1.0


@pytest.fixture(autouse=True)
def nothing_left(gateway: Gateway) -> Iterator[None]:
    """After each upload no temporary file is there."""
    yield
    assert list((gateway.stack.folder / "temporary").iterdir()) == []


@contextmanager
def cheap(gateway: Gateway) -> Iterator[None]:
    """Make sure that the gateway does not work for long; its child, which looks at pictures, is not counted."""
    before = used_s(gateway)
    yield
    assert used_s(gateway) - before < MOST_CPU_S


def used_s(gateway: Gateway) -> float:
    """Tell how long the gateway's processor has worked."""
    fields = Path(f"/proc/{gateway.stack.gateways[0].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kept(gateway: Gateway) -> set[str]:
    """List the pictures that are kept."""
    return {path.name for path in (gateway.stack.settings().home / "inputs").glob("*")}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, gateway: Gateway) -> None:
    before = kept(gateway)
    with cheap(gateway):
        check_case(gateway, CASES[name])
    assert kept(gateway) == before


@pytest.mark.parametrize("what", AROUND)
def test_B43_what_is_around_a_form_costs_little(what: str, gateway: Gateway) -> None:
    with cheap(gateway):
        answer = gateway.ask("POST", "/v1/uploads", "carl", headers=FORM, content=AROUND[what])
    assert answer.status_code == 201


@pytest.mark.parametrize("length", [f"Content-Length: {10 * 2**30}\r\n", "Transfer-Encoding: chunked\r\n"])
def test_B42_a_file_without_end_is_cut_off(length: str, gateway: Gateway) -> None:
    start = head(gateway, "/v1/uploads").replace(b"application/json", b"image/png")
    with gateway.unchanged(), cheap(gateway):
        reply = tell(gateway, start + length.encode() + b"\r\n", *[b"100000\r\n" + bytes(2**20) + b"\r\n"] * 40)
    assert (reply.status, reply.code, reply.answers) == (413, "upload_too_large", 1)


def test_B42_a_file_of_just_the_limit_is_looked_at(gateway: Gateway) -> None:
    answer = gateway.ask("POST", "/v1/uploads", "carl", headers=PNG, content=GOOD + bytes(LIMIT - len(GOOD)))
    assert (answer.status_code, answer.json()["bytes"]) == (201, len(GOOD))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_B44_a_file_name_names_nothing(name: str, gateway: Gateway) -> None:
    before = {path for path in gateway.stack.folder.rglob("*") if path.is_file()}
    whole = part(GOOD, f'form-data; name="file"; filename="{name}"') + end()
    answer = gateway.ask("POST", "/v1/uploads", "carl", headers=FORM, content=whole)
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"id", "mime", "width", "height", "bytes", "sha256"}
    new = {path.name for path in gateway.stack.folder.rglob("*") if path.is_file()} - {path.name for path in before}
    assert new <= {answer.json()["sha256"]}


def test_B44_a_file_name_with_a_line_end_is_no_header(gateway: Gateway) -> None:
    whole = part(GOOD, 'form-data; name="file"; filename="a.png\r\nX-Canary: y"') + end()
    answer = gateway.ask("POST", "/v1/uploads", "carl", headers=FORM, content=whole)
    assert answer.status_code in (201, 400)
    assert "x-canary" not in answer.headers


@pytest.mark.parametrize("name", [*ROWS["P62"], "jpeg_gps", "png_gps", "webp_gps"])
def test_B45_of_a_picture_with_something_else_only_the_picture_is_kept(name: str, gateway: Gateway) -> None:
    answer = gateway.ask("POST", "/v1/uploads", "carl", headers=PNG, content=specimen(name))
    assert answer.status_code == 201, answer.text
    data = (gateway.stack.settings().home / "inputs" / answer.json()["sha256"]).read_bytes()
    assert [word for word in (b"<script", b"<?php", b"PK\x03\x04", b"alert", bytes(1000), b"GPS") if word in data] == []
    assert len(data) == answer.json()["bytes"] <= len(specimen(name))


def test_B47_the_same_picture_is_kept_once(gateway: Gateway) -> None:
    first = gateway.ask("POST", "/v1/uploads", "carl", headers=PNG, content=GOOD)
    before = kept(gateway)
    again = gateway.ask("POST", "/v1/uploads", "bob", headers=FORM, content=part(GOOD) + end())
    assert (again.json()["id"], kept(gateway)) == (first.json()["id"], before)
    assert EDGE not in again.text
