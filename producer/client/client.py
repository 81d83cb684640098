"""The client for one owner that opens and closes its own connections.

async with Darkroom(load_settings(), owner="cli") as darkroom:
    job = await darkroom.submit(prompt="a red fox", count=2)
    job = await darkroom.wait(job.id)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from contract.settings.loader import Settings
from producer.client.connections import Connections
from producer.client.owner_client import OwnerClient


class Darkroom(OwnerClient):
    """One owner's client with connections of its own."""

    def __init__(self, settings: Settings, *, owner: str, roots: Sequence[Path] = ()) -> None:
        """Open connections; reference images may also lie below `roots`, next to workspace and media directory."""
        reads_all = Path("/") in roots  # a user of the command line can open the images of others anyway
        super().__init__(Connections(settings, roots=roots), owner=owner, names_paths=True, reads_all=reads_all)

    async def __aenter__(self) -> Darkroom:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connections.close()
