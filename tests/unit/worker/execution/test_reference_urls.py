"""References as a call takes them; smaller ones are made in the sandbox."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from contract.errors.exceptions import Refused
from contract.jobs.job import ReferenceSnapshot
from contract.untrusted.imaging import inspect
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.images import picture
from worker.execution.reference_urls import SMALL_SIDE, ReferenceUrls
from worker.sandbox.pool import Sandbox

LARGE = picture(2 * SMALL_SIDE)


async def kept(artifacts: MemoryArtifacts, *images: bytes) -> tuple[ReferenceSnapshot, ...]:
    """Keep reference images."""
    return tuple(
        [
            ReferenceSnapshot(source="x", sha256=await artifacts.put_reference(data), mime="image/png", bytes=len(data))
            for data in images
        ]
    )


def opened(url: str) -> tuple[str, Image.Image]:
    head, _, text = url.partition(",")
    return head, Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.fixture
def nothing_is_decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a picture that is decoded in this process fail the test."""

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(inspect, "opened", fail)


@pytest.mark.usefixtures("nothing_is_decoded_here")
async def test_smaller_ones_are_made_in_the_sandbox_once() -> None:
    artifacts = MemoryArtifacts()
    async with Sandbox(children=1) as sandbox:
        references = ReferenceUrls(artifacts, sandbox, await kept(artifacts, LARGE, picture(64)))
        whole, small = await references.read(small=False), await references.read(small=True)
        assert await references.read(small=False) is small  # who has refused the large ones once does so again
    assert opened(whole[0])[1].size == (2 * SMALL_SIDE, 2 * SMALL_SIDE)
    assert [opened(url)[1].size for url in small] == [(SMALL_SIDE, SMALL_SIDE), (64, 64)]
    assert all(head in ("data:image/png;base64", "data:image/jpeg;base64") for head, _ in map(opened, small))


@pytest.mark.usefixtures("nothing_is_decoded_here")
async def test_where_one_cannot_be_made_smaller_all_stay_as_they_are() -> None:
    artifacts = MemoryArtifacts()
    async with Sandbox(children=1) as sandbox:
        references = ReferenceUrls(artifacts, sandbox, await kept(artifacts, LARGE, b"no image at all, by no means"))
        assert await references.read(small=True) == await references.read(small=False)


async def test_one_that_is_gone_is_unreadable() -> None:
    artifacts = MemoryArtifacts()
    async with Sandbox(children=1) as sandbox:
        references = ReferenceUrls(artifacts, sandbox, await kept(artifacts, LARGE))
        await artifacts.remove_references(age_s=0)
        for small in (False, True):
            with pytest.raises(Refused) as refusal:
                await references.read(small=small)
            assert refusal.value.code == "reference_unreadable"
