"""What may end a job besides its provider, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.kind import permanent, temporary

CALL_BUDGET_SPENT = permanent(
    "call_budget_spent",
    "Call budget spent",
    "The job used all its provider calls without getting an image.",
    "Its attempts show why; the operator can raise DARKROOM_CALLS_PER_IMAGE.",
    status=502,
)
DEADLINE_PASSED = temporary(
    "deadline_passed",
    "Deadline passed",
    "The job did not finish before its deadline.",
    "Request a smaller image size, or set a longer deadline.",
    status=504,
)
INTERNAL_ERROR = temporary(
    "internal_error",
    "Internal error",
    "An internal error occurred in Darkroom; the log has the details.",
    "Report it together with the worker's log lines of this job.",
    status=500,
)
JOB_UNREADABLE = permanent(
    "job_unreadable",
    "Job cannot be read",
    "The stored job is damaged, or was written by a newer Darkroom.",
    "The operator should run `darkroom doctor` and read the log; then submit the job again.",
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
    "The workers' logs show why; a smaller request may need less memory.",
    status=500,
)
