"""Values that a shell offers behind options: fixed ones, those of the configuration, and the newest jobs' ids.

A shell evaluates what it is offered, so nothing comes here that somebody has written: no prompt, no error.
Whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection
from pathlib import Path

import typer

from contract.errors.exceptions import DarkroomError
from contract.jobs.job import ACTIVE, TERMINAL, Job, JobState
from contract.settings.loader import Settings, load_settings
from producer.client.client import Darkroom
from producer.tokens import Tokens, default_owner

MOST = 20  # jobs that are offered
PATIENCE_S = 1.0  # a person waits for it
Offer = tuple[str, str]  # a value, and what a shell may show next to it


def offering(values: Collection[str]) -> Callable[[], list[str]]:
    """Offer values that are always the same."""
    return lambda: list(values)


def providers(ctx: typer.Context) -> list[str]:
    """Offer the providers that a job may ask."""
    settings = _settings(ctx)
    return list(settings.provider_names) if settings else []


def models(ctx: typer.Context) -> list[str]:
    """Offer the models that a job may ask for: those of the provider, if one was named."""
    settings = _settings(ctx)
    if settings is None:
        return []
    named = ctx.params.get("provider")
    return [model for name in settings.provider_names if named in (None, name) for model in settings.models(name)]


def token_names(ctx: typer.Context) -> list[str]:
    """Offer the names of the gateway's tokens."""
    settings = _settings(ctx)
    try:
        return [token.name for token in Tokens(settings.tokens_path).list()] if settings else []
    except DarkroomError:
        return []


def all_jobs(ctx: typer.Context) -> list[Offer]:
    """Offer the ids of jobs."""
    return _jobs(ctx, frozenset(JobState))


def unfinished_jobs(ctx: typer.Context) -> list[Offer]:
    """Offer the ids of jobs that are not over."""
    return _jobs(ctx, ACTIVE)


def ended_jobs(ctx: typer.Context) -> list[Offer]:
    """Offer the ids of jobs that are over."""
    return _jobs(ctx, TERMINAL)


def _jobs(ctx: typer.Context, states: frozenset[JobState]) -> list[Offer]:
    settings = _settings(ctx)
    if settings is None:
        return []
    owner = ctx.params.get("owner") or default_owner()
    try:
        found = asyncio.run(_newest(settings, str(owner), states))
    except (DarkroomError, TimeoutError):
        return []
    return [(job.id, f"{job.state}, {job.progress.done} of {job.progress.count}") for job in found]


async def _newest(settings: Settings, owner: str, states: frozenset[JobState]) -> list[Job]:
    async with Darkroom(settings, owner=owner) as darkroom, asyncio.timeout(PATIENCE_S):
        found, _ = await darkroom.page(limit=MOST, state=states)
    return found


def _settings(ctx: typer.Context) -> Settings | None:
    """Read the configuration that the command line names so far; None where it cannot be used."""
    config = ctx.find_root().params.get("config")
    if config is not None:
        os.environ["DARKROOM_CONFIG"] = str(Path(str(config)).absolute())
    try:
        return load_settings(needs_keys=False)
    except DarkroomError:
        return None
