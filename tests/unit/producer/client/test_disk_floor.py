"""Nothing is accepted while less of the disk is free than there has to be."""

from __future__ import annotations

from typing import Any

import pytest

from contract.artifacts.artifact_store import StorageRoom
from contract.errors.exceptions import Refused
from producer.client import disk_floor
from producer.client.disk_floor import DiskFloor


class Store:
    """A storage with so much room."""

    def __init__(self, room: StorageRoom) -> None:
        self.found = room
        self.looked = 0

    async def room(self) -> StorageRoom:
        """Tell it."""
        self.looked += 1
        return self.found


def a_floor(store: Any) -> DiskFloor:
    return DiskFloor(store, least_free=10)


@pytest.mark.parametrize("room", [StorageRoom(10), StorageRoom(9, is_there=False), StorageRoom(10, "is read-only")])
async def test_where_there_is_room_all_is_accepted(room: StorageRoom) -> None:
    await a_floor(Store(room)).check()


async def test_below_the_floor_nothing_is_until_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(StorageRoom(9))
    floor = a_floor(store)
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            await floor.check()
        assert (caught.value.code, caught.value.kind.status) == ("storage_low", 503)
    assert store.looked == 1  # not for each request
    store.found = StorageRoom(10)
    monkeypatch.setattr(disk_floor, "LOOK_S", 0)
    await floor.check()
