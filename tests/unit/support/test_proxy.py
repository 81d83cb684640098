"""The proxy of the chaos harness: each toxic before an echo server, and bad weather before a real Redis."""

import asyncio
import gc
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic
from typing import Self, TypeVar

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.network.loopback import loopback_server
from tests.support.network.proxy import Chunk, Proxy, Weather
from tests.support.process.loop_stalls import watching_the_loop
from tests.support.stack.redis_server import RealRedis

BLOCK = bytes(range(256)) * 256
T = TypeVar("T")


class Far:
    """An echo server that keeps what it reads, and how its connections end."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.connections = 0
        self.ends: asyncio.Queue[bool] = asyncio.Queue()  # False for a broken one
        self.address = ""
        self.reads = asyncio.Event()
        self.reads.set()

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        await self.reads.wait()
        try:
            while data := await reader.read(65_536):
                self.pieces.append(data)
                writer.write(data)
                await writer.drain()
            self.ends.put_nowait(True)
        except ConnectionError:
            self.ends.put_nowait(False)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


class Near:
    """A client's bare socket: streams would forget what came before a RST."""

    def __init__(self, proxy: Proxy) -> None:
        self._port = proxy.port
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()

    async def __aenter__(self) -> Self:
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # else the kernel would take 32 MiB
        try:
            await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        except OSError:
            self._socket.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    async def receive(self, size: int) -> bytes:
        """Receive so many bytes, or fewer if the stream ends."""
        found = bytearray()
        async with asyncio.timeout(30):
            while len(found) < size and (data := await self._loop.sock_recv(self._socket, size - len(found))):
                found += data
        return bytes(found)

    async def echo(self, data: bytes) -> bytes:
        await self.send(data)
        return await self.receive(len(data))

    async def is_reset(self) -> bool:
        try:
            return bool(await self.receive(1)) and False
        except ConnectionResetError:
            return True

    async def is_silent(self) -> bool:
        """Tell whether nothing comes for a while, not even an end."""
        try:
            await asyncio.wait_for(self.receive(1), 0.05)
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    far = Far()
    async with loopback_server(far.serve) as port:
        far.address = f"127.0.0.1:{port}"
        yield far
        far.reads.set()


@pytest.fixture
async def proxy(far: Far) -> AsyncIterator[Proxy]:
    async with Proxy(to=far.address) as between:
        yield between


async def until_received(far: Far, data: bytes) -> None:
    async with asyncio.timeout(30):
        while far.received != data:
            await asyncio.sleep(0.005)


async def seconds_of(near: Near, data: bytes) -> float:
    began = monotonic()
    assert await near.echo(data) == data
    return monotonic() - began


async def at_once(work: Awaitable[T]) -> T:
    """Check that hardly any time is spent waiting, as for the weather; what a busy machine takes is no wait."""
    with watching_the_loop() as stalls:
        began = monotonic()
        done = await work
        seconds = monotonic() - began
    assert seconds - sum(stalls) < 0.5
    return done


async def quickest(near: Near, data: bytes) -> float:
    """Take the best of three: the machine may be busy with other things."""
    return min([await seconds_of(near, data) for _ in range(3)])


# Clear weather


