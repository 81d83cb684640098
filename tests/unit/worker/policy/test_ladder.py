"""The ladder of a request: cheaper and smaller, or as the operator says, and only as far as its caller allows."""

from typing import Any

import pytest

from contract.errors.exceptions import Refused
from contract.jobs.job import Rendition
from contract.jobs.request import JobRequest
from contract.settings.environment_types import Fallback
from contract.settings.nanobot_config import ProviderConfig
from tests.support.factories.configs import some_settings
from worker.policy.ladder import Ladder, Rung, plan_ladder
from worker.providers.registry import PROVIDERS


def rung(*, timeout_s: float = 120, **env: Any) -> Rung:
    standard = {"provider": "openrouter", "model": "vendor/model", "image_size": "4K", "quality": None}
    return Rung(**{**standard, **env}, timeout_s=timeout_s, patience_s=timeout_s)


def plan(
    size: str = "4K", provider: str = "openrouter", body: Any = None, limits: Any = None, env: Any = None
) -> Ladder:
    """Plan a request of `size` with the caller's `limits`, the provider's extraBody and the operator's `env`."""
    image = {"provider": provider, "model": "vendor/model"}
    providers = {name: ProviderConfig(extra_body=body or {} if name == provider else {}) for name in PROVIDERS}
    settings = some_settings(image=image, providers=providers, **env or {})
    request = JobRequest(prompt="a fox", aspect_ratio="1:1", image_size=size, **limits or {})
    return plan_ladder(request, settings, PROVIDERS)


def ladder(*args: Any, **kwargs: Any) -> list[tuple[str, str | None]]:
    return [(step.image_size, step.quality) for step in plan(*args, **kwargs).rungs]


@pytest.mark.parametrize(
    ("size", "provider", "body", "rungs"),
    [
        ("4K", "openrouter", {}, [("4K", None), ("2K", None), ("1K", None)]),
        ("2K", "openrouter", {}, [("2K", None), ("1K", None)]),
        ("1K", "openrouter", {}, [("1K", None)]),
        ("512", "openrouter", {}, [("512", None)]),
        ("auto", "openrouter", {}, [("auto", None)]),
        ("3000x2000", "openrouter", {}, [("3000x2000", None), ("1K", None)]),
        ("1024x768", "openrouter", {}, [("1024x768", None)]),
        ("2K", "openrouter", {"quality": "low"}, [("2K", "low"), ("1K", "low")]),
        ("1K", "aihubmix", {}, [("1K", None), ("1K", "low")]),
        ("4K", "aihubmix", {}, [("4K", None), ("4K", "low")]),
        ("2048x2048", "aihubmix", {}, [("2048x2048", None), ("2048x2048", "low"), ("1K", "low")]),
        ("1K", "aihubmix", {"quality": "low"}, [("1K", "low")]),
        ("1K", "aihubmix", {"quality": "high"}, [("1K", "high"), ("1K", "low")]),
        ("1K", "aihubmix", {"quality": 7}, [("1K", None), ("1K", "low")]),
    ],
)
def test_by_default_rungs_get_cheaper_and_then_smaller(size: str, provider: str, body: Any, rungs: list[Any]) -> None:
    assert ladder(size, provider, body) == rungs


@pytest.mark.parametrize(
    ("provider", "fallback", "rungs"),
    [
        ("aihubmix", None, [("2048x2048", None), ("2048x2048", "low"), ("1K", "low")]),
        ("aihubmix", "any", [("2048x2048", None), ("2048x2048", "low"), ("1K", "low")]),
        ("aihubmix", "quality", [("2048x2048", None), ("2048x2048", "low")]),
        ("aihubmix", "size", [("2048x2048", None), ("1K", None)]),
        ("aihubmix", "none", [("2048x2048", None)]),
        ("openrouter", "any", [("2048x2048", None), ("1K", None)]),
        ("openrouter", "quality", [("2048x2048", None)]),
        ("openrouter", "size", [("2048x2048", None), ("1K", None)]),
        ("openrouter", "none", [("2048x2048", None)]),
    ],
)
def test_a_caller_says_what_may_get_worse(provider: str, fallback: str | None, rungs: list[Any]) -> None:
    assert ladder("2048x2048", provider, limits={"fallback": fallback}) == rungs


FALLBACKS = (
    Fallback(quality="low"),
    Fallback(image_size="1K"),
    Fallback(image_size="1K", quality="low"),
    Fallback(model="other/model"),
    Fallback(provider="aihubmix"),
    Fallback(timeout_seconds=60),
)


@pytest.mark.parametrize(
    ("fallback", "allowed"),
    [(None, [0, 1, 2, 3, 4, 5]), ("any", [0, 1, 2, 3, 4, 5]), ("quality", [0, 5]), ("size", [1, 5]), ("none", [])],
)
def test_of_the_operators_rungs_those_stay_that_differ_in_nothing_else(fallback: str, allowed: list[int]) -> None:
    found = plan(limits={"fallback": fallback}, env={"fallbacks": FALLBACKS}).rungs
    everything = plan(env={"fallbacks": FALLBACKS}).rungs
    assert found == (everything[0], *(everything[1:][place] for place in allowed))


