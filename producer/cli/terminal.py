"""What people see in a terminal: progress on stderr while it happens, the result on stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table
from rich.text import Text

from contract.errors.catalogue.table import look_up
from contract.errors.exceptions import DarkroomError
from contract.jobs import wording
from contract.jobs.job import Job, JobEvent, JobState
from producer.client.owner_client import OwnerClient
from producer.doctor.doctor import Finding

COLOURS = {
    JobState.QUEUED: "yellow",
    JobState.RUNNING: "blue",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
    JobState.EXPIRED: "red",
}
QUIET_EVENTS = frozenset({"queued", "running"})
REFRESH_S = 0.5
COLUMNS = {"id": 36, "state": 9, "images": 6, "created": 10}  # of the table of jobs, and how wide they are
GAP = 2
FULL_WIDTH = 80  # of a terminal, for the table to leave some room for prompts

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


async def follow(darkroom: OwnerClient, job: Job) -> Job:
    """Show a job's progress until it is over; a terminal gets one living line, a log gets plain ones."""
    async with _living_line(darkroom, job) as line:
        async for event in darkroom.events(job.id):
            _tell(event, plain=line is None)
    return await darkroom.wait(job.id)


@asynccontextmanager
async def _living_line(darkroom: OwnerClient, job: Job) -> AsyncIterator[Status | None]:
    if not err.is_terminal:
        yield None
        return
    with err.status(escape(job.progress.message)) as line:
        refreshing = asyncio.create_task(_refresh(darkroom, job.id, line))
        try:
            yield line
        finally:
            refreshing.cancel()


async def _refresh(darkroom: OwnerClient, job_id: str, line: Status) -> None:
    while True:
        with suppress(DarkroomError):
            line.update(escape((await darkroom.get(job_id)).progress.message))
        await asyncio.sleep(REFRESH_S)


def _tell(event: JobEvent, *, plain: bool) -> None:
    if not event.is_last and (plain or event.type not in QUIET_EVENTS):
        err.print(f"[dim]{event.at.astimezone():%H:%M:%S}[/dim] {escape(wording.told(event))}")


async def agrees_to(question: str) -> bool:
    """Ask a person, by default no; a program that stands where people type is not asked. Ctrl-C ends the waiting."""
    if not sys.stdin.isatty():
        return True
    err.print(f"{question} [y/N] ", end="", markup=False)
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    loop.add_reader(sys.stdin, answered.set)
    try:
        await answered.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show(job: Job) -> None:
    """Print a job that was waited for: image paths on stdout, everything else on stderr."""
    for image in job.images:
        out.print(image.path, markup=False)
    if job.degraded is not None:
        err.print(f"[yellow]{escape(wording.degraded(job.degraded))}.[/yellow]")
    for warning in job.warnings:
        err.print(f"[yellow]{escape(warning)}[/yellow]")
    if job.error is not None:
        err.print(f"[red]Error:[/red] {escape(job.error.detail)}")
        hint = look_up(job.error.code).hint
        if hint:
            err.print(f"Hint: {escape(hint)}")
    elif not job.is_over:
        err.print(escape(job.progress.message))


def describe(job: Job) -> None:
    """Print how a job stands, for a person."""
    out.print(f"{job.id} {_coloured(job.state)} {escape(job.progress.message)}")
    for attempt in job.attempts:
        seconds = "" if attempt.seconds is None else f" in {attempt.seconds:.1f} s"
        what = f"image {attempt.index + 1}: {attempt.provider} {attempt.model} {attempt.image_size}"
        out.print(f"  [dim]{escape(what)}: {attempt.outcome}{seconds}[/dim]")
    show(job)


def tabulate(jobs: Sequence[Job]) -> None:
    """Print jobs as a table."""
    if out.width < FULL_WIDTH:
        _list_narrowly(jobs)
        return
    table = Table(box=None, pad_edge=False)
    for name, width in COLUMNS.items():
        table.add_column(name, no_wrap=True, min_width=width)
    table.add_column("prompt", no_wrap=True)
    room = out.width - sum(COLUMNS.values()) - GAP * len(COLUMNS)
    for job in jobs:
        done = f"{job.progress.done}/{job.progress.count}"
        table.add_row(job.id, _coloured(job.state), done, _when(job), _prompt(job, "", room))
    out.print(table)


def _list_narrowly(jobs: Sequence[Job]) -> None:
    """Print two lines for each job, none longer than the terminal is wide."""
    for job in jobs:
        out.print(f"{job.id}  {_coloured(job.state)}  {job.progress.done}/{job.progress.count}")
        out.print(_prompt(job, f"  {_when(job)}  ", out.width))


def _prompt(job: Job, before: str, width: int) -> Text:
    """Write how a prompt begins, so that the line has at most so many columns."""
    line = Text(before + " ".join(job.request.prompt.split()), no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _when(job: Job) -> str:
    created = job.created_at.astimezone()
    return f"{created:%H:%M:%S}" if created.date() == datetime.now().astimezone().date() else f"{created:%Y-%m-%d}"


def diagnose(findings: Sequence[Finding]) -> None:
    """Print the doctor's findings."""
    for finding in findings:
        mark = "[green]ok[/green]  " if finding.ok else "[red]wrong[/red]"
        out.print(f"{mark} {escape(finding.name)}: {escape(finding.detail)}")
        if finding.hint:
            out.print(f"      {escape(finding.hint)}")


def _coloured(state: JobState) -> str:
    return f"[{COLOURS[state]}]{state}[/{COLOURS[state]}]"
