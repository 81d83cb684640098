"""Shared ground of all tests: no real home, no DARKROOM_* from outside, a real Redis when one is needed."""

from __future__ import annotations

import gc
import os
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import pytest
from redis.asyncio import Redis

from contract.redis.client import open_redis
from contract.store.doorbell import Doorbell
from tests.support.factories.job_store import JobStore
from tests.support.network.certificates import Certificates
from tests.support.stack.redis_server import RealRedis, running_redis

for name in list(os.environ):
    if name.startswith("DARKROOM_"):
        del os.environ[name]

HERE = Path(__file__).parent
# Modules that take a minute or more on two cores, then folders whose tests wait, then those that compute.
LONGEST_FIRST = (
    "acceptance/docs/test_pages.py",
    "acceptance/faults/test_faults.py",
    "acceptance/faults/test_memory_limit.py",
    "acceptance/nanobot/",
    "acceptance/cli/test_cli.py",
    "acceptance/jobs/",
    "acceptance/faults/",
    "acceptance/",
    "integration/",
)

REAL_REDIS_TESTS: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take long, so that no process is left alone with one; `-n` hands out modules."""
    items.sort(key=lambda item: place_in_line(item.path.relative_to(HERE).as_posix()))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while thousands of items and modules are made, and never again among them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def place_in_line(module: str) -> int:
    """Find how early a module is to begin."""
    return next((place for place, start in enumerate(LONGEST_FIRST) if module.startswith(start)), len(LONGEST_FIRST))


@pytest.fixture(scope="session", autouse=True)
def public_authorities() -> Iterator[None]:
    """Read the public authorities once: each client of httpx would do so anew, which takes 24 ms of the processor."""
    make = ssl.create_default_context
    file = certifi.where()
    made = cache(lambda: make(cafile=file))

    def create(*args: Any, **options: Any) -> ssl.SSLContext:
        return made() if not args and options == {"cafile": file} else make(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", create)
        yield


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes an empty home; one that was left empty serves again, as thousands of folders take their time."""
    folders = [tmp_path_factory.mktemp("home")]

    def empty() -> Path:
        if any(folders[-1].iterdir()):
            folders.append(tmp_path_factory.mktemp("home"))
        return folders[-1]

    return empty


@pytest.fixture(autouse=True)
def empty_home(homes: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for every test; whoever names a fixture so takes it from all tests below."""
    folder = homes()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def home(empty_home: Path) -> Path:
    """The empty home of a test."""
    return empty_home


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RealRedis]:
    """One real Redis for the tests that only need a clean database."""
    with running_redis() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RealRedis]:
    """A real Redis for one test, which may kill it."""
    with running_redis() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority for TLS servers of the tests; a process trusts it when it is told to."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


def new_fake_redis() -> Redis:
    import fakeredis  # not every test needs what it loads

    client: Redis = fakeredis.FakeAsyncRedis(decode_responses=True)
    return client


@pytest.fixture
async def fake_redis() -> AsyncIterator[Redis]:
    """An empty fakeredis with Lua."""
    async with new_fake_redis() as client:
        yield client


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real_redis)])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """An empty Redis: fakeredis with Lua, then a real one."""
    is_fake = request.param == "fake"
    async with new_fake_redis() if is_fake else open_redis(request.getfixturevalue("redis_server").url) as client:
        await client.flushall()
        yield client
        if not is_fake:
            await client.config_set("maxmemory", 0)  # a test may have made it full


@pytest.fixture
def store(redis: Redis) -> JobStore:
    """A job table on both kinds of Redis."""
    return JobStore(redis, Doorbell(), retention_s=3600)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the real-Redis tests that really ran, in whichever process."""
    if report.when == "call" and report.passed and "real_redis" in report.keywords:
        REAL_REDIS_TESTS.append(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests had a real Redis."""
    terminalreporter.write_line(f"passed against a real Redis server: {len(REAL_REDIS_TESTS)}")
