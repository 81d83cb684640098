"""What may end a job besides its provider, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.kind import permanent, temporary

CALL_BUDGET_SPENT = permanent(
    "call_budget_spent",
    "Call budget spent",
    "The job used all its provider calls without a picture.",
    "Its attempts say why; the operator can raise DARKROOM_CALLS_PER_IMAGE.",
    status=502,
)
DEADLINE_PASSED = temporary(
    "deadline_passed",
    "Time is up",
    "The job was not finished in the time it had.",
    "Try a smaller image size, or give it more time.",
    status=504,
)
INTERNAL_ERROR = temporary(
    "internal_error",
    "Internal error",
    "Something went wrong inside Darkroom; the log has the details.",
    "Report it with what the worker's log says of the job.",
    status=500,
)
JOB_UNREADABLE = permanent(
    "job_unreadable",
    "Job cannot be read",
    "What is stored of this job is damaged, or a newer Darkroom has written it.",
    "The operator finds out with `darkroom doctor` and the log; then hand the job in anew.",
    status=500,
)
STORAGE_FULL = temporary(
    "storage_full",
    "Cannot store images",
    "The image could not be stored: the disk may be full, or the media directory read-only.",
    "The operator must make room, or make the directory writable.",
    status=507,
)
WORKER_CRASHED = permanent(
    "worker_crashed",
    "Worker crashed",
    "Three workers crashed on this job, so it was stopped.",
    "The workers' logs say why; a smaller request may need less memory.",
    status=500,
)
