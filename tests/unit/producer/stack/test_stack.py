"""Where the embedded stack puts its parts."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from producer.stack.ports import choose_port, free_port
from producer.stack.stack import gateway_environment


def test_a_wished_port_is_taken_when_nobody_listens_there_though_somebody_just_did() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert free_port(port) != port
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the side that closes first keeps the port busy for a while
    assert free_port(port) == port


def test_a_taken_port_has_the_same_stand_in_each_time(tmp_path: Path) -> None:
    record = tmp_path / "gateway-port"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stand_in = choose_port(port, record)
        assert stand_in != port
        assert [choose_port(port, record) for _ in range(3)] == [stand_in] * 3
        with socket.create_server(("127.0.0.1", stand_in)):
            other = choose_port(port, record)
        assert other not in (port, stand_in)
        assert choose_port(port, record) == other
    assert choose_port(port, record) == port, "clients are set up for it"


@pytest.mark.parametrize("kept", ["", "x", "-1", "80", "99999"])
def test_a_record_that_is_of_no_use_is_replaced(kept: str, tmp_path: Path) -> None:
    record = tmp_path / "gateway-port"
    record.write_text(kept)
    assert str(choose_port(0, record)) == record.read_text().strip() != kept


def test_a_process_is_told_no_port_twice() -> None:
    assert len({free_port() for _ in range(50)}) == 50


def test_a_gateway_gets_what_it_needs_of_the_environment_and_no_key(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "providers": {"openrouter": {"apiKey": "${OPENROUTER_API_KEY}", "extraHeaders": {"X-Key": "${OTHER}"}}},
                "agents": {"defaults": {"workspace": "${WORK}/here"}},
            }
        )
    )
    needed = {"HOME": "/home/ann", "WORK": "/work", "TZ": "UTC", "DARKROOM_SECRET": "s", "DARKROOM_PORT": "1"}
    keys = {"OPENROUTER_API_KEY": "canary", "OTHER": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
    assert gateway_environment(needed | keys, config) == needed | {"DARKROOM_KEYS_ELSEWHERE": "true"}
    assert gateway_environment(keys, tmp_path / "absent.json") == {"DARKROOM_KEYS_ELSEWHERE": "true"}
