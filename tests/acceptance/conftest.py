"""The fixtures of whole jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from simulator.server.server import Simulator

from tests.catalogues.bad_input.checks import check_log
from tests.catalogues.bad_input.gateway import Gateway, open_gateway
from tests.support.nanobot.home import Home, open_home
from tests.support.nanobot.venv import NANOBOT, Venvs, shared_folder
from tests.support.stack.redis_server import RealRedis, running_redis
from tests.support.stack.shared_stack import Account, SharedStack, open_shared_stack
from tests.support.stack.stack import Stack


@pytest.fixture
async def stack(tmp_path: Path, own_redis: RealRedis) -> AsyncIterator[Stack]:
    """A Darkroom whose simulator answers in 0.05 s with small pictures; no worker runs yet."""
    async with Simulator(seconds=0.05, side=96) as simulator:
        stack = Stack(tmp_path, own_redis, simulator)
        try:
            yield stack
        finally:
            stack.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SharedStack]:
    """A Darkroom that the tests of a module share, with its worker and two gateways."""
    async with open_shared_stack(tmp_path_factory.mktemp("stack")) as shared_stack:
        yield shared_stack


@pytest.fixture
def account(shared_stack: SharedStack) -> Account:
    """Somebody without any jobs."""
    return shared_stack.account()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway() -> AsyncIterator[Gateway]:
    """The gateway that gets all the bad input."""
    with running_redis() as redis, TemporaryDirectory(prefix="dr-") as folder:
        async with open_gateway(Path(folder), redis) as gateway:
            yield gateway
            check_log(gateway)  # whatever has been said to it


@pytest.fixture(scope="session")
def venvs(tmp_path_factory: pytest.TempPathFactory) -> Venvs:
    """The environments with nanobot, which all processes of a test run share."""
    return Venvs(shared_folder(tmp_path_factory) / "nanobot")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(
    request: pytest.FixtureRequest, venvs: Venvs, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Home]:
    """A nanobot with Darkroom in it, of the newest version or the one that is asked for."""
    venv = venvs.get(getattr(request, "param", NANOBOT), with_darkroom=True)
    async with open_home(tmp_path_factory.mktemp("home"), venv) as home:
        yield home
