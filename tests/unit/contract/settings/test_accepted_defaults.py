"""The defaults that a job was accepted with, put into settings that have changed since."""

from __future__ import annotations

from typing import Any

import pytest

from contract.errors.exceptions import DarkroomError
from contract.jobs.request import KeptRequest
from contract.settings.accepted_defaults import accepted_with, defaults_of
from contract.settings.loader import Settings
from contract.settings.nanobot_config import ProviderConfig
from tests.support.factories.configs import some_settings
from worker.policy.ladder import plan_ladder
from worker.providers.registry import PROVIDERS

FOX = KeptRequest(prompt="a fox", aspect_ratio="1:1", image_size="1K")


def configured(provider: str, model: str, body: dict[str, Any], **env: Any) -> Settings:
    providers = {name: ProviderConfig(extra_body=body) for name in PROVIDERS}
    return some_settings(image={"provider": provider, "model": model}, providers=providers, **env)


def asked(fields: dict[str, str], request: KeptRequest, settings: Settings) -> tuple[str, str, str | None, object]:
    """Tell provider, model and quality of the first rung, and what the extraBody of its provider is."""
    kept = accepted_with(fields, request, settings)
    rung = plan_ladder(request, kept, PROVIDERS).rungs[0]
    return rung.provider, rung.model, rung.quality, kept.providers[rung.provider].extra_body


OLD = configured("openrouter", "old/model", {"quality": "low", "seed": 1})
NOW = configured("aihubmix", "new-model", {"quality": "high", "seed": 2})
PLAIN = configured("openrouter", "old/model", {})
ELSEWHERE = configured("openrouter", "old/model", {}, keys_elsewhere=True)
ODD = configured("openrouter", "old/model", {"quality": 7})


@pytest.mark.parametrize(
    ("then", "wanted"),
    [
        (OLD, ("openrouter", "old/model", "low", {"quality": "low", "seed": 2})),
        (PLAIN, ("openrouter", "old/model", None, {"seed": 2})),
        (ELSEWHERE, ("openrouter", "old/model", "high", {"quality": "high", "seed": 2})),  # only workers know it
        (ODD, ("openrouter", "old/model", "high", {"quality": "high", "seed": 2})),
    ],
)
def test_a_job_keeps_its_defaults(then: Settings, wanted: tuple[object, ...]) -> None:
    assert asked({"defaults": defaults_of(FOX, then)}, FOX, NOW) == wanted


def test_what_was_asked_for_goes_before_defaults() -> None:
    own = FOX.model_copy(update={"provider": "aihubmix", "model": "own", "quality": "medium"})
    fields = {"defaults": defaults_of(own, OLD)}
    assert asked(fields, own, NOW) == ("aihubmix", "own", "medium", {"quality": "low", "seed": 2})


def test_a_job_of_an_older_gateway_has_todays_defaults() -> None:
    assert accepted_with({}, FOX, NOW) is NOW


def test_newer_defaults_are_read_as_far_as_they_are_known() -> None:
    text = '{"provider": "openrouter", "model": "old/model", "grain": 3}'
    assert asked({"defaults": text}, FOX, NOW)[:3] == ("openrouter", "old/model", "high")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"provider": 1, "model": "m"}'])
def test_damaged_defaults_are_not_guessed(text: str) -> None:
    with pytest.raises(DarkroomError) as raised:
        accepted_with({"defaults": text}, FOX, NOW)
    assert raised.value.code == "job_unreadable"
