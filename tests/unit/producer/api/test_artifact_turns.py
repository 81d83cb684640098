"""Whose turn it is when an image is scaled for a signed link, which names nobody."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from contract.artifacts.sidecar import Sidecar
from contract.errors.exceptions import Unavailable
from contract.store.keys import digest
from producer.api.dependencies import Gateway
from producer.api.routes.artifacts import asker_of
from producer.imaging.turns import Asker


class Store:
    """Knows the owners of images, unless Redis is away."""

    def __init__(self, owners: dict[str, str] | None) -> None:
        self._owners = owners

    async def image_owner(self, artifact_id: str) -> str:
        """Look an owner up."""
        if self._owners is None:
            raise Unavailable
        return digest(self._owners[artifact_id]) if artifact_id in self._owners else ""


async def turn_of(artifact_id: str, job_id: str, owners: dict[str, str] | None) -> str:
    request = SimpleNamespace(is_disconnected=None)
    gateway: Any = SimpleNamespace(connections=SimpleNamespace(store=Store(owners)))
    sidecar = SimpleNamespace(id=artifact_id, job_id=job_id)
    return (await asker_of(cast(Request, request), cast(Gateway, gateway), cast(Sidecar, sidecar))).turn


async def test_the_images_of_all_jobs_of_an_owner_have_one_turn() -> None:
    owners = {"img_1": "ann", "img_2": "ann", "img_3": "bob"}
    turns = [await turn_of(image, f"job-{image}", owners) for image in owners]
    assert turns == [Asker("ann").turn, Asker("ann").turn, Asker("bob").turn]


@pytest.mark.parametrize("owners", [{}, None])
async def test_where_the_owner_is_not_known_it_is_the_jobs(owners: dict[str, str] | None) -> None:
    turns = [await turn_of(image, job, owners) for image, job in (("img_1", "a"), ("img_2", "a"), ("img_3", "b"))]
    assert len(set(turns)) == 2
    assert turns[0] == turns[1]
