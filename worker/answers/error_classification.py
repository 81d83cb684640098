"""From an answer to the error that says what to do next: the only place that reads status codes.

`provider` and `model` are filled in by the maker of the call. The reader processes load this module and no HTTP client;
what a client raises is classified in `exception_classification.py`.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Mapping

from contract.errors.catalogue.provider import (
    BAD_API_BASE,
    BAD_MODEL,
    BAD_PARAMETERS,
    CONTENT_REFUSED,
    NO_IMAGE,
    PROVIDER_AUTH,
    PROVIDER_BAD_ANSWER,
    PROVIDER_CREDITS,
    PROVIDER_DOWN,
    PROVIDER_ERROR,
    PROVIDER_FORBIDDEN,
    PROVIDER_RATE_LIMITED,
    PROVIDER_TIMEOUT,
    RESULT_EXPIRED,
)
from contract.errors.catalogue.request import REFERENCE_TOO_LARGE
from contract.errors.kind import ErrorKind
from contract.jobs.duration import duration
from worker.answers.account_credit import of_account
from worker.answers.content_refusal import refusal_in, said_upstream
from worker.answers.errors import Interrupted, ProviderError, RateLimited, Rejected, TimedOut, Transient, Unusable
from worker.answers.redaction import clean
from worker.answers.task_stage import is_lost
from worker.answers.untrusted_json import Json, items, mapping, number, text, texts, told_cost
from worker.answers.upstream_routing import of_no_upstream

MAX_REASONS = 5
_MESSAGE_CHARS = 2000  # shortened where it is shown, once no key can be cut in half

Meaning = tuple[type[ProviderError], ErrorKind]
OfMetadata = Callable[[Mapping[str, Json]], Meaning | None]

_BY_STATUS: dict[int, Meaning] = {
    400: (Unusable, BAD_PARAMETERS),
    401: (Unusable, PROVIDER_AUTH),
    402: (Unusable, PROVIDER_CREDITS),
    403: (Unusable, PROVIDER_FORBIDDEN),
    404: (Unusable, BAD_MODEL),
    408: (Transient, PROVIDER_TIMEOUT),
    409: (Transient, PROVIDER_TIMEOUT),
    413: (Unusable, REFERENCE_TOO_LARGE),
    422: (Unusable, BAD_PARAMETERS),
    425: (Transient, PROVIDER_TIMEOUT),
    429: (RateLimited, PROVIDER_RATE_LIMITED),
    500: (Transient, PROVIDER_ERROR),
    501: (Unusable, PROVIDER_ERROR),
    502: (Transient, PROVIDER_DOWN),
    503: (Transient, PROVIDER_DOWN),
    504: (TimedOut, PROVIDER_DOWN),
    524: (TimedOut, PROVIDER_DOWN),
    529: (Transient, PROVIDER_DOWN),
}
# Names for answers that carry no status: OpenRouter's stable ones, which others use as well.
_STATUS_OF_TYPE = {
    "authentication": 401,
    "content_policy_violation": 403,
    "invalid_image": 400,
    "invalid_prompt": 400,
    "invalid_request": 400,
    "not_found": 404,
    "payload_too_large": 413,
    "payment_required": 402,
    "permission_denied": 403,
    "provider_overloaded": 503,
    "provider_unavailable": 502,
    "rate_limit_exceeded": 429,
    "server": 500,
    "timeout": 504,
    "unprocessable": 422,
}
_NO_MODEL = re.compile(r"(incorrect|invalid|unknown|not a valid) model", re.IGNORECASE)
_NOTHING_SAID = re.compile(r"((provider|upstream) (returned )?(an )?error|error)?[.:]?", re.IGNORECASE)
_OF_KEY = frozenset({401, 402, 403, 407, 429})  # then a key, a token or a period has expired
FOR_EVER_S = 1e9


def no_meaning(metadata: Mapping[str, Json]) -> Meaning | None:
    """Find nothing in an error's metadata that says more than its status."""
    return None


def of_status(
    status: int, headers: Mapping[str, str], body: Json, *, of_metadata: OfMetadata = no_meaning
) -> ProviderError:
    """Classify an answer whose HTTP status is not 200; `of_metadata` reads what only its provider says."""
    if 300 <= status < 400:
        return Unusable(BAD_API_BASE, http_status=status)
    wait = retry_after(headers.get("retry-after"), headers.get("date"))
    answer = mapping(body)
    error = answer.get("error")
    found = mapping(error) or {"message": error, **answer}
    return _of(found, status, wait, of_metadata).costing(told_cost(answer))


def of_poll(status: int, headers: Mapping[str, str], body: Json) -> ProviderError:
    """Classify the answer to a poll whose HTTP status is not 200: it says little about what is being made.

    Only a refusal, or that the task is not there any more, is an end; for all else it is asked again.
    """
    error = of_status(status, headers, body)
    if isinstance(error, Rejected):
        return error
    if status in (404, 410) or (status not in _OF_KEY and is_lost(*_texts_of(body))):
        return Interrupted(RESULT_EXPIRED, http_status=status)
    branch = RateLimited if isinstance(error, RateLimited) else Transient
    return branch(error.kind, http_status=status, retry_after_s=error.retry_after_s)


