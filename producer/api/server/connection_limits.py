"""How many connections may be open, and which one gives way to another.

One whose request has sent a valid token counts among those of the token's owner. All others are strangers'; they have
a pool of their own, in which the oldest idle one of the address with the most gives way. So strangers never hold the
places of those who have a token, and a health check always gets in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address

from contract.errors.exceptions import Refused
from producer.api.services.fair_share import FairShare
from producer.error_catalogue import TOO_BUSY, TOO_MANY_CONNECTIONS

OTHER_FILES = 256  # that a gateway has open beside its clients' connections and one file for each
FEWEST = 32
LEAST_EACH = 32
RETRY_S = 2
MOST_KNOWN = 10_000


def room_for(files: int, wanted: int) -> int:
    """Tell how many connections fit into so many open files, if each of them may have a file open as well."""
    return max(FEWEST, min(wanted, (files - OTHER_FILES) // 2))


@dataclass(slots=True, eq=False)
class Place:
    """What is known of one connection."""

    peer: str
    give_way: Callable[[], None]
    owner: str | None = None  # whose token its latest request had
    requests: int = 0  # under way
    is_lost: bool = False


class ConnectionLimits:
    """The connections of one gateway: those of strangers by address, and those with a token by owner."""

    def __init__(self, most: int) -> None:
        self._most_strangers = most // 4
        self._most_of_peer = most // 8
        known = most - self._most_strangers
        self._share = FairShare(most=known, most_each=known, least_each=min(LEAST_EACH, max(1, known // 16)))
        self._strangers: dict[str, dict[Place, None]] = {}  # the first has come first
        self._stranger_count = 0
        self._idle: dict[str, dict[Place, None]] = {}  # of owners; the first is idle for longest
        self._idle_of_all: dict[Place, None] = {}
        self._owners: OrderedDict[bytes, str] = OrderedDict()  # of tokens that were good, by their digests
        self._most_leaving = most // 8
        self._leaving: set[Place] = set()

    def enter(self, peer: str, give_way: Callable[[], None]) -> Place:
        """Let a connection in; if there are too many of strangers, one of these gives way."""
        place = Place(network_of(peer), give_way)
        self._add_stranger(place)
        return place

    def begin(self, place: Place, owner: str | None = None) -> None:
        """Count a request on a connection; it is a stranger's until it has shown a token, or one that is known."""
        place.requests += 1
        self._remove(place)
        if owner is not None:
            with suppress(Refused):  # its request is refused when the token has been looked at
                self.vouch(place, owner)
                return
        self._add_stranger(place)

    def end(self, place: Place) -> None:
        """Note that a request is over."""
        place.requests -= 1
        if place.is_lost:
            self._remove(place)
        elif place.owner is not None and not place.requests:
            self._idle.setdefault(place.owner, {})[place] = None
            self._idle_of_all[place] = None

    def vouch(self, place: Place, owner: str) -> None:
        """Count a connection among an owner's; too many idle ones give way, the longest idle first.

        Raises Refused (`too_many_connections`, `too_busy`) if none is idle.
        """
        if place.owner == owner:
            return
        if not self._share.may_take(owner) and not self._evict_idle(self._idle.get(owner, {})):
            raise Refused(TOO_MANY_CONNECTIONS, retry_after_s=RETRY_S, headers={"Connection": "close"})
        if self._share.is_full and not self._evict_idle(self._idle_of_all):
            raise Refused(TOO_BUSY, retry_after_s=RETRY_S, headers={"Connection": "close"})
        self._remove(place)
        place.owner = owner
        self._share.take(owner)

    def learn(self, token: bytes, owner: str) -> None:
        """Remember whose a token was when it was found good."""
        self._owners[_digest(token)] = owner
        self._owners.move_to_end(_digest(token))
        if len(self._owners) > MOST_KNOWN:
            self._owners.popitem(last=False)

    def owner_of(self, token: bytes) -> str | None:
        """Tell whose a token was when it was last found good; it may have been revoked since."""
        return self._owners.get(_digest(token)) if token else None

    def lose(self, place: Place) -> None:
        """Note that a connection is closed; it counts until its request is done, too."""
        place.is_lost = True
        self._leaving.discard(place)
        if not place.requests:
            self._remove(place)

    def may_linger(self, place: Place) -> bool:
        """Tell whether a connection that has given way may stay for a moment, so that its client reads why."""
        if len(self._leaving) < self._most_leaving:
            self._leaving.add(place)
        return place in self._leaving

    def _add_stranger(self, place: Place) -> None:
        own = self._strangers.setdefault(place.peer, {})
        if len(own) >= self._most_of_peer:
            self._evict_stranger(own)
        elif self._stranger_count >= self._most_strangers:
            self._evict_stranger(max(self._strangers.values(), key=len))
        self._strangers.setdefault(place.peer, {})[place] = None
        self._stranger_count += 1

    def _evict_stranger(self, places: dict[Place, None]) -> None:
        oldest = next((place for place in places if not place.requests), None) or next(iter(places))
        self._remove(oldest)
        oldest.give_way()

    def _evict_idle(self, places: dict[Place, None]) -> bool:
        if not places:
            return False
        oldest = next(iter(places))
        self._remove(oldest)
        oldest.give_way()
        return True

    def _remove(self, place: Place) -> None:
        """Forget a connection, wherever it is counted."""
        if place.owner is not None:
            self._share.give_back(place.owner)
            self._drop(self._idle, place.owner, place)
            self._idle_of_all.pop(place, None)
            place.owner = None
        elif self._drop(self._strangers, place.peer, place):
            self._stranger_count -= 1

    @staticmethod
    def _drop(groups: dict[str, dict[Place, None]], name: str, place: Place) -> bool:
        group = groups.get(name, {})
        if place not in group:
            return False
        del group[place]
        if not group:
            del groups[name]
        return True


def _digest(token: bytes) -> bytes:
    return blake2b(token, digest_size=16).digest()


@lru_cache(maxsize=1024)
def network_of(peer: str) -> str:
    """Tell which addresses count as one: of IPv6, a network of 64 bits, as each client may have all of it."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    return str(int(address) >> 64) if isinstance(address, IPv6Address) and not address.ipv4_mapped else peer
