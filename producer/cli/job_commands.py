"""The commands about jobs: submit, generate, edit, status, wait, watch, list, cancel."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from contract.artifacts.reference_names import shown
from contract.errors.catalogue.request import REFERENCE_OUTSIDE_ROOTS, REFERENCE_UNREADABLE
from contract.errors.exceptions import Refused
from contract.jobs.job import Job, JobState
from producer.cli import terminal
from producer.cli.completion import unfinished_jobs
from producer.cli.options import (
    AsJson,
    EndedJobId,
    GenerateOptions,
    JobId,
    Owner,
    Quiet,
    States,
    Timeout,
    UnfinishedJobId,
    with_generate_options,
)
from producer.cli.runner import EXIT_BY_STATE, INTERRUPTED, wait, with_darkroom
from producer.client.owner_client import OwnerClient
from producer.client.unfinished import Tally, cancel_each, find_unfinished

ANYWHERE = (Path("/"),)  # a person who types a command may read these files anyway; a model may not

jobs = typer.Typer()


@jobs.command()
@with_generate_options
def submit(order: GenerateOptions, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Submit a job and print its id immediately."""

    async def work(darkroom: OwnerClient) -> int:
        job = await _submit(darkroom, order)
        _print_json(job) if as_json else terminal.out.print(job.id)
        if not (as_json or quiet):
            terminal.err.print(f"{job.progress.message} Wait for it with: darkroom wait {job.id}")
        return 0

    with_darkroom(order.owner, work, needs_keys=True, roots=ANYWHERE)


@jobs.command()
@with_generate_options
def generate(order: GenerateOptions, timeout_s: Timeout = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Make images, wait for them and print their paths."""
    _make(order, timeout_s, as_json=as_json, quiet=quiet)


@jobs.command()
@with_generate_options
def edit(order: GenerateOptions, timeout_s: Timeout = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Edit the latest image, or the images given with --reference."""
    _make(order.with_references(order.references() or ["latest"]), timeout_s, as_json=as_json, quiet=quiet)


@jobs.command()
def status(job_id: JobId, owner: Owner = None, as_json: AsJson = False) -> None:
    """Show the state of a job."""

    async def work(darkroom: OwnerClient) -> int:
        job = await darkroom.get(job_id)
        _print_json(job) if as_json else terminal.describe(job)
        return 0

    with_darkroom(owner, work)


@jobs.command(name="wait")
def wait_for(
    job_id: UnfinishedJobId,
    timeout_s: Timeout = None,
    owner: Owner = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Wait for a job with live progress, then print the paths of its images."""

    async def work(darkroom: OwnerClient) -> int:
        job = await darkroom.get(job_id)
        return await _wait(darkroom, job, timeout_s, as_json=as_json, quiet=quiet)

    with_darkroom(owner, work)


@jobs.command()
def watch(job_id: JobId, owner: Owner = None, as_json: AsJson = False) -> None:
    """Print the events of a job as they happen; with --json one event per line."""

    async def work(darkroom: OwnerClient) -> int:
        if not as_json:
            job = await terminal.follow(darkroom, await darkroom.get(job_id))
            terminal.describe(job)
            return EXIT_BY_STATE[job.state]
        async for event in darkroom.events(job_id):
            sys.stdout.write(event.model_dump_json() + "\n")
            sys.stdout.flush()
        return EXIT_BY_STATE[(await darkroom.wait(job_id)).state]

    with_darkroom(owner, work)


@jobs.command(name="list")
def list_jobs(
    limit: Annotated[int, typer.Option(help="The largest number of jobs to list.", min=1, max=500)] = 20,
    state: States = None,
    owner: Owner = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List jobs, newest first."""

    async def work(darkroom: OwnerClient) -> int:
        found = await newest(darkroom, limit, frozenset(state) if state else None)
        if as_json:
            terminal.out.print_json(json.dumps([job.model_dump(mode="json") for job in found]))
        elif quiet:
            for job in found:
                terminal.out.print(job.id)
        elif found:
            terminal.tabulate(found)
        else:
            terminal.err.print(f"{darkroom.owner} has no jobs{' in this state' if state else ''}.", markup=False)
        return 0

    with_darkroom(owner, work)


async def newest(darkroom: OwnerClient, limit: int, state: frozenset[JobState] | None) -> list[Job]:
    """List the newest jobs, page by page, as large ones do not come at once."""
    found: list[Job] = []
    cursor = None
    while len(found) < limit:
        page, cursor = await darkroom.page(before=cursor, limit=limit - len(found), state=state)
        found += page
        if cursor is None:
            break
    return found


@jobs.command()
def cancel(
    job_id: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="The id of a job.", autocompletion=unfinished_jobs)
    ] = None,
    is_for_all: Annotated[bool, typer.Option("--all", help="Cancel all your unfinished jobs.")] = False,
    is_sure: Annotated[bool, typer.Option("--yes", "-y", help="With --all: do not ask for confirmation.")] = False,
    owner: Owner = None,
    as_json: AsJson = False,
) -> None:
    """Cancel an unfinished job, or all of them with --all."""
    if (job_id is None) is not is_for_all:
        raise typer.BadParameter("give one job id, or --all.", param_hint="JOB")

    async def work(darkroom: OwnerClient) -> int:
        if job_id is None:
            return await _cancel_all(darkroom, is_sure=is_sure, as_json=as_json)
        job, was_possible = await darkroom.cancel(job_id)
        if as_json:
            _print_json(job)
        else:
            terminal.out.print("Cancelled." if was_possible else f"It had already ended: {job.state}.")
        return 0

    with_darkroom(owner, work)


