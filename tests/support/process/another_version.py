"""This Darkroom as a later version of it: a higher contract number, and fields that nobody knows yet.

    python -m tests.support.process.another_version STEPS -- MODULE ARGUMENT...

runs a module as `python -m MODULE ARGUMENT...` would, as a version that is so many contracts ahead. All that it stores
has more fields than ours: job hashes, requests, calls, images and sidecars.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable

import contract.version

MORE = {"grain": "fine", "bath": {"minutes": 3}}  # what a later version may want to keep


def grown(text: str) -> str:
    """Add the fields of a later version to a stored record."""
    return json.dumps(json.loads(text) | MORE)


def step_ahead(steps: int) -> None:
    """Become another version; nothing else of Darkroom may be imported yet."""
    contract.version.CONTRACT += steps
    from contract.store import new_job

    fields = new_job.NewJob.fields

    def more_fields(new: new_job.NewJob) -> dict[str, str | int]:
        told = fields(new)
        return told | {"request": grown(str(told["request"])), "grain": "fine"}

    new_job.NewJob.fields = more_fields  # type: ignore[method-assign, assignment]
    _grow_records()


def _grow_records() -> None:
    """Write more fields with each call, image and sidecar."""
    from contract.artifacts import sidecar
    from contract.jobs import job

    for kind in (job.Attempt, job.Image, sidecar.Sidecar):
        kind.model_dump_json = _growing(kind.model_dump_json)  # type: ignore[method-assign]


def _growing(write: Callable[..., str]) -> Callable[..., str]:
    return lambda record, **options: grown(write(record, **options))


def main(arguments: list[str]) -> None:
    """Run a module as another version."""
    steps, dashes, module, *rest = arguments
    assert dashes == "--", __doc__
    step_ahead(int(steps))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