async def test_everything_passes_and_is_counted(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as one, Near(proxy) as other:
        sending = asyncio.create_task(one.send(BLOCK * 64))
        assert await one.receive(len(BLOCK) * 64) == BLOCK * 64
        await sending
        assert await other.echo(b"fox") == b"fox"
    assert (proxy.connections, far.connections) == (2, 2)
    assert proxy.bytes_up == proxy.bytes_down == len(BLOCK) * 64 + 3


async def test_a_half_closed_connection_brings_its_answer(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as near:
        await near.send(BLOCK)
        near.end()
        assert await near.receive(10**6) == BLOCK
    assert await far.ends.get()


async def test_all_of_an_answer_comes_however_slowly_it_is_read(proxy: Proxy) -> None:
    async with Near(proxy) as near:

        async def ask() -> None:
            await near.send(BLOCK * 128)
            near.end()

        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.2)  # every buffer on the way is full now
        found = bytearray()
        while piece := await near.receive(len(BLOCK)):
            found += piece
            await asyncio.sleep(0.001)
        assert found == BLOCK * 128
        await asking


async def test_whoever_breaks_off_breaks_the_other_end(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as near:
        assert await near.echo(b"fox") == b"fox"
        await near.send(b"more, which is not read")
        await until_received(far, b"foxmore, which is not read")
        await asyncio.sleep(0.02)  # its echo lies unread as the socket closes
    assert not await far.ends.get()


async def test_five_hundred_connections_are_open_at_once(proxy: Proxy) -> None:
    nears = [Near(proxy) for _ in range(500)]
    await asyncio.gather(*(near.__aenter__() for near in nears))
    answers = await asyncio.gather(*(near.echo(b"%d" % number) for number, near in enumerate(nears)))
    assert answers == [b"%d" % number for number in range(500)]
    await asyncio.gather(*(near.__aexit__() for near in nears))


async def test_a_reader_that_is_slow_slows_the_sender(proxy: Proxy, far: Far) -> None:
    far.reads.clear()
    async with Near(proxy) as near:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(near.send(bytes(64 * 1024 * 1024)), 0.4)
        assert proxy.bytes_up < 32 * 1024 * 1024


async def test_nobody_behind_the_proxy(tmp_path: Path) -> None:
    async with Proxy(to=tmp_path / "none.sock") as proxy, Near(proxy) as near:
        assert await near.is_reset()


@pytest.mark.parametrize("steps", range(8))
async def test_it_may_go_while_connections_end(far: Far, steps: int) -> None:
    async with Proxy(to=far.address) as proxy, Near(proxy) as near:
        await near.echo(b"fox")
        proxy.reset()
        for _ in range(steps):
            await asyncio.sleep(0)
        await near.__aexit__()
    writers = [thing for thing in gc.get_objects() if isinstance(thing, StreamWriter)]
    assert [str(writer) for writer in writers if not writer.is_closing()] == []


# Toxics


async def test_latency_is_added_each_way_to_what_comes_and_not_to_how_much(proxy: Proxy) -> None:
    proxy.latency(0.05)
    async with Near(proxy) as near:
        assert 0.1 <= await quickest(near, b"fox") < 0.4
        seconds = []
        for _ in range(3):
            began = monotonic()
            for _ in range(10):
                await near.send(b"fox")
                await asyncio.sleep(0.01)
            assert await near.receive(30) == b"fox" * 10
            seconds.append(monotonic() - began)
        assert 0.2 - 0.01 <= min(seconds) < 0.6


def test_jitter_is_added_or_taken_away() -> None:
    weather = Weather(latency_s=1, jitter_s=0.5)
    assert [weather.hold_s(Chunk(b"", 10, luck), 10.2) for luck in (-1, 0, 1)] == pytest.approx([0.3, 0.8, 1.3])


async def test_the_same_dice_give_the_same_jitter(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    lucks: list[float] = []

    def hold_s(_: Weather, chunk: Chunk, now: float) -> float:
        lucks.append(chunk.luck)
        return 0

    monkeypatch.setattr(Weather, "hold_s", hold_s)
    runs = []
    for seed in (1, 1, 2):
        async with Proxy(to=far.address, dice=Random(seed)) as proxy, Near(proxy) as near:
            for _ in range(3):
                await near.echo(b"fox")
            runs.append(tuple(lucks))
        lucks.clear()
    assert runs[0] == runs[1]
    assert len({*runs[0], *runs[2]}) == 12


async def test_bandwidth_is_so_much_a_second(proxy: Proxy) -> None:
    proxy.bandwidth(100_000)
    async with Near(proxy) as near:
        assert 0.15 <= await quickest(near, bytes(20_000)) < 0.8


async def test_slices_are_small(proxy: Proxy, far: Far) -> None:
    proxy.slice(100, 0.005)
    async with Near(proxy) as near:
        assert await seconds_of(near, bytes(1050)) >= 0.05
    assert [len(piece) for piece in far.pieces] == [100] * 10 + [50]


async def test_only_what_has_some_words_is_withheld(proxy: Proxy, far: Far) -> None:
    proxy.withhold(b"fox")
    async with Near(proxy) as one, Near(proxy) as other:
        await one.send(b"a red fox")
        assert await other.echo(b"hen") == b"hen"
        assert await one.is_silent()
        await one.send(b"owl")
        assert await one.is_silent()
        assert far.received == b"hen"
        proxy.heal()
        assert await at_once(one.receive(12)) == b"a red foxowl"


async def test_a_limit_cuts_a_request(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as near:
        await near.echo(BLOCK)  # what passed before does not count
        proxy.limit(300)
        far.reads.clear()
        await near.send(bytes(1000))
        assert await near.is_reset()
    assert not await far.ends.get()
    assert len(far.received) == len(BLOCK) + 300


async def test_a_limit_cuts_an_answer(proxy: Proxy) -> None:
    proxy.limit(1300)
    for _ in range(2):
        async with Near(proxy) as near:
            await near.send(bytes(1000))
            assert await near.receive(300) == bytes(300)
            assert await near.is_reset()


async def test_reset_breaks_all_connections_and_the_next_ones_work(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as one, Near(proxy) as other:
        await asyncio.gather(one.echo(b"fox"), other.echo(b"hen"))
        proxy.reset()
        assert await one.is_reset()
        assert await other.is_reset()
        assert [await far.ends.get() for _ in range(2)] == [False, False]
    async with Near(proxy) as near:
        assert await near.echo(b"fox") == b"fox"


async def test_refused_until_healed(proxy: Proxy) -> None:
    async with Near(proxy) as near:
        await near.echo(b"fox")
        proxy.refuse()
        assert await near.is_reset()
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            await Near(proxy).__aenter__()
        proxy.refuse()
    proxy.heal()
    async with Near(proxy) as near:
        assert await at_once(near.echo(b"fox")) == b"fox"


async def test_healing_lets_pass_at_once_what_waits(proxy: Proxy) -> None:
    proxy.latency(60, 10)
    proxy.bandwidth(1)
    proxy.slice(1, 60)
    async with Near(proxy) as near:
        await near.send(b"fox")
        assert await near.is_silent()
        proxy.heal()
        assert await at_once(near.receive(3)) == b"fox"
        assert await at_once(near.echo(BLOCK)) == BLOCK


# The black hole


async def test_a_black_hole_keeps_connections_and_what_is_sent(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as old:
        await old.echo(b"fox")
        proxy.black_hole()
        async with Near(proxy) as new:
            await asyncio.gather(old.send(b"hen"), new.send(b"owl"))
            assert all(await asyncio.gather(old.is_silent(), new.is_silent()))
            proxy.latency(0)  # other weather, and a black hole still
            assert all(await asyncio.gather(old.is_silent(), new.is_silent()))
            assert (far.received, far.connections) == (b"fox", 1)
            proxy.heal()
            assert [await at_once(near.receive(3)) for near in (old, new)] == [b"hen", b"owl"]


async def test_what_was_sent_before_its_sender_hung_up_comes_after_all(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as near:
        await near.echo(b"fox")
        proxy.black_hole()
        await near.send(b"hen")
    await asyncio.sleep(0.05)
    assert far.received == b"fox"
    proxy.heal()
    await at_once(until_received(far, b"foxhen"))


async def test_nobody_hears_of_a_hang_up_in_a_black_hole(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as near:
        await near.echo(b"fox")
        proxy.black_hole()
    await asyncio.sleep(0.05)
    assert far.ends.empty()
    proxy.heal()
    assert await at_once(far.ends.get())


async def test_answers_come_after_all(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as near:
        far.reads.clear()
        await near.send(b"fox")
        while not proxy.bytes_up:
            await asyncio.sleep(0.005)
        proxy.black_hole()
        far.reads.set()
        await until_received(far, b"fox")
        assert await near.is_silent()
        proxy.heal()
        assert await at_once(near.receive(3)) == b"fox"


async def test_a_black_hole_is_not_bottomless(proxy: Proxy) -> None:
    async with Near(proxy) as near:
        await near.echo(b"fox")
        proxy.black_hole()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(near.send(bytes(64 * 1024 * 1024)), 0.4)


async def test_connections_in_a_black_hole_can_be_reset(proxy: Proxy, far: Far) -> None:
    async with Near(proxy) as old:
        await old.echo(b"fox")
        proxy.black_hole()
        async with Near(proxy) as new:
            assert await new.is_silent()
            proxy.reset()
            assert await old.is_reset()
            assert await new.is_reset()
            assert not await far.ends.get()


# A real Redis


@pytest.fixture
async def redis(redis_server: RealRedis) -> AsyncIterator[tuple[Redis, Proxy]]:
    """A client that gives up after 0.2 s, and the weather before its server."""
    async with Proxy(to=redis_server.socket) as proxy:
        client = Redis(port=proxy.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0))
        await client.flushall()
        yield client, proxy
        await client.aclose()


@pytest.mark.real_redis
async def test_latency_before_redis(redis: tuple[Redis, Proxy]) -> None:
    client, proxy = redis
    proxy.latency(0.03)
    began = monotonic()
    for _ in range(3):
        await client.incr("count")
    assert 0.18 <= monotonic() - began < 0.8
    assert proxy.connections == 1


@pytest.mark.real_redis
async def test_a_reset_before_redis(redis: tuple[Redis, Proxy]) -> None:
    client, proxy = redis

    async def block() -> None:
        await client.xread({"never": "$"}, block=0)

    blocked = asyncio.create_task(block())
    while proxy.bytes_up < 100:
        await asyncio.sleep(0.005)
    proxy.reset()
    with pytest.raises(RedisConnectionError):
        await blocked
    assert await client.incr("count") == 1


@pytest.mark.real_redis
async def test_a_partition_before_redis_lets_a_late_write_through(redis: tuple[Redis, Proxy]) -> None:
    client, proxy = redis
    proxy.black_hole()
    for _ in range(2):  # on the connection that was open, on a new one
        with pytest.raises(RedisTimeoutError):
            await client.incr("count")
    proxy.heal()
    async with asyncio.timeout(5):
        while await client.get("count") != b"1":
            await asyncio.sleep(0.005)
