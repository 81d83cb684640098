"""What ids and keys look like, so that only well-formed ones come near a Redis key."""

from __future__ import annotations

import re

from contract.errors.exceptions import Refused
from contract.errors.request_catalogue import CURSOR_INVALID, EVENT_ID_INVALID, IDEMPOTENCY_KEY_INVALID, JOB_NOT_FOUND

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EVENT_ID = re.compile(r"0|[0-9]{1,15}-[0-9]{1,10}")
_CURSOR = re.compile(r"[0-9]{1,15}:[0-9a-f-]{36}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")


def check_job_id(text: str) -> str:
    """Let a job's id pass. Raises Refused (`job_not_found`)."""
    if not is_job_id(text):
        raise Refused(JOB_NOT_FOUND)
    return text


def is_job_id(text: str) -> bool:
    """Tell whether a text may be a job's id."""
    return _JOB_ID.fullmatch(text) is not None


def check_event_id(text: str) -> None:
    """Refuse what is no id of an event. Raises Refused (`event_id_invalid`)."""
    if not _EVENT_ID.fullmatch(text):
        raise Refused(EVENT_ID_INVALID)


def check_cursor(text: str) -> None:
    """Refuse what is no cursor of a page. Raises Refused (`cursor_invalid`)."""
    if not _CURSOR.fullmatch(text):
        raise Refused(CURSOR_INVALID)


def check_idempotency_key(text: str) -> None:
    """Refuse what is no idempotency key. Raises Refused (`idempotency_key_invalid`)."""
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        raise Refused(IDEMPOTENCY_KEY_INVALID)
