"""What ids and keys look like, so that only well-formed ones come near a Redis key."""

from __future__ import annotations

import hashlib
import re

from contract.errors.catalogue.request import (
    EVENT_ID_INVALID,
    IDEMPOTENCY_KEY_INVALID,
    JOB_NOT_FOUND,
    TYPE_ERROR,
)
from contract.errors.exceptions import Refused

EVENT_ID_PATTERN = "0|[0-9]{1,15}-[0-9]{1,10}"
MAX_CONVERSATION = 200  # characters of its name
UPLOAD = "up_"  # begins the ids of uploaded pictures; their sha256 follows

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EVENT_ID = re.compile(EVENT_ID_PATTERN)
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,254}")
_ARTIFACT_ID = re.compile(r"img_[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIKE_AN_ID = re.compile(r"(img_|up_)\w{0,80}", re.ASCII)


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
    if not is_event_id(text):
        raise Refused(EVENT_ID_INVALID)


def is_event_id(text: str) -> bool:
    """Tell whether a text may be an event's id."""
    return _EVENT_ID.fullmatch(text) is not None


def is_event_at_most(text: str, other: str) -> bool:
    """Tell whether an event's id is another one's, or comes before it."""
    return _moment(text) <= _moment(other)


def _moment(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def check_idempotency_key(text: str) -> None:
    """Refuse what is no idempotency key. Raises Refused (`idempotency_key_invalid`)."""
    if not _IDEMPOTENCY_KEY.fullmatch(text):
        raise Refused(IDEMPOTENCY_KEY_INVALID)


def check_conversation(value: object) -> str | None:
    """Let the name of a conversation pass, or that there is none. Raises Refused (`type_error`)."""
    if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_CONVERSATION):
        return value
    expected = f"it must be text of 1 to {MAX_CONVERSATION} characters"
    raise Refused(TYPE_ERROR, field="conversation", expected=expected).at("conversation")


def artifact_id(job_id: str, index: int) -> str:
    """Name the artifact of a job's image."""
    return "img_" + hashlib.sha256(f"{job_id}:{index}".encode()).hexdigest()[:12]


def is_artifact_id(text: str) -> bool:
    """Tell whether a text has the form of an artifact id."""
    return _ARTIFACT_ID.fullmatch(text) is not None


def is_like_an_id(text: str) -> bool:
    """Tell whether a text is meant as the id of an artifact or an upload, be it right or mistyped."""
    return _LIKE_AN_ID.fullmatch(text) is not None


def uploaded(text: str) -> str | None:
    """Read the sha256 out of the id of an uploaded picture; None for any other text."""
    sha256 = text.removeprefix(UPLOAD)
    return sha256 if sha256 != text and is_sha256(sha256) else None


def is_sha256(text: str) -> bool:
    """Tell whether a text has the form of a SHA-256 in hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None
