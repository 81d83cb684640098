"""Images that are converted for an answer: on disk until it has left, and so many at most for each owner."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contract.errors.exceptions import Refused
from producer.api.dependencies import MOST_ANSWERS_EACH
from producer.api.openai.chunked_json import pieces_of
from producer.api.openai.response import ResponseContext, complete
from producer.api.services.piece_turns import PieceTurns
from producer.api.services.waits import Waits
from producer.error_catalogue import TOO_MANY_ANSWERS
from tests.support.artifacts.memory_store import MemoryArtifacts
from tests.support.factories.ended_job import a_job
from tests.support.factories.sidecars import a_sidecar

LOCATOR = "memory:img_0123456789ab.png"


class Converter:
    """Converts nothing, but reads what it is given."""

    async def convert(self, read: Any, **_: Any) -> bytes:
        """Read an image."""
        return bytes(await read())[::-1]


class Finder:
    """Finds the one image."""

    async def find(self, _: str) -> str:
        """Tell where it is."""
        return LOCATOR


async def a_context(copies: Waits) -> ResponseContext:
    artifacts = MemoryArtifacts()
    await artifacts.put(a_job(), a_sidecar(b"fox", path=LOCATOR), b"fox")
    order: Any = SimpleNamespace(as_url=False, mime="image/webp", compression=None)
    caller: Any = SimpleNamespace(owner="ann", client=SimpleNamespace(artifacts=artifacts, owner_images=Finder()))
    gateway: Any = SimpleNamespace(pictures=Converter(), copies=copies, pieces=PieceTurns())
    return ResponseContext(gateway=gateway, caller=caller, order=order, base="", kind="image_generation")


def a_job_with(count: int) -> Any:
    image = SimpleNamespace(id="img_0123456789ab", mime="image/png", width=8, height=8)
    names: dict[str, Any] = {"id": "job", "images": [image] * count, "attempts": [], "error": None, "degraded": None}
    return SimpleNamespace(**names, created_at=a_job().created_at, cost_usd=None, warnings=[])


async def test_converted_images_count_until_their_answer_has_left() -> None:
    copies = Waits(most=256, most_each=MOST_ANSWERS_EACH, refusal=TOO_MANY_ANSWERS)
    context = await a_context(copies)
    with context.kept:
        parts = await complete(context, a_job_with(MOST_ANSWERS_EACH))
        assert b'"eG9m"' in b"".join([piece async for piece in pieces_of(parts)])
        with pytest.raises(Refused) as caught:
            await complete(context, a_job_with(1))
        assert caught.value.code == "too_many_answers"
    with context.kept:
        assert await complete(context, a_job_with(1))
