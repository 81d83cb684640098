"""The sandbox with real children: each answers its own question, and dies alone."""

import asyncio
import base64
import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from contract.untrusted.sandbox_process import MEMORY_BYTES, SandboxProcess
from tests.support.factories.images import picture
from tests.support.process.loop_stalls import watching_the_loop
from worker.answers.errors import ProviderError, Rejected
from worker.sandbox.pool import Picture, Reading, Sandbox

PICTURE = picture()
LINK = "https://cdn.example/fox.png"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

Process = subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """A sandbox of one child, with secrets around it, for tests that do it no harm."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DARKROOM_REDIS_URL", "OPENROUTER_API_KEY", "HTTPS_PROXY"):
            patch.setenv(name, "canary-secret")
        sandbox = Sandbox(children=1)
    yield sandbox
    with closing(idle(sandbox)) as child:
        child.kill()


@pytest.fixture
async def sandbox(processes: list[Process]) -> AsyncIterator[Sandbox]:
    """A sandbox of one child."""
    async with Sandbox(children=1) as sandbox:
        yield sandbox
    assert all(process.poll() is not None for process in processes)


def chat(*urls: str, **more: object) -> bytearray:
    """Answer as OpenRouter does."""
    images = [{"image_url": {"url": url}} for url in urls]
    answer = {"choices": [{"message": {"images": images}, **more}], "usage": {"cost": 0.04}}
    return bytearray(json.dumps(answer).encode())


def spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def failure(sandbox: Sandbox, body: bytearray, provider: str = "openrouter") -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await sandbox.read(body, provider=provider)
    return caught.value


def idle(sandbox: Sandbox) -> SandboxProcess:
    """Find the child that is free now."""
    child = sandbox._pool._free.get_nowait()
    assert child
    sandbox._pool._free.put_nowait(child)
    return child


async def until_it_waits(sandbox: Sandbox, process: Process, data: bytes) -> asyncio.Task[Reading]:
    """Stop a child, and put a question to it."""
    process.send_signal(signal.SIGSTOP)
    reading = asyncio.create_task(sandbox.read(bytearray(data)))
    await asyncio.sleep(0.05)
    return reading


async def test_an_answer_is_read_down_to_its_picture(shared: Sandbox) -> None:
    body = chat(spelled(PICTURE))
    reading = await shared.read(body, provider="openrouter")
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    made = Picture(data=PICTURE, mime="image/png", width=64, height=64, sha256=sha256)
    assert reading == Reading(picture=made, cost_usd=0.04)
    assert (made.extension, len(body)) == ("png", 0)


async def test_whatever_an_answer_holds_comes_back_from_the_same_child(shared: Sandbox) -> None:
    child = idle(shared)
    assert await shared.read(chat(LINK), provider="openrouter") == Reading(link=LINK, cost_usd=0.04)
    assert await shared.read(bytearray(b'{"polling_url": "/7"}'), provider="aihubmix") == Reading(poll_url="/7")
    assert await shared.read(bytearray(b'{"status": "processing"}'), provider="aihubmix") == Reading()
    refusal = await failure(shared, chat(finish_reason="content_filter"))
    assert (type(refusal), refusal.values) == (Rejected, {"reason": "content_filter"})
    assert (await failure(shared, bytearray(b"<!DOCTYPE html>" * 9), provider="")).code == "unsupported_image"
    assert (await failure(shared, bytearray(), provider="")).code == "bad_image"
    assert idle(shared) is child
    assert not child.is_dead()


@pytest.mark.parametrize(
    ("urls", "warnings", "extras"),
    [
        ([spelled(picture(blank=True))], ["The picture has only one colour."], 0),
        ([spelled(PICTURE), LINK, LINK], [], 2),
    ],
    ids=["blank", "three"],
)
async def test_p68_p69_what_is_odd_about_a_picture_is_told(
    urls: list[str], warnings: list[str], extras: int, shared: Sandbox
) -> None:
    reading = await shared.read(chat(*urls), provider="openrouter")
    assert reading.picture is not None
    assert (list(reading.picture.warnings), reading.extras) == (warnings, extras)


async def test_questions_wait_until_a_child_is_free_and_get_their_own_answers(sandbox: Sandbox) -> None:
    sizes = [64, 65, 66, 67, 68, 69]
    readings = await asyncio.gather(*(sandbox.read(bytearray(picture(side))) for side in sizes))
    assert [reading.picture.width for reading in readings if reading.picture] == sizes


async def test_a_child_that_was_killed_while_idle_is_replaced_without_costing_a_picture(
    sandbox: Sandbox, processes: list[Process]
) -> None:
    child = idle(sandbox)
    os.kill(processes[0].pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, processes[0].pid, os.WEXITED | os.WNOWAIT)
    assert (await sandbox.read(bytearray(PICTURE))).picture
    assert len(processes) == 2
    assert child._socket.fileno() == -1


async def test_a_child_outlives_the_signal_that_stops_its_worker(shared: Sandbox) -> None:
    assert (await shared.read(bytearray(PICTURE))).picture  # so it has begun to listen
    child = idle(shared)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        child._process.send_signal(number)
    assert (await shared.read(bytearray(PICTURE))).picture
    assert idle(shared) is child


@pytest.fixture
def stopping() -> Iterator[None]:
    """Give new sockets a time-out, as Celery does in the whole process while it stops."""
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("stopping")
async def test_a_child_that_is_started_while_its_worker_stops_reads_as_any_other(processes: list[Process]) -> None:
    async with Sandbox(children=1) as sandbox:
        assert (await sandbox.read(bytearray(PICTURE))).picture
        with pytest.raises(subprocess.TimeoutExpired):  # it waits for the next question
            await asyncio.to_thread(processes[0].wait, 0.5)
        assert (await sandbox.read(bytearray(PICTURE))).picture
    assert len(processes) == 1


async def test_a_child_that_dies_in_the_middle_costs_only_its_own_answer(
    processes: list[Process], caplog: pytest.LogCaptureFixture
) -> None:
    async with Sandbox(children=2) as sandbox:
        processes[0].send_signal(signal.SIGSTOP)
        lost = asyncio.create_task(failure(sandbox, bytearray(PICTURE)))
        await asyncio.sleep(0.05)
        assert (await sandbox.read(bytearray(PICTURE))).picture
        processes[0].kill()
        assert ((await lost).outcome, (await lost).code) == ("interrupted", "provider_bad_answer")
        assert (await sandbox.read(bytearray(PICTURE))).picture
    assert "a reader died of an answer of openrouter" in caplog.text


async def test_a_child_that_says_nothing_is_given_up(sandbox: Sandbox, processes: list[Process]) -> None:
    idle(sandbox)._socket.settimeout(0.1)
    processes[0].send_signal(signal.SIGSTOP)
    error = await failure(sandbox, bytearray(PICTURE), provider="")
    assert (error.outcome, error.code) == ("interrupted", "bad_image")
    assert await asyncio.to_thread(processes[0].wait, 5) == -signal.SIGKILL
    assert (await sandbox.read(bytearray(PICTURE))).picture


async def test_a_cancelled_question_is_not_answered_to_the_next_asker(
    sandbox: Sandbox, processes: list[Process]
) -> None:
    reading = await until_it_waits(sandbox, processes[0], picture(100))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await asyncio.to_thread(processes[0].wait, 5) == -signal.SIGKILL
    next_one = await sandbox.read(bytearray(PICTURE))
    assert next_one.picture
    assert next_one.picture.width == 64


async def test_a_question_that_is_cancelled_before_its_turn_costs_nothing(
    sandbox: Sandbox, processes: list[Process]
) -> None:
    first = await until_it_waits(sandbox, processes[0], picture(100))
    second = asyncio.create_task(sandbox.read(bytearray(PICTURE)))
    await asyncio.sleep(0)
    second.cancel()
    processes[0].send_signal(signal.SIGCONT)
    found = await first
    assert second.cancelled()
    assert found.picture
    assert (found.picture.width, len(processes)) == (100, 1)


BOMBS = {
    "objects": b"[" + b"{}," * 5_000_000 + b"{}]",
    "nesting": b"[" * 15_000_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_p51_a_bomb_of_json_is_refused_while_the_worker_goes_on(bomb: str, shared: Sandbox) -> None:
    body = bytearray(BOMBS[bomb])
    before = time.process_time()
    with watching_the_loop() as stalls:
        error = await failure(shared, body)
    assert (error.outcome, len(body)) == ("interrupted", 0)
    assert max(stalls) < 0.5
    assert time.process_time() - before < 0.25  # to read it takes longer
    assert (await shared.read(bytearray(PICTURE))).picture


async def test_p77_a_link_of_a_megabyte_is_refused_at_once(shared: Sandbox) -> None:
    assert (await shared.read(bytearray(PICTURE))).picture
    started = time.monotonic()
    assert (await failure(shared, chat("https:" + "A" * 2**20))).code == "unsafe_url"
    assert time.monotonic() - started < 0.5  # to hand it back byte by byte takes longer


@linux
async def test_a_child_sees_no_key_and_no_address(shared: Sandbox) -> None:
    assert (await shared.read(bytearray(PICTURE))).picture
    environment = Path(f"/proc/{idle(shared)._process.pid}/environ").read_bytes()
    assert {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry} == {
        b"PYTHONPATH",
        b"MALLOC_MMAP_THRESHOLD_",
    }
    assert b"canary" not in environment


@linux
async def test_a_child_is_bound_in_memory_time_and_what_it_leaves_behind(shared: Sandbox) -> None:
    assert (await shared.read(bytearray(PICTURE))).picture
    lines = Path(f"/proc/{idle(shared)._process.pid}/limits").read_text().splitlines()
    limits = {line[:26].strip(): line[26:].split()[0] for line in lines}
    assert limits["Max address space"] == str(MEMORY_BYTES)
    assert limits["Max core file size"] == "0"
    assert int(limits["Max cpu time"]) < 60


async def test_a_child_ends_with_its_worker(processes: list[Process]) -> None:
    sandbox = Sandbox(children=1)
    assert (await sandbox.read(bytearray(PICTURE))).picture
    assert processes[0].poll() is None
    idle(sandbox).close()
    assert await asyncio.to_thread(processes[0].wait, 5) == 0


async def test_all_children_end_when_the_sandbox_is_closed(processes: list[Process]) -> None:
    async with Sandbox(children=2) as sandbox:
        await asyncio.gather(*(sandbox.read(bytearray(PICTURE)) for _ in range(4)))
        assert [process.poll() for process in processes] == [None, None]
    assert [process.poll() for process in processes] == [-signal.SIGKILL, -signal.SIGKILL]


async def test_a_heavy_picture_is_read_alone(processes: list[Process]) -> None:
    heavy = picture(1500)  # some 9 MB of pixels
    async with Sandbox(children=2, beside=2**22) as sandbox:
        fcntl.lockf(sandbox._lock, fcntl.LOCK_SH)  # as a reader does that is at work
        waiting = asyncio.create_task(sandbox.read(bytearray(heavy)))
        for _ in range(3):
            assert (await sandbox.read(bytearray(PICTURE))).picture
        assert not waiting.done()
        fcntl.lockf(sandbox._lock, fcntl.LOCK_UN)
        assert (await waiting).picture
        assert (await sandbox.read(chat(spelled(heavy)), provider="openrouter")).picture
    assert len(processes) == 2


async def test_a_reader_that_dies_while_it_reads_alone_keeps_nobody_waiting(processes: list[Process]) -> None:
    async with Sandbox(children=2, beside=1) as sandbox:
        fcntl.lockf(sandbox._lock, fcntl.LOCK_SH)
        lost = asyncio.create_task(failure(sandbox, bytearray(PICTURE), provider=""))
        await asyncio.sleep(0.3)
        processes[0].kill()
        await lost
        fcntl.lockf(sandbox._lock, fcntl.LOCK_UN)
        assert (await sandbox.read(bytearray(PICTURE))).picture


@linux
async def test_where_memory_runs_out_it_is_a_child_that_ends(shared: Sandbox) -> None:
    assert (await shared.read(bytearray(PICTURE))).picture
    assert Path(f"/proc/{idle(shared)._process.pid}/oom_score_adj").read_text().strip() == "1000"
