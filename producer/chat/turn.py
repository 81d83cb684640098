"""One turn of a chat: its sender and chat, and which of its calls are repeats."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from itertools import count
from typing import Any

from pydantic import Field

from contract.frozen_model import FrozenModel, Stored

MOST_TURNS = 1000  # turns whose calls are remembered


class Route(Stored):
    """Where a message goes; it is kept with its job."""

    channel: str
    chat_id: str
    session: str
    owner: str
    thread: dict[str, Any] = Field(default_factory=dict)  # what leads the channel into the same thread


class Turn(FrozenModel):
    """The sender and chat of a turn, and whether a message can be sent there later."""

    channel: str
    chat_id: str
    sender_id: str
    session: str
    id: str | None = None
    thread: dict[str, Any] = Field(default_factory=dict)
    hears_later: bool = False

    @property
    def owner(self) -> str:
        """Name the owner of this turn's jobs."""
        return f"{self.channel}:{self.chat_id}:{self.sender_id}"

    @property
    def chat(self) -> str:
        """Name the group that shares its images: everyone in this session."""
        return f"chat:{self.session}"

    @property
    def route(self) -> Route:
        """Tell where a message of this turn goes."""
        kept = self.model_dump(include={"channel", "chat_id", "session", "thread"})
        return Route(owner=self.owner, **kept)


class Calls:
    """Makes the idempotency key of each call: of session, turn, arguments, and which of several equal calls it is."""

    def __init__(self) -> None:
        self._keys: OrderedDict[tuple[str, str], set[str]] = OrderedDict()

    def key(self, turn: Turn, arguments: Mapping[str, object]) -> str:
        """Name a call; each of several equal ones has a name of its own."""
        place = (turn.session, turn.id or uuid.uuid4().hex)
        keys = self._keys.setdefault(place, set())
        self._keys.move_to_end(place)
        if len(self._keys) > MOST_TURNS:
            self._keys.popitem(last=False)
        what = json.dumps(arguments, sort_keys=True, default=str)
        key = next(key for number in count() if (key := _digest([*place, what, number])) not in keys)
        keys.add(key)
        return key

    def take_back(self, turn: Turn, key: str) -> None:
        """Let the next equal call of a turn reuse this one's name, as this one may not have arrived."""
        self._keys.get((turn.session, turn.id or ""), set()).discard(key)


def _digest(what: list[Any]) -> str:
    return "turn-" + hashlib.sha256(json.dumps(what).encode("utf-8", "replace")).hexdigest()[:40]