def test_the_operators_rungs_take_the_place_of_the_default_ones() -> None:
    fallbacks = (
        Fallback(image_size="1K", quality="low"),
        Fallback(provider="aihubmix", model="gpt-image-2-free"),
        Fallback(timeout_seconds=7),
    )
    assert plan(body={"quality": "high"}, env={"fallbacks": fallbacks}).rungs == (
        rung(quality="high"),
        rung(image_size="1K", quality="low"),
        rung(provider="aihubmix", model="gpt-image-2-free", quality="high", timeout_s=300),
        rung(quality="high", timeout_s=7),
    )


@pytest.mark.parametrize(
    ("provider", "env", "asked_s", "timeout_s", "operators_s"),
    [
        ("openrouter", {}, None, 120, 120),
        ("aihubmix", {}, None, 300, 300),
        ("aihubmix", {"attempt_timeout_seconds": 9}, None, 9, 9),
        ("openrouter", {}, 30, 30, 120),
        ("openrouter", {}, 121, 120, 120),
        ("aihubmix", {}, 121, 121, 300),
        ("aihubmix", {"attempt_timeout_seconds": 9}, 8, 8, 9),
        ("aihubmix", {"attempt_timeout_seconds": 9}, 10, 9, 9),
    ],
)
def test_a_caller_shortens_the_operators_patience_and_never_lengthens_it(
    provider: str, env: Any, asked_s: float | None, timeout_s: float, operators_s: float
) -> None:
    made = plan("2048x2048", provider, limits={"attempt_timeout_seconds": asked_s}, env=env)
    assert {step.timeout_s for step in made.rungs} == {timeout_s}
    assert {step.patience_s for step in made.rungs} == {operators_s}


@pytest.mark.parametrize(("asked_s", "timeouts_s"), [(None, [120, 7, 300]), (60, [60, 7, 60]), (5, [5, 5, 5])])
def test_a_caller_shortens_the_patience_of_each_rung(asked_s: float | None, timeouts_s: list[float]) -> None:
    fallbacks = (Fallback(timeout_seconds=7), Fallback(timeout_seconds=300))
    made = plan(limits={"attempt_timeout_seconds": asked_s}, env={"fallbacks": fallbacks})
    assert [step.timeout_s for step in made.rungs] == timeouts_s


def test_a_plan_knows_the_first_back_off_and_whether_there_are_references() -> None:
    made = plan(limits={"reference_images": ("fox.png",)}, env={"retry_seconds": 0.05})
    assert (made.retry_s, made.has_references) == (0.05, True)
    assert not plan().has_references


def test_a_rendition_is_a_rung_without_its_patience() -> None:
    assert rung(quality="low").rendition() == Rendition(
        provider="openrouter", model="vendor/model", image_size="4K", quality="low"
    )


@pytest.mark.parametrize(
    ("choice", "rungs"),
    [
        (
            {"model": "other/model"},
            [("openrouter", "other/model", "4K", "high"), ("openrouter", "other/model", "2K", "high")],
        ),
        (
            {"provider": "aihubmix"},
            [("aihubmix", "vendor/model", "4K", None), ("aihubmix", "vendor/model", "4K", "low")],
        ),
        (
            {"provider": "aihubmix", "model": "gpt-image-2"},
            [("aihubmix", "gpt-image-2", "4K", None), ("aihubmix", "gpt-image-2", "4K", "low")],
        ),
    ],
    ids=str,
)
def test_a_caller_chooses_where_the_ladder_begins(choice: Any, rungs: list[tuple[str, str, str, str | None]]) -> None:
    made = plan(limits=choice, body={"quality": "high"}).rungs[:2]
    assert [(step.provider, step.model, step.image_size, step.quality) for step in made] == rungs


def test_a_chosen_provider_has_its_own_patience() -> None:
    assert {step.timeout_s for step in plan(limits={"provider": "aihubmix"}).rungs} == {300}


def test_below_a_chosen_rung_the_operators_ones_still_stand() -> None:
    fallbacks = (Fallback(image_size="1K"), Fallback(provider="openrouter", model="last/model"))
    choice = {"provider": "aihubmix", "model": "gpt-image-2"}
    assert plan(limits=choice, env={"fallbacks": fallbacks}).rungs == (
        rung(provider="aihubmix", model="gpt-image-2", timeout_s=300),
        rung(provider="aihubmix", model="gpt-image-2", image_size="1K", timeout_s=300),
        rung(model="last/model"),
    )


def test_a_provider_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused, match="'midjourney'"):
        plan(limits={"provider": "midjourney"})