@jobs.command()
def retry(
    job_id: EndedJobId, timeout_s: Timeout = None, owner: Owner = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Submit the request of an ended job again, and wait for it."""

    async def work(darkroom: OwnerClient) -> int:
        job = (await darkroom.retry(job_id)).job
        return await _wait(darkroom, job, timeout_s, as_json=as_json, quiet=quiet)

    with_darkroom(owner, work, needs_keys=True)


def _make(order: GenerateOptions, timeout_s: float | None, *, as_json: bool, quiet: bool) -> NoReturn:
    async def work(darkroom: OwnerClient) -> int:
        job = await _submit(darkroom, order)
        return await _wait(darkroom, job, timeout_s, as_json=as_json, quiet=quiet)

    with_darkroom(order.owner, work, needs_keys=True, roots=ANYWHERE)


async def _cancel_all(darkroom: OwnerClient, *, is_sure: bool, as_json: bool) -> int:
    found = await find_unfinished(darkroom)
    running = sum(job.state is JobState.RUNNING for job in found)
    verb = "runs" if running == 1 else "run"
    question = f"Cancel {_jobs(len(found))} of {darkroom.owner}, of which {running} {verb} now?"
    if found and not is_sure and not await terminal.agrees_to(question):
        terminal.err.print("Nothing was cancelled.")
        return INTERRUPTED
    tally = Tally()
    try:
        await cancel_each(darkroom, found, tally)
    finally:  # also where it breaks off
        if as_json:
            terminal.out.print_json(json.dumps(asdict(tally)))
        else:
            over = f"; {len(tally.already_over)} had already ended" if tally.already_over else ""
            done = f"Cancelled {_jobs(len(tally.cancelled))}{over}."
            terminal.out.print(done if found else "There is no unfinished job.")
    return 0


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


async def _submit(darkroom: OwnerClient, order: GenerateOptions) -> Job:
    try:
        return await darkroom.submit(
            **{**order.fields, "reference_images": order.references()},
            conversation=order.conversation,
            idempotency_key=order.idempotency_key,
        )
    except Refused as error:
        missing = order.missing(darkroom.settings.workspace) if error.code == REFERENCE_OUTSIDE_ROOTS.code else None
        if missing is None:
            raise
        raise Refused(REFERENCE_UNREADABLE, path=shown(missing)) from error


async def _wait(darkroom: OwnerClient, job: Job, timeout_s: float | None, *, as_json: bool, quiet: bool) -> int:
    show = _print_json if as_json else _print_id if quiet else terminal.show
    return await wait(darkroom, job, timeout_s=timeout_s, show=show, quiet=quiet)


def _print_json(job: Job) -> None:
    sys.stdout.write(job.model_dump_json(indent=2) + "\n")


def _print_id(job: Job) -> None:
    terminal.out.print(job.id)
