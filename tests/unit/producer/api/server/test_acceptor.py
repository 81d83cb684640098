"""Connections that say nothing: they cost little, give way with an answer, and are closed in time."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import pytest

from producer.api.server import acceptor as module
from producer.api.server.acceptor import Acceptor, _QuietConnection
from producer.api.server.connection_limits import ConnectionLimits, Place

REFUSAL = b"HTTP/1.1 503 no\r\n\r\n"
MOST = 64  # eight of an address


class Echo(asyncio.Protocol):
    """Says everything again."""

    def __init__(self, place: Place, limits: ConnectionLimits) -> None:
        self._place, self._limits = place, limits

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._place.give_way = self._transport.abort

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limits.lose(self._place)


class Served:
    """An acceptor, and what it has let speak."""

    def __init__(self, *, quiet_s: float = 60.0) -> None:
        self.limits = ConnectionLimits(MOST)
        self.spoke = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.acceptor = Acceptor(self.listener, self.limits, self._make, REFUSAL, quiet_s=quiet_s)

    def _make(self, place: Place) -> asyncio.Protocol:
        self.spoke += 1
        return Echo(place, self.limits)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def has_quiet(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.acceptor.quiet) != count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    served.acceptor.start()
    yield served
    served.acceptor.close()


async def test_a_client_is_spoken_with_when_it_says_something(served: Served) -> None:
    reader, writer = await served.connect()
    await served.has_quiet(1)
    assert served.spoke == 0
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    assert (served.spoke, len(served.acceptor.quiet)) == (1, 0)
    writer.close()


async def test_the_oldest_silent_one_gives_way_with_an_answer(served: Served) -> None:
    first, *others = [await served.connect() for _ in range(MOST // 8 + 1)]
    assert await asyncio.wait_for(first[0].read(), 10) == REFUSAL
    others[-1][1].write(b"hello")
    assert await others[-1][0].readexactly(5) == b"hello"
    assert served.limits._stranger_count == MOST // 8
    for _, writer in (first, *others):
        writer.close()


async def test_owners_take_turns_and_so_many_are_admitted_in_a_round(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPEAKERS", 6)
    admitted: list[str] = []

    class Speaker:
        """Notes when its turn comes."""

        def __init__(self, owner: str) -> None:
            self.owner = owner

        def admit(self) -> bool:
            admitted.append(self.owner)
            return True

    for owner in ["ann"] * 20 + ["bob"] * 2:
        served.acceptor.queue(owner, cast("_QuietConnection", Speaker(owner)))
    await asyncio.sleep(0)
    assert admitted == ["ann", "bob", "ann", "bob", "ann", "ann"]
    async with asyncio.timeout(10):
        while len(admitted) < 22:
            await asyncio.sleep(0)
    assert served.acceptor._lines == {}


async def test_whose_client_speaks_is_known_by_a_token_that_was_good_before(served: Served) -> None:
    lines: list[str] = []
    queue = served.acceptor.queue

    def noting(line: str, quiet: _QuietConnection) -> None:
        lines.append(line)
        queue(line, quiet)

    served.acceptor.queue = noting  # type: ignore[method-assign]
    served.limits.learn(b"good", "ann")
    for header in (b"Authorization: Bearer good", b"api-key: good", b"authorization:bearer  good ", b"api-key: bad"):
        reader, writer = await served.connect()
        head = b"GET / HTTP/1.1\r\n" + header + b"\r\n\r\n"
        writer.write(head)
        assert await reader.readexactly(len(head)) == head
        writer.close()
    assert lines == ["ann", "ann", "ann", "\n127.0.0.1"]


async def test_one_with_a_good_token_takes_no_strangers_place(served: Served) -> None:
    served.limits.learn(b"good", "ann")
    head = b"GET / HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n"
    lines = [await served.connect() for _ in range(MOST // 8 + 3)]
    for reader, writer in lines[3:]:
        writer.write(head)
        assert await reader.readexactly(len(head)) == head
    others = [await served.connect() for _ in range(MOST // 8 + 3)]
    await served.has_quiet(MOST // 8)
    lines[-1][1].write(b"hello")
    assert await lines[-1][0].readexactly(5) == b"hello"
    for _, writer in (*lines, *others):
        writer.close()


async def test_of_an_owner_with_enough_connections_few_wait_to_be_told_so(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_REFUSED", 0)
    served.limits.learn(b"good", "ann")
    head = b"GET / HTTP/1.1\r\nAuthorization: Bearer good\r\n\r\n"
    lines, said = [], b"GET /"
    async with asyncio.timeout(20):
        while said == b"GET /":
            lines.append(await served.connect())
            lines[-1][1].write(head)
            said = await lines[-1][0].readexactly(5)
    assert said == REFUSAL[:5]
    assert served.spoke == len(lines) - 1 > MOST // 8  # more than strangers may have
    assert served.limits._stranger_count == 0
    for _, writer in lines:
        writer.close()


async def test_a_client_that_goes_without_a_word_leaves_its_place(served: Served) -> None:
    _, writer = await served.connect()
    await served.has_quiet(1)
    writer.close()
    await served.has_quiet(0)
    async with asyncio.timeout(10):
        while served.limits._stranger_count:
            await asyncio.sleep(0.005)


async def test_who_says_nothing_for_long_is_closed() -> None:
    served = Served(quiet_s=0.05)
    served.acceptor.start()
    reader, writer = await served.connect()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert (served.spoke, served.limits._stranger_count) == (0, 0)
    writer.close()
    served.acceptor.close()


async def test_at_its_end_nothing_stays_open(served: Served) -> None:
    reader, writer = await served.connect()
    await served.has_quiet(1)
    served.acceptor.close()
    assert await asyncio.wait_for(reader.read(), 10) == b""
    with pytest.raises(OSError, match=r"."):
        await served.connect()
    writer.close()


async def test_at_its_end_nobody_in_line_is_let_speak(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPEAKERS", 0)
    clients = [await served.connect() for _ in range(3)]
    for _, writer in clients:
        writer.write(b"hello")
    async with asyncio.timeout(10):
        while served.acceptor.in_line("\n127.0.0.1") != 3:
            await asyncio.sleep(0.005)
    monkeypatch.setattr(module, "SPEAKERS", 1)
    served.acceptor.close()
    for reader, writer in clients:
        with suppress(ConnectionResetError):  # what they said was not read
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    async with asyncio.timeout(10):
        while served.acceptor._lines:
            await asyncio.sleep(0.005)
    assert (served.spoke, served.limits._stranger_count) == (0, 0)


async def test_one_that_has_spoken_is_looked_at_as_it_is_accepted(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[socket.socket] = []
    add_reader = asyncio.get_running_loop().add_reader

    def noting(connection: socket.socket, *call: object) -> None:
        asked.append(connection)
        add_reader(connection, *call)  # type: ignore[arg-type]

    asyncio.get_running_loop().remove_reader(served.listener)
    reader, writer = await served.connect()
    writer.write(b"hello")
    monkeypatch.setattr(served.acceptor._loop, "add_reader", noting)
    while not select.select([served.listener], [], [], 10)[0]:
        pass
    served.acceptor._accept()
    assert (asked, served.acceptor.in_line("\n127.0.0.1")) == ([], 1)
    assert await reader.readexactly(5) == b"hello"
    writer.close()


async def test_without_a_file_left_it_waits_and_goes_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    listener, tries = served.listener, list[int]()

    class Exhausted:
        """A listener that has no file for the first connection."""

        def accept(self) -> tuple[socket.socket, object]:
            tries.append(1)
            if len(tries) == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return listener.accept()

        def fileno(self) -> int:
            return listener.fileno()

        def close(self) -> None:
            listener.close()

    served.acceptor._listener = cast("socket.socket", Exhausted())
    reader, writer = await served.connect()
    writer.write(b"hello")
    assert await asyncio.wait_for(reader.readexactly(5), 10) == b"hello"
    assert len(tries) >= 2
    writer.close()
