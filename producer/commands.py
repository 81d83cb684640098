"""The commands about jobs: submit, generate, edit, status, wait, watch, list, cancel."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.job import Job
from producer import terminal
from producer.client import Darkroom
from producer.session import EXIT_BY_STATE, wait, with_darkroom

jobs = typer.Typer()

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only.")]
Owner = Annotated[str | None, typer.Option(help="Whose jobs; by default cli:<you>.", envvar="DARKROOM_OWNER")]
Count = Annotated[int, typer.Option("--count", "-n", help="How many images.")]
Ratio = Annotated[str | None, typer.Option("--aspect-ratio", "-a", help="Such as 1:1, 3:4, 16:9 or auto.")]
Size = Annotated[str | None, typer.Option("--image-size", "-s", help="Such as 1K, 2K, 4K or 1024x1024.")]
References = Annotated[list[str] | None, typer.Option("--reference", "-r", help="Path, artifact id or latest.")]
Conversation = Annotated[str, typer.Option(help="What `latest` refers to.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="Makes repeating this command harmless.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", help="Stop waiting after so many seconds; the job goes on.")
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")]


@jobs.command()
def submit(
    prompt: str,
    count: Count = 1,
    aspect_ratio: Ratio = None,
    image_size: Size = None,
    reference: References = None,
    conversation: Conversation = "cli",
    idempotency_key: Key = None,
    owner: Owner = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hand a job in and print its id at once."""
    request = _request(prompt, count, aspect_ratio, image_size, reference)

    async def work(darkroom: Darkroom) -> int:
        job = await darkroom.submit(conversation=conversation, idempotency_key=idempotency_key, **request)
        _print_json(job) if as_json else terminal.out.print(job.id)
        if not (as_json or quiet):
            terminal.err.print(f"{job.progress.message} Wait for it with: darkroom wait {job.id}")
        return 0

    with_darkroom(owner, work, needs_keys=True)


def _maker(default_references: list[str]) -> Callable[..., None]:
    def make(
        prompt: str,
        count: Count = 1,
        aspect_ratio: Ratio = None,
        image_size: Size = None,
        reference: References = None,
        conversation: Conversation = "cli",
        idempotency_key: Key = None,
        timeout_s: Timeout = None,
        owner: Owner = None,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        request = _request(prompt, count, aspect_ratio, image_size, reference or default_references)

        async def work(darkroom: Darkroom) -> int:
            job = await darkroom.submit(conversation=conversation, idempotency_key=idempotency_key, **request)
            return await _wait(darkroom, job, timeout_s, as_json=as_json, quiet=quiet)

        with_darkroom(owner, work, needs_keys=True)

    return make


jobs.command("generate", help="Make images and wait for them; print their paths.")(_maker([]))
jobs.command("edit", help="Change an image: the latest one, or those given with --reference.")(_maker(["latest"]))


@jobs.command()
def status(job_id: JobId, owner: Owner = None, as_json: AsJson = False) -> None:
    """Show how a job stands."""

    async def work(darkroom: Darkroom) -> int:
        job = await darkroom.get(job_id)
        _print_json(job) if as_json else terminal.describe(job)
        return 0

    with_darkroom(owner, work)


@jobs.command(name="wait")
def wait_for(
    job_id: JobId, timeout_s: Timeout = None, owner: Owner = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Wait for a job with live progress; print its pictures."""

    async def work(darkroom: Darkroom) -> int:
        job = await darkroom.get(job_id)
        return await _wait(darkroom, job, timeout_s, as_json=as_json, quiet=quiet)

    with_darkroom(owner, work)


@jobs.command()
def watch(job_id: JobId, owner: Owner = None, as_json: AsJson = False) -> None:
    """Print a job's story as it happens; with --json one event a line."""

    async def work(darkroom: Darkroom) -> int:
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
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=500)] = 20,
    owner: Owner = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List jobs, newest first."""

    async def work(darkroom: Darkroom) -> int:
        found = await darkroom.list(limit=limit)
        if as_json:
            terminal.out.print_json(json.dumps([job.model_dump(mode="json") for job in found]))
        elif quiet:
            for job in found:
                terminal.out.print(job.id)
        else:
            terminal.tabulate(found)
        return 0

    with_darkroom(owner, work)


@jobs.command()
def cancel(job_id: JobId, owner: Owner = None, as_json: AsJson = False) -> None:
    """Cancel a job that is not over."""

    async def work(darkroom: Darkroom) -> int:
        job, was_possible = await darkroom.cancel(job_id)
        if as_json:
            _print_json(job)
        else:
            terminal.out.print("Cancelled." if was_possible else f"It was already over: {job.state}.")
        return 0

    with_darkroom(owner, work)


def _request(
    prompt: str, count: int, aspect_ratio: str | None, image_size: str | None, references: list[str] | None
) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "count": count,
        "aspect_ratio": aspect_ratio,
        "image_size": image_size,
        "reference_images": [_absolute(reference) for reference in references or []],
    }


def _absolute(reference: str) -> str:
    """In a terminal a relative path starts here, if there is such a file."""
    path = Path(reference)
    return str(path.absolute()) if reference and path.exists() else reference


async def _wait(darkroom: Darkroom, job: Job, timeout_s: float | None, *, as_json: bool, quiet: bool) -> int:
    show = _print_json if as_json else _print_id if quiet else terminal.show
    return await wait(darkroom, job, timeout_s=timeout_s, show=show, quiet=quiet)


def _print_json(job: Job) -> None:
    sys.stdout.write(job.model_dump_json(indent=2) + "\n")


def _print_id(job: Job) -> None:
    terminal.out.print(job.id)
