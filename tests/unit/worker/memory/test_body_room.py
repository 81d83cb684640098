"""A body is read on only when there is room: until then its sender waits, and its time-outs with it."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from PIL import Image

from tests.support.network.provider_transport import CDN, GOOD, ProviderTransport, answer, linking, raw
from tests.support.process.waiting import until
from worker.answers.errors import ProviderError, TimedOut
from worker.http.response_body import read_body
from worker.memory.body_room import FREE_BYTES, PIECE_BYTES, STEP_BYTES, BodyRoom
from worker.memory.budget import Budget, Share
from worker.providers.openrouter import OPENROUTER

MIB = 2**20
MOST = 8 * MIB
PIECES = [bytes([32 + 1]) * PIECE_BYTES] * 48  # 3 MiB
LENGTH = len(PIECES) * PIECE_BYTES


class Sender(httpx.AsyncByteStream):
    """Sends pieces as they are asked for."""

    def __init__(self, pieces: list[bytes] = PIECES) -> None:
        self._pieces = pieces
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.sent += len(piece)
            yield piece
            await asyncio.sleep(0)


def response(sender: Sender, length: int | None = LENGTH) -> httpx.Response:
    headers = {} if length is None else {"content-length": str(length)}
    return httpx.Response(200, headers=headers, stream=sender)


@pytest.mark.parametrize("length", [LENGTH, None], ids=["length", "chunked"])
async def test_a_body_waits_at_its_sender_and_its_silence_does_not_count(length: int | None) -> None:
    budget, sender = Budget(MOST), Sender()
    with budget.share() as holding, budget.share() as share, BodyRoom(share) as room:
        assert holding.take(MOST)
        reading = asyncio.create_task(read_body(response(sender, length), MOST, idle_s=0.05, room=room))
        await asyncio.sleep(0.2)
        assert not reading.done()
        assert sender.sent <= FREE_BYTES
        holding.release()
        assert len(await reading) == LENGTH
        assert share.held == LENGTH
        room.keep(1000)
        assert budget.held == 1000
    assert budget.held == 0


async def test_small_bodies_need_no_room() -> None:
    budget = Budget(MOST)
    with budget.share() as holding, budget.share() as share, BodyRoom(share) as room:
        assert holding.take(MOST)
        sender = Sender([b"x" * (FREE_BYTES - PIECE_BYTES)])
        assert await read_body(response(sender, None), MOST, idle_s=1, room=room)
        assert share.held == 0


async def test_a_body_of_unknown_length_takes_what_it_needs_and_a_known_one_all_at_once() -> None:
    budget = Budget(10**9)
    seen: set[int] = set()

    class Watching(Sender):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for piece in super().__aiter__():
                seen.add(share.held)
                yield piece

    with budget.share() as share, BodyRoom(share) as room:
        await read_body(response(Watching(PIECES * 3), None), 3 * LENGTH, idle_s=5, room=room)
        assert seen == {0, FREE_BYTES + STEP_BYTES, FREE_BYTES + 2 * STEP_BYTES, FREE_BYTES + 3 * STEP_BYTES}
        assert share.held == 3 * LENGTH
    seen.clear()
    with budget.share() as share, BodyRoom(share) as room:
        await read_body(response(Watching(), LENGTH), 3 * LENGTH, idle_s=5, room=room)
        assert seen == {0, LENGTH}


@pytest.mark.parametrize("length", [LENGTH, None, 10**12], ids=["length", "chunked", "too-long"])
async def test_what_breaks_off_or_is_too_long_gives_its_room_back(length: int | None) -> None:
    budget = Budget(MOST)
    with budget.share() as share:
        with pytest.raises(ProviderError), BodyRoom(share) as room:
            await read_body(response(Sender(), length), LENGTH - 1, idle_s=5, room=room)
        assert budget.held == 0


async def test_a_cancelled_wait_gives_its_place_in_the_line_back() -> None:
    budget = Budget(MOST)

    async def read() -> None:
        with budget.share() as share, BodyRoom(share) as room:
            await read_body(response(Sender()), MOST, idle_s=5, room=room)

    with budget.share() as holding:
        assert holding.take(MOST)
        waiting = [asyncio.create_task(read()) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert budget.held == MOST
    assert budget.share().take(MOST)


@pytest.fixture
def provider_transport(provider_transport: ProviderTransport) -> ProviderTransport:
    """A transport whose answers share little room."""
    provider_transport.budget = Budget(MOST)
    return provider_transport


def large() -> bytes:
    """Make a picture whose answer needs room."""
    file = io.BytesIO()
    Image.effect_noise((1024, 1024), 90).save(file, "PNG")
    return file.getvalue()


def holding(provider_transport: ProviderTransport, release_after_s: float) -> asyncio.Task[None]:
    """Hold the whole budget for a while."""
    assert provider_transport.budget
    share = provider_transport.budget.share()
    assert share.take(MOST)

    async def hold() -> None:
        await asyncio.sleep(release_after_s)
        share.release()

    return asyncio.create_task(hold())


LARGE = large()


def heavy() -> httpx.Response:
    return linking(base64.b64encode(LARGE).decode())


async def test_the_time_of_a_call_stands_still_while_its_answer_waits(provider_transport: ProviderTransport) -> None:
    async with asyncio.timeout(20):
        held = holding(provider_transport, 0.6)
        made = await provider_transport.make(heavy(), provider=OPENROUTER, begin_s=0.3, whole_s=0.3, fetch_s=10)
        await held
    assert made.picture.data == LARGE
    assert provider_transport.budget
    assert provider_transport.budget.held == 0


async def test_no_answer_waits_beyond_the_time_of_its_job(provider_transport: ProviderTransport) -> None:
    held = holding(provider_transport, 20)
    with pytest.raises(TimedOut):
        async with asyncio.timeout(10):
            await provider_transport.make(heavy(), provider=OPENROUTER, begin_s=0.1, whole_s=0.1, fetch_s=0.4)
    held.cancel()


async def test_a_download_waits_for_room_as_well(provider_transport: ProviderTransport) -> None:
    async with asyncio.timeout(20):
        held = holding(provider_transport, 0.3)
        made = await provider_transport.make(linking(CDN), raw(LARGE), provider=OPENROUTER, idle_s=0.1, whole_s=10)
        await held
    assert made.picture.data == LARGE


async def test_a_call_holds_its_picture_and_no_more(
    provider_transport: ProviderTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provider_transport.budget
    seen: list[int] = []
    release = Share.release

    def watched(share: Share) -> None:
        seen.append(share.held)
        release(share)

    monkeypatch.setattr(Share, "release", watched)
    await provider_transport.make(heavy(), provider=OPENROUTER)
    assert seen == [len(LARGE)]
    await provider_transport.make(answer(GOOD))
    assert seen == [len(LARGE), 0]


async def test_a_job_that_is_cancelled_while_its_answer_waits_holds_nothing(
    provider_transport: ProviderTransport,
) -> None:
    assert provider_transport.budget
    held = holding(provider_transport, 20)
    call = asyncio.create_task(provider_transport.make(heavy(), provider=OPENROUTER))
    await until(lambda: bool(provider_transport.sent))
    await asyncio.sleep(0.05)
    call.cancel()
    with suppress(asyncio.CancelledError):
        await call
    assert provider_transport.budget.held == MOST
    held.cancel()
