"""What every provider file offers: how to ask for one image, and how to read the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contract.provider_specs import ProviderSpec
from worker.answers.error_classification import OfMetadata, no_meaning
from worker.answers.untrusted_json import Json

if TYPE_CHECKING:  # the reader processes need no settings
    from contract.jobs.request import KeptRequest
    from contract.settings.nanobot_config import ProviderConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCall:
    """One image to be made; `references` are data URLs."""

    prompt: str = field(repr=False)
    model: str
    aspect_ratio: str
    image_size: str
    quality: str | None = None
    is_chosen: bool = False  # then size and quality go before the configured extraBody
    references: tuple[str, ...] = field(default=(), repr=False)
    most: int = 1  # pictures that are of use, should the answer have several
    image_only: bool = False  # the model gives no words beside the image
    request: KeptRequest | None = field(default=None, repr=False)  # as it was accepted, for what only an adapter reads


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One POST with a JSON body."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Json] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an answer holds: pictures as base64, data URL or link; or where to ask again."""

    pictures: tuple[str, ...] = field(default=(), repr=False)
    cost_usd: float | None = None
    poll_url: str | None = None
    is_done: bool = False  # a poll says so, whether or not it brings a picture


def no_poll_url(body: Json) -> str:
    """Find nowhere to ask again: this provider answers at once."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider's row in the table, and its adapter: pure functions and what only calls need.

    `parse_response` raises the ProviderError that an answer stands for, also when it came with 200;
    `parse_poll` does so for the answer to a poll. `poll_url` finds where to ask again in any answer, also
    in one that is an error. `smaller` names the next smaller size it knows, or None.
    """

    spec: ProviderSpec
    build_request: Callable[[ImageCall, ProviderConfig, str], HttpCall]
    parse_response: Callable[[Json], Answer]
    smaller: Callable[[str], str | None]
    parse_poll: Callable[[Json], Answer] | None = None
    poll_url: Callable[[Json], str] = no_poll_url
    poll_interval_s: float = 2.0
    of_metadata: OfMetadata = no_meaning  # what an error says that only this provider knows
    image_only: tuple[str, ...] = ()  # how the ids of models begin that give no words
    bills_failures: bool = False  # an answer of 500 may cost as much as a picture

    @property
    def name(self) -> str:
        """Its name in config.json."""
        return self.spec.name

    @property
    def api_base(self) -> str:
        """Where it is, unless the configuration names another place."""
        return self.spec.api_base

    @property
    def timeout_s(self) -> float:
        """How long one call may take by default."""
        return self.spec.timeout_s

    @property
    def fast_quality(self) -> str | None:
        """A quality that is cheaper than the default, if it knows any."""
        return self.spec.fast_quality


def headers(config: ProviderConfig, **more: str) -> dict[str, str]:
    """Make the headers of a call: key if there is one, JSON, the provider's own, then the configured ones."""
    extra = {name: value.get_secret_value() for name, value in config.extra_headers.items()}
    key = {"Authorization": f"Bearer {config.key}"} if config.key else {}
    return {**key, "Content-Type": "application/json", **more, **extra}