def _texts_of(body: Json) -> list[Json]:
    answer = mapping(body)
    found = mapping(answer.get("error")) or answer
    return [answer.get("error"), *(found.get(name) for name in ("message", "detail", "code", "type"))]


def of_download(status: int, headers: Mapping[str, str]) -> ProviderError:
    """Classify the answer to a result link whose HTTP status is not 200."""
    if status in (403, 404, 410):
        return Interrupted(RESULT_EXPIRED, http_status=status)
    if status == 429:
        wait = retry_after(headers.get("retry-after"), headers.get("date"))
        return RateLimited(PROVIDER_RATE_LIMITED, http_status=status, retry_after_s=wait)
    return Transient(PROVIDER_DOWN, http_status=status)


def of_error_object(error: Json, *, of_metadata: OfMetadata = no_meaning) -> ProviderError:
    """Classify an `error` object in an answer that came with 200; `of_metadata` reads what only its provider says."""
    found = mapping(error) or {"message": error}
    codes = [str(found.get(name)) for name in ("code", "http_status") if isinstance(found.get(name), int | str)]
    status = next((int(code) for code in codes if code.isdecimal() and len(code) == 3), 0)
    return _of(found, status, None, of_metadata)


def of_refusal(reason: str) -> ProviderError:
    """Classify an answer that was stopped by a content filter."""
    return Rejected(CONTENT_REFUSED, http_status=200, reason=clean(reason))


def of_garbage() -> ProviderError:
    """Classify an answer whose parts are not what they should be."""
    return Interrupted(PROVIDER_BAD_ANSWER, http_status=200)


def of_silence(said: str) -> ProviderError:
    """Classify a well-formed answer without an image; `said` is the model's text, cleaned."""
    return Interrupted(NO_IMAGE, http_status=200, reason=f" It said: {said}" if said else "")


def _of(error: dict[str, Json], status: int, wait_s: float | None, of_metadata: OfMetadata) -> ProviderError:
    metadata, availability = mapping(error.get("metadata")), mapping(error.get("availability"))
    kinds = {text(error.get(name)) for name in ("type", "code", "error_type")} | {text(metadata.get("error_type"))}
    message = _words(text(error.get("message"))) or _words(said_upstream(error))
    status = status or next((_STATUS_OF_TYPE[kind] for kind in sorted(kinds) if kind in _STATUS_OF_TYPE), 0)
    refusal = refusal_in(error)
    if refusal or metadata.keys() & {"reasons", "patterns"}:
        reasons = clean(", ".join(texts(*items(metadata.get("reasons"))[:MAX_REASONS])), limit=_MESSAGE_CHARS)
        said = reasons or (refusal and (_words(refusal.said) or message or clean(refusal.code))) or message
        return Rejected(CONTENT_REFUSED, http_status=status or 200, reason=said)
    message = message or clean(text(error.get("message")), limit=_MESSAGE_CHARS)
    if money := of_account(error, status, message):
        return money
    if routing := of_no_upstream(status, message, text(availability.get("code"))):
        return routing
    is_lasting = availability.get("retryable") is False and status not in (401, 402, 403)
    if _NO_MODEL.search(message) or "model_not_found" in kinds or is_lasting:
        return Unusable(BAD_MODEL, http_status=status or 200, reason=message)
    branch, kind = of_metadata(metadata) or _BY_STATUS.get(status, _unlisted(status))
    wait_s = number(availability.get("retry_after")) if wait_s is None else wait_s
    if branch is Transient and wait_s is not None:
        branch = RateLimited
    wait = "" if wait_s is None else duration(wait_s)
    return branch(kind, http_status=status or 200, retry_after_s=wait_s, reason=message, wait=wait)


def _words(said: str) -> str:
    """Clean what an error says; a gateway that only tells that there was one has said nothing."""
    is_nothing = said.lstrip().startswith("{") or _NOTHING_SAID.fullmatch(said.strip())
    return "" if is_nothing else clean(said, limit=_MESSAGE_CHARS)


def _unlisted(status: int) -> Meaning:
    """An unknown client error is never repeated; a status that HTTP does not know is noise; the rest may pass."""
    if status >= 600:
        return Interrupted, PROVIDER_BAD_ANSWER
    return (Unusable, PROVIDER_ERROR) if 400 <= status < 500 else (Transient, PROVIDER_ERROR)


def retry_after(value: str | None, date: str | None = None) -> float | None:
    """Read a Retry-After header in seconds, or as a time after that of the Date header.

    None when it says nothing usable. Our own clock counts only for an answer without a Date.
    """
    if value is None:
        return None
    try:
        seconds = max(map(float, value.split(",")))  # of two headers the larger one
        return min(seconds, FOR_EVER_S) if seconds > 0 else None
    except ValueError:
        pass  # a date, then
    then = _timestamp(value)
    if then is None:
        return None
    now = _timestamp(date) if date is not None else None
    seconds = then - (time.time() if now is None else now)
    return min(seconds, FOR_EVER_S) if seconds > 0 else None


def _timestamp(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
