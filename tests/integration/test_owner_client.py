"""Clients of several owners over the same connections: each sees and remembers its own things only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.errors.exceptions import Refused
from contract.settings.nanobot_config import ProviderConfig
from producer.client.client import Darkroom
from producer.client.owner_client import OwnerClient
from tests.support.factories.configs import some_settings
from tests.support.factories.images import picture as png
from tests.support.stack.redis_server import RealRedis

pytestmark = pytest.mark.real_redis


@pytest.fixture
async def ann(redis_server: RealRedis, tmp_path: Path) -> AsyncIterator[Darkroom]:
    """A person who types commands: every path may be named."""
    redis_url, providers = SecretStr(redis_server.url), {"openrouter": ProviderConfig()}
    settings = some_settings(tmp_path, providers=providers, redis_url=redis_url, keys_elsewhere=True)
    async with Darkroom(settings, owner="ann", roots=(Path("/"),)) as darkroom:
        await darkroom.connections.redis.flushall()
        yield darkroom


async def code_of(bob: OwnerClient, *references: str) -> str:
    """Submit a job with references, which must be refused."""
    with pytest.raises(Refused) as caught:
        await bob.submit(prompt="a fox", reference_images=references)
    return caught.value.code


async def test_owners_over_the_same_connections_see_only_their_own(ann: Darkroom) -> None:
    bob = ann.of("bob", names_paths=True)
    job = await ann.submit(prompt="a fox")
    await ann.recent.note("what", job)
    upload = await ann.owner_images.keep(png(), mime="image/png")

    assert (bob.owner, ann.owner) == ("bob", "ann")
    assert bob.connections is ann.connections
    with pytest.raises(Refused, match="no such job"):
        await bob.get(job.id)
    assert await bob.list() == []
    assert await bob.recent.find("what") is None
    assert await code_of(bob, upload) == "reference_not_found"

    assert [found.id for found in await ann.list()] == [job.id]
    assert await ann.recent.find("what") == job
    assert (await ann.submit(prompt="a fox", reference_images=[upload])).request.reference_images == (upload,)


async def test_another_owner_has_no_right_that_was_not_given(ann: Darkroom, tmp_path: Path) -> None:
    path = tmp_path / "workspace" / "fox.png"
    path.parent.mkdir()
    path.write_bytes(png())
    await ann.submit(prompt="a fox", reference_images=[str(path)])
    assert await code_of(ann.of("bob", names_paths=False), str(path)) == "reference_outside_roots"
    await ann.of("bob", names_paths=True).submit(prompt="a fox", reference_images=[str(path)])


async def test_those_who_share_a_chat_share_its_uploads_and_not_its_jobs(ann: Darkroom) -> None:
    bob, carl = (ann.of(name, names_paths=False, chat="chat:7") for name in ("bob", "carl"))
    upload = await bob.owner_images.keep(png(), mime="image/png")
    job = await carl.submit(prompt="a fox", reference_images=[upload])
    with pytest.raises(Refused):
        await bob.get(job.id)
    assert await code_of(ann.of("bob", names_paths=False), upload) == "reference_not_found"
