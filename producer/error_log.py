"""One log line for each answer of a gateway or a tool that ends in an error of our side (5xx)."""

from __future__ import annotations

import logging

from contract.errors.exceptions import DarkroomError, Unavailable
from contract.redis.failure import UNKNOWN, cause_of

logger = logging.getLogger(__name__)


def report(
    error: DarkroomError, where: str, *, status: int = 0, job_id: str = "", mistake: Exception | None = None
) -> None:
    """Log an error of our side with its cause; a `mistake` of our own brings its traceback.

    An API may have another `status` for an error than we have.
    """
    status = status or error.kind.status
    if status < 500:
        return
    level = logging.WARNING if error.retryable and status != 500 else logging.ERROR
    told = where, status, error.code, _why(error)
    logger.log(level, "%s: %s %s%s", *told, exc_info=mistake, extra={"job_id": job_id})


def _why(error: DarkroomError) -> str:
    """Tell why Redis could not be used, if that is what went wrong; its own words may name users and keys."""
    if not isinstance(error, Unavailable) or error.__cause__ is None:
        return ""
    cause = cause_of(error.__cause__)
    return f" ({type(error.__cause__).__name__})" if cause is UNKNOWN else f" (Redis {cause.says})"
