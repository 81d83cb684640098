"""Which connection gives way, and that strangers never take the places of those with a token."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count

import pytest

from contract.errors.exceptions import Refused
from producer.api.server.connection_limits import ConnectionLimits, Place, network_of, room_for

MOST = 64  # 16 for strangers, 8 of an address, 48 for owners: 6 of them are the reserve


class Door:
    """Connections, and the names of those that had to give way."""

    refused: Refused  # the latest refusal

    def __init__(self) -> None:
        self.limits = ConnectionLimits(MOST)
        self.ended: list[int] = []
        self._names = count()

    def enter(self, peer: str = "10.0.0.1") -> Place:
        """Open a connection."""
        name = next(self._names)
        return self.limits.enter(peer, lambda: self.ended.append(name))

    def begin(self, requests: ExitStack, place: Place) -> None:
        """Begin a request."""
        self.limits.begin(place)
        requests.callback(self.limits.end, place)

    def serve(self, requests: ExitStack, owner: str, place: Place | None = None) -> Place:
        """Begin a request with an owner's token."""
        place = place or self.enter()
        self.begin(requests, place)
        self.limits.vouch(place, owner)
        return place

    def fill(self, requests: ExitStack, owner: str) -> int:
        """Begin requests of an owner until one is refused; tell how many are served."""
        for number in count():
            try:
                self.serve(requests, owner)
            except Refused as refused:
                self.refused = refused
                return number
        raise AssertionError


def test_of_one_address_the_oldest_that_is_idle_gives_way() -> None:
    door = Door()
    with ExitStack() as requests:
        door.begin(requests, door.enter())
        for _ in range(9):
            door.enter()
        assert door.ended == [1, 2]
        assert [door.enter("10.0.0.2").peer for _ in range(8)]
        assert door.ended == [1, 2]


def test_of_all_strangers_one_of_the_address_with_the_most_gives_way() -> None:
    door = Door()
    for _ in range(8):
        door.enter("10.0.0.1")
    for number in range(20):
        door.enter(f"10.0.1.{number}")
    assert door.ended == [0, 1, 2, 3, 4, 5, 6, *range(7, 12)]


def test_a_stranger_whose_answers_are_not_taken_gives_way_at_last() -> None:
    door = Door()
    with ExitStack() as requests:
        for _ in range(8):
            door.begin(requests, door.enter())
        door.enter()
    assert door.ended == [0]


def test_those_with_a_token_lose_no_place_to_strangers() -> None:
    door = Door()
    with ExitStack() as requests:
        for _ in range(20):
            door.serve(requests, "ann")
    for _ in range(100):
        door.enter()
    assert not set(door.ended) & set(range(20))


def test_an_owner_has_half_of_what_others_leave_and_a_further_one_has_some() -> None:
    door = Door()
    with ExitStack() as requests:
        assert [door.fill(requests, owner) for owner in ("ann", "bob", "cid", "dee")] == [21, 10, 5, 3]
        assert door.fill(requests, "eve") == 3
        assert (door.refused.code, door.refused.values["retry_after_s"]) == ("too_many_connections", 2)
        assert sum(door.fill(requests, f"owner-{number}") for number in range(20)) == MOST * 3 // 4 - 42
        assert door.fill(requests, "zoe") == 0
        assert (door.refused.code, door.refused.values["retry_after_s"]) == ("too_busy", 2)


def test_the_longest_idle_connection_of_an_owner_gives_way_to_the_next() -> None:
    door = Door()
    with ExitStack() as requests:
        first = door.serve(requests, "ann")
        for _ in range(20):
            door.serve(requests, "ann")
    with ExitStack() as requests:
        door.serve(requests, "ann", first)  # it is used again
        door.serve(requests, "ann")
        assert len(door.ended) == 1
        assert first.owner == "ann"
        assert door.fill(requests, "bob") == 10


def test_an_idle_connection_of_any_owner_gives_way_when_all_are_taken() -> None:
    door = Door()
    with ExitStack() as busy:
        for owner in ("ann", "bob", "cid", "dee"):
            door.fill(busy, owner)
        with ExitStack() as idle:
            for number in range(9):
                door.serve(idle, f"owner-{number}")
        assert door.fill(busy, "zoe") == 3
        assert len(door.ended) == 3


def test_a_connection_counts_for_the_owner_of_its_latest_request_and_while_that_is_served() -> None:
    door = Door()
    place = door.enter("proxy")
    with ExitStack() as requests:
        door.serve(requests, "ann", place)
    with ExitStack() as requests:
        door.begin(requests, place)
        owners = [place.owner]
        door.limits.vouch(place, "bob")
        door.limits.lose(place)
        owners.append(place.owner)  # it is closed, but the request goes on
    assert [*owners, place.owner] == [None, "bob", None]
    with ExitStack() as requests:
        assert door.fill(requests, "bob") == 21


def test_so_many_connections_linger_at_most_to_be_read_to_their_end() -> None:
    door = Door()
    places = [door.enter() for _ in range(MOST // 8)]
    assert [door.limits.may_linger(place) for place in [*places, door.enter()]] == [True] * len(places) + [False]
    door.limits.lose(places[0])
    assert door.limits.may_linger(door.enter())


def test_as_many_are_let_in_as_files_may_be_open() -> None:
    assert [room_for(files, 4000) for files in (100, 1024, 16_384)] == [32, 384, 4000]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("", "", True),
    ],
)
def test_a_network_of_64_bits_is_one_address(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same


def test_a_request_with_a_known_token_costs_no_stranger_its_place() -> None:
    limits, gone = ConnectionLimits(16), list[str]()
    kept = limits.enter("10.0.0.1", lambda: gone.append("kept"))
    limits.begin(kept, "ann")
    limits.end(kept)
    strangers = [limits.enter("10.0.0.1", lambda: gone.append("stranger")) for _ in range(2)]
    for _ in range(5):
        limits.begin(kept, "ann")
        limits.end(kept)
    assert gone == []
    for place in (kept, *strangers):
        limits.lose(place)
