"""The options of the command line, each described once; those of a request's fields come from its definition."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from contract.artifacts.reference_names import find, written
from contract.jobs.ids import is_like_an_id
from contract.jobs.job import JobState
from producer.cli.completion import all_jobs, ended_jobs, models, offering, providers, unfinished_jobs
from producer.validation.request_fields import RequestField, request_fields

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only.")]
Owner = Annotated[
    str | None, typer.Option(help="The owner of the jobs; by default cli:<you>.", envvar="DARKROOM_OWNER")
]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Seconds to wait; the job continues afterwards.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", autocompletion=all_jobs)]
UnfinishedJobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", autocompletion=unfinished_jobs)]
EndedJobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.", autocompletion=ended_jobs)]
States = Annotated[
    list[JobState] | None,
    typer.Option("--state", metavar="STATE", help=f"Only jobs in this state: {', '.join(JobState)}. May be repeated."),
]
Conversation = Annotated[str, typer.Option(help="The conversation that `latest` refers to.")]
Key = Annotated[str | None, typer.Option("--idempotency-key", help="A repeat with the same key returns the same job.")]

_COMPLETED = {"provider": providers, "model": models}  # which the configuration tells

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class GenerateOptions:
    """What `submit`, `generate` and `edit` take: the fields of a request, as they were given, and what goes beside."""

    fields: Mapping[str, Any]
    conversation: Conversation = "cli"
    idempotency_key: Key = None
    owner: Owner = None

    def references(self) -> list[str]:
        """Name the references; in a terminal a relative path starts here, if there is such a file."""
        return [_located(name) for name in self.fields.get("reference_images") or ()]

    def with_references(self, names: list[str]) -> GenerateOptions:
        """Make the same with other references."""
        return replace(self, fields={**self.fields, "reference_images": names})

    def missing(self, workspace: Path) -> str | None:
        """Find a reference that is meant as a file and is none, be it here or in the workspace."""
        paths = (name for name in self.references() if not _is_artifact(name))
        return next((name for name in paths if not _is_there(find(name, workspace))), None)


def _located(name: str) -> str:
    if _is_artifact(name):
        return name  # also where a file is called so
    path = find(name, Path.cwd())  # a shell leaves ~ as it is behind a =
    return written(path if name and _is_there(path) else name)


def _is_artifact(name: str) -> bool:
    return name == "latest" or is_like_an_id(name)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # longer than any name may be
        return False


def with_generate_options(command: Callable[Concatenate[GenerateOptions, P], None]) -> Callable[..., None]:
    """Let a command that is given `GenerateOptions` take its options, before those of its own."""
    call: Callable[..., None] = command
    names = [field.name for field in request_fields()]
    _, *beside = inspect.signature(GenerateOptions, eval_str=True).parameters.values()
    _, *own = inspect.signature(command, eval_str=True).parameters.values()

    @wraps(command)
    def run(**given: Any) -> None:
        fields = {name: given.pop(name) for name in names}
        call(GenerateOptions(fields, **{each.name: given.pop(each.name) for each in beside}), **given)

    parameters = [*map(_parameter, request_fields()), *beside, *own]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
    return run


def _parameter(field: RequestField) -> inspect.Parameter:
    """Make the option of a field, or the argument of the one that must be given."""
    text = field.offered.help or field.description
    if field.is_required:
        shown: Any = Annotated[field.python_type, typer.Argument(metavar=field.name.upper(), help=text)]
        return inspect.Parameter(field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=shown)
    option = typer.Option(
        *(field.offered.options or (f"--{field.name.replace('_', '-')}",)),
        help=text,
        autocompletion=_COMPLETED.get(field.name) or (offering(field.offered.values) if field.offered.values else None),
    )
    default = field.default or None  # an empty list is none
    shown = Annotated[field.python_type if default is not None else field.python_type | None, option]
    return inspect.Parameter(field.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=shown)
