"""All unfinished jobs of an owner: found page by page, and cancelled while they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from contract.errors.catalogue.request import JOB_NOT_FOUND
from contract.errors.exceptions import Refused
from contract.jobs.job import ACTIVE, Job, JobState
from producer.client.owner_client import OwnerClient

PAGE = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """The ids of jobs that were cancelled, and of those that had ended before."""

    cancelled: list[str] = field(default_factory=list)
    already_over: list[str] = field(default_factory=list)


async def find_unfinished(darkroom: OwnerClient) -> list[Job]:
    """Find an owner's unfinished jobs, waiting ones first: no worker takes one up while the others are cancelled."""
    found: list[Job] = []
    before = None
    while True:
        jobs, before = await darkroom.page(before=before, limit=PAGE, state=ACTIVE)
        found += jobs
        if before is None:
            return sorted(found, key=lambda job: job.state is JobState.RUNNING)


async def cancel_each(darkroom: OwnerClient, jobs: Sequence[Job], tally: Tally) -> None:
    """Cancel jobs one by one; `tally` tells how far it came, also where it breaks off. Raises Unavailable."""
    for job in jobs:
        try:
            _, was_possible = await darkroom.cancel(job.id)
        except Refused as error:  # it was deleted meanwhile
            if error.code != JOB_NOT_FOUND.code:
                raise
            was_possible = False
        (tally.cancelled if was_possible else tally.already_over).append(job.id)
