"""Clients of other people whose install is small do everything; `make clients` runs all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio

from tests.clients.columns import COLUMNS
from tests.clients.desk import Desk
from tests.clients.environment import Environment, NotInstalled, install
from tests.clients.table import CLIENTS, Client
from tests.support.lacking import lacking
from tests.support.stack.shared_stack import SharedStack

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SMALL = [client for client in CLIENTS if client.is_small]
SOON = [column for column in COLUMNS if column != "provider's fault"]  # clients repeat that, seconds apart


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(shared_stack: SharedStack) -> Desk:
    """A Darkroom that draws what is asked for."""
    return await Desk.open(shared_stack)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Environment]:
    """The clients, all installed at once; without npm's registry a laptop skips and CI fails."""
    packages = dict.fromkeys(package for client in SMALL for package in client.packages)
    together = replace(SMALL[0], packages=tuple(packages))
    try:
        folder = (await install(together, tmp_path_factory.mktemp("clients"))).folder
    except NotInstalled as error:
        lacking(str(error))
    return {client.name: Environment(client, folder) for client in SMALL}


@pytest.mark.parametrize("column", SOON)
@pytest.mark.parametrize("client", [pytest.param(client, id=client.name) for client in SMALL])
async def test_a_client_gets_what_it_asked_for(
    desk: Desk, environments: dict[str, Environment], client: Client, column: str
) -> None:
    async with desk.session(environments[client.name]) as session:
        cell = await COLUMNS[column](session)
    assert cell.problem == "", cell.text
