"""What a worker's jobs are run with, and what is known of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from contract.artifacts.artifact_store import ArtifactStore
from contract.errors.catalogue.job_failure import JOB_UNREADABLE
from contract.errors.exceptions import DarkroomError
from contract.jobs.job import Job, ReferenceSnapshot
from contract.settings.accepted_defaults import accepted_with
from contract.settings.loader import Settings
from contract.store.job_hash import read_attempts, read_job, read_snapshots
from contract.store.lease import Lease
from contract.store.worker_store import WorkerStore
from worker.execution.attempt_log import AttemptLog
from worker.execution.images_per_answer import ImagesPerAnswerStore
from worker.execution.leases import Leases
from worker.execution.sibling_images import SiblingImages
from worker.http.provider_client import HttpResources
from worker.memory.budget import Budget
from worker.policy.circuit_breaker import CircuitBreakers
from worker.policy.ladder import Ladder, plan_ladder
from worker.providers.registry import PROVIDERS
from worker.sandbox.pool import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """The dependencies of a worker, which all its jobs share."""

    worker: str
    settings: Settings
    store: WorkerStore
    leases: Leases
    breakers: CircuitBreakers
    artifacts: ArtifactStore
    http: HttpResources
    sandbox: Sandbox
    budget: Budget
    images_per_answer: ImagesPerAnswerStore


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """One claimed job as it was when this run of it began; only `attempts` and `images` change meanwhile."""

    lease: Lease
    job: Job
    settings: Settings  # with the defaults that the job was accepted with
    ladder: Ladder
    snapshots: tuple[ReferenceSnapshot, ...]
    attempts: AttemptLog
    images: SiblingImages

    @classmethod
    def of(cls, lease: Lease, worker: WorkerContext) -> Self:
        """Read a claimed job. Raises DarkroomError (`job_unreadable`), Refused."""
        fields = lease.fields
        job = read_job(fields, None)
        settings = accepted_with(fields, job.request, worker.settings)
        if len(job.images) < int(fields["images"]):  # what cannot be read would be made and paid again
            raise DarkroomError(JOB_UNREADABLE)
        calls = worker.settings.env.calls_per_image
        return cls(
            lease=lease,
            job=job,
            settings=settings,
            ladder=plan_ladder(job.request, settings, PROVIDERS),
            snapshots=read_snapshots(fields),
            attempts=AttemptLog(lease, worker.store, read_attempts(fields), max_calls=calls),
            images=SiblingImages(count=job.request.count, stored=job.images),
        )
