"""What the queue may answer, in people's words: one constant for each error code."""

from __future__ import annotations

from contract.errors.kind import temporary

BUDGET_SPENT = temporary(
    "budget_spent",
    "Budget spent",
    "The rest of your budget for today is too small for this request.",
    "Request fewer images, or wait for the next day (UTC); the operator can raise DARKROOM_BUDGET_USD_PER_DAY.",
    status=429,
)
QUEUE_FULL = temporary(
    "queue_full",
    "Queue full",
    "The queue is full[: Redis {says}]. Try again in a minute.",
    "The operator can start more workers, raise DARKROOM_MAX_QUEUED or DARKROOM_KEEP_MB, or give Redis more memory.",
    status=503,
)
QUEUE_UNAVAILABLE = temporary(
    "queue_unavailable",
    "Queue unavailable",
    "The job queue (Redis) [{says}|does not answer]. Nothing was lost; try again, or run `darkroom doctor`.",
    status=503,
)
STORAGE_LOW = temporary(
    "storage_low",
    "Disk almost full",
    "The disk for images is almost full, so nothing new is accepted. Try again in a minute.",
    "The operator must make room there, or lower DARKROOM_LEAST_FREE_MB.",
    status=503,
)
TOO_MANY_JOB_BYTES = temporary(
    "too_many_job_bytes",
    "Too many bytes in jobs",
    "Your unfinished jobs take [{max}|too many] MiB. Wait until some are done and their webhooks are delivered.",
    "Cancel some of them, or write shorter prompts; the operator can raise DARKROOM_KEEP_MB_PER_OWNER.",
    status=429,
)
TOO_MANY_JOBS = temporary(
    "too_many_jobs",
    "Too many jobs",
    "You have [{max}|too many] unfinished jobs. Wait until some are done.",
    "Cancel some of them; the operator can raise DARKROOM_MAX_JOBS_PER_OWNER.",
    status=429,
)
TOO_MANY_UPLOADS = temporary(
    "too_many_uploads",
    "Too many uploads",
    "You already have [{max}|too many] uploaded images that no ended job has used. Use one of them again, or wait "
    "until a job that uses one has ended.",
    "The operator can raise DARKROOM_MAX_UPLOADS_PER_OWNER.",
    status=429,
)
UPLOADS_TOO_LARGE = temporary(
    "uploads_too_large",
    "Uploads too large together",
    "Your uploads may have [{max_mib} MiB|so many bytes] together. Use one of them again, or wait until some expire.",
    "The operator can raise DARKROOM_MAX_UPLOAD_MB_PER_OWNER.",
    status=429,
)
