"""Where the embedded stack puts its parts."""

from __future__ import annotations

import socket

from producer.stack.stack import free_port


def test_a_wished_port_is_taken_when_nobody_listens_there_though_somebody_just_did() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert free_port(port) != port
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the side that closes first keeps the port busy for a while
    assert free_port(port) == port


def test_a_process_is_told_no_port_twice() -> None:
    assert len({free_port() for _ in range(50)}) == 50
