"""The options of the command line, each described once; what several commands ask for is an `GenerateOptions`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec, get_args

import typer

from contract.artifacts.sidecar import is_like_an_id
from contract.image_size import SIZES
from contract.jobs import request
from contract.jobs.job import JobState
from contract.jobs.request import RATIOS, AllowedFallback
from producer.cli.completion import all_jobs, ended_jobs, models, offering, providers, unfinished_jobs

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only.")]
Owner = Annotated[str | None, typer.Option(help="Whose jobs; by default cli:<you>.", envvar="DARKROOM_OWNER")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", help="Stop waiting after so many seconds; the job goes on.")
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", autocompletion=all_jobs)]
UnfinishedJobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", autocompletion=unfinished_jobs)]
EndedJobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", autocompletion=ended_jobs)]
States = Annotated[
    list[JobState] | None,
    typer.Option(
        "--state", metavar="STATE", help=f"Only jobs that are {', '.join(JobState)}; may be given several times."
    ),
]
Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What the picture shall show.")]
Count = Annotated[int, typer.Option("--count", "-n", help="How many images.")]
Ratio = Annotated[
    str | None,
    typer.Option("--aspect-ratio", "-a", help="Such as 1:1, 3:4, 16:9 or auto.", autocompletion=offering(RATIOS)),
]
Size = Annotated[
    str | None,
    typer.Option(
        "--image-size", "-s", help="Such as 1K, 2K, 4K or 1024x1024.", autocompletion=offering((*SIZES, "auto"))
    ),
]
References = Annotated[list[str] | None, typer.Option("--reference", "-r", help="Path, artifact id or latest.")]
Fallback = Annotated[
    str | None,
    typer.Option(
        help="What may be delivered instead, if need be: any, quality (a lower one), size (a smaller one), none.",
        autocompletion=offering(get_args(AllowedFallback)),
    ),
]
AttemptTimeout = Annotated[
    float | None, typer.Option("--attempt-timeout", help="The most seconds that one call to the provider may take.")
]
Deadline = Annotated[float | None, typer.Option("--deadline", help="The most seconds that the job may take.")]
Quality = Annotated[
    str | None,
    typer.Option(
        help="low, medium or high, where the provider knows qualities.",
        autocompletion=offering(get_args(request.Quality)),
    ),
]
Provider = Annotated[str | None, typer.Option(help="One of the configured providers.", autocompletion=providers)]
Model = Annotated[str | None, typer.Option(help="One of the configured models.", autocompletion=models)]
Conversation = Annotated[str, typer.Option(help="What `latest` refers to.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="Makes repeating this command harmless.")]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """What `submit`, `generate` and `edit` take, in the order of their help."""

    prompt: Prompt
    count: Count = 1
    aspect_ratio: Ratio = None
    image_size: Size = None
    quality: Quality = None
    provider: Provider = None
    model: Model = None
    reference: References = None
    fallback: Fallback = None
    attempt_timeout: AttemptTimeout = None
    deadline: Deadline = None
    conversation: Conversation = "cli"
    idempotency_key: Key = None
    owner: Owner = None

    def references(self) -> list[str]:
        """Name the references; in a terminal a relative path starts here, if there is such a file."""
        return [_located(name) for name in self.reference or ()]

    def missing(self, workspace: Path) -> str | None:
        """Find a reference that is meant as a file and is none, be it here or in the workspace."""
        paths = (name for name in self.references() if name != "latest" and not is_like_an_id(name))
        return next((name for name in paths if not _is_there(workspace / name)), None)


def _located(name: str) -> str:
    path = Path(name)
    with suppress(RuntimeError):  # there is no such user
        path = path.expanduser()  # a shell leaves ~ as it is behind a =
    return str(path.absolute()) if name and _is_there(path) else name


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than any name may be
        return False


def with_generate_options(command: Callable[Concatenate[GenerateOptions, P], None]) -> Callable[..., None]:
    """Let a command that is given an `GenerateOptions` take its options, before those of its own."""
    make_order: Callable[..., GenerateOptions] = GenerateOptions
    call: Callable[..., None] = command
    names = [field.name for field in fields(GenerateOptions)]

    @wraps(command)
    def run(**given: object) -> None:
        call(make_order(**{name: given.pop(name) for name in names}), **given)

    ordered = inspect.signature(GenerateOptions, eval_str=True).parameters.values()
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    run.__signature__ = inspect.Signature([*ordered, *own])  # type: ignore[attr-defined]  # typer reads it
    return run
