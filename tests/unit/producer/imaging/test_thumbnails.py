"""Thumbnails: made once, kept, and never left behind by an image that is deleted meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import Refused
from producer.imaging.thumbnails import Thumbnails
from producer.imaging.turns import Asker
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar

ANN = Asker("ann")
PIXELS = a_sidecar(b"fox").width * a_sidecar(b"fox").height


class Sandbox:
    """Makes copies that say of what, once it may go on."""

    def __init__(self) -> None:
        self.made = 0
        self.has_begun, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()

    async def thumbnail(
        self, picture: Callable[[], Awaitable[bytes]], *, side: int, pixels: int, asker: Asker
    ) -> bytes:
        """Make a copy."""
        assert asker is ANN
        assert pixels == PIXELS
        self.made += 1
        self.has_begun.set()
        await self.may_go_on.wait()
        return b"\x89PNG" + await picture() + b"%d" % side


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    return MemoryArtifacts()


@pytest.fixture
async def sidecar(artifacts: MemoryArtifacts) -> Sidecar:
    return await artifacts.put(a_job(), a_sidecar(b"fox", path="memory:img_0123456789ab.png"), b"fox")


async def test_a_copy_is_made_once_for_all_who_ask(artifacts: MemoryArtifacts, sidecar: Sidecar) -> None:
    sandbox: Any = Sandbox()
    thumbnails = Thumbnails(artifacts, sandbox)
    found = await asyncio.gather(*(thumbnails.find(sidecar, sidecar.path, side=128, asker=ANN) for _ in range(5)))
    assert set(found) == {(b"\x89PNGfox128", "image/png")}
    assert sandbox.made == 1


async def test_an_image_that_is_deleted_while_its_copy_is_made_leaves_none(
    artifacts: MemoryArtifacts, sidecar: Sidecar
) -> None:
    sandbox: Any = Sandbox()
    sandbox.may_go_on.clear()
    making = asyncio.create_task(Thumbnails(artifacts, sandbox).find(sidecar, sidecar.path, side=128, asker=ANN))
    await sandbox.has_begun.wait()
    await artifacts.delete(sidecar.path)
    sandbox.may_go_on.set()
    with pytest.raises(Refused) as refused:
        await making
    assert refused.value.code == "artifact_not_found"
    assert artifacts.thumbnails == {}
