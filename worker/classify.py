"""From what happened to the error that says what to do next: the only place that reads status codes.

`provider` and `model` are filled in by whoever made the call.
"""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Mapping

import httpx

from contract.errors import (
    Interrupted,
    ProviderError,
    RateLimited,
    Rejected,
    TimedOut,
    Transient,
    Unusable,
)
from contract.redaction import clean
from worker.providers.payload import items, mapping, text
from worker.providers.provider import Json

_MESSAGE_CHARS = 2000  # whoever shows it cuts it, once no key can be cut in half

_BY_STATUS: dict[int, tuple[type[ProviderError], str]] = {
    400: (Unusable, "bad_parameters"),
    401: (Unusable, "provider_auth"),
    402: (Unusable, "provider_credits"),
    403: (Unusable, "provider_forbidden"),
    404: (Unusable, "bad_model"),
    408: (Transient, "provider_timeout"),
    409: (Transient, "provider_error"),
    413: (Unusable, "bad_parameters"),
    422: (Unusable, "bad_parameters"),
    425: (Transient, "provider_timeout"),
    429: (RateLimited, "provider_rate_limited"),
    500: (Transient, "provider_error"),
    502: (Transient, "provider_down"),
    503: (Transient, "provider_down"),
    504: (TimedOut, "provider_timeout"),
    524: (TimedOut, "provider_timeout"),
    529: (Transient, "provider_down"),
}
_POLICY_TYPES = frozenset({"content_policy_violation", "refusal", "moderation_blocked", "content_filter"})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.WriteTimeout)


def of_exception(error: Exception) -> ProviderError:
    """Classify what httpx or the clock raised during a call."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, httpx.ConnectError) and _is_certificate(error):
        return Unusable("provider_tls_failed")
    if isinstance(error, _NOT_SENT):
        return Transient("provider_unreachable")
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return TimedOut("provider_timeout")
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError | httpx.CloseError):
        return Interrupted("provider_interrupted")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return Unusable("bad_api_base")
    return Interrupted("provider_bad_answer")


def of_status(status: int, headers: Mapping[str, str], body: Json) -> ProviderError:
    """Classify an answer whose HTTP status is not 200."""
    if 300 <= status < 400:
        return Unusable("bad_api_base", http_status=status)
    wait = retry_after(headers.get("retry-after"))
    answer = mapping(body)
    error = answer.get("error")
    return _of(mapping(error) or {"message": error or answer.get("message")}, status, wait)


def of_error_object(error: Json) -> ProviderError:
    """Classify an `error` object inside an answer that came with 200."""
    found = mapping(error) or {"message": error}
    codes = [str(found.get(name)) for name in ("code", "http_status") if isinstance(found.get(name), int | str)]
    status = next((int(code) for code in codes if code.isdecimal() and len(code) == 3), 0)
    return _of(found, status, None)


def of_refusal(reason: str) -> ProviderError:
    """Classify an answer that was stopped by a content filter."""
    return Rejected("content_refused", http_status=200, reason=reason)


def of_silence(said: str) -> ProviderError:
    """Classify a well-formed answer without an image; `said` is the model's text, cleaned."""
    return Interrupted("no_image", http_status=200, reason=f" It said: {said}" if said else "")


def _of(error: dict[str, Json], status: int, wait: float | None) -> ProviderError:
    metadata = mapping(error.get("metadata"))
    kinds = {text(error.get(name)) for name in ("type", "code", "error_type")} | {text(metadata.get("error_type"))}
    message = clean(text(error.get("message")), limit=_MESSAGE_CHARS)
    reasons = [clean(text(reason), limit=_MESSAGE_CHARS) for reason in items(metadata.get("reasons"))]
    if kinds & _POLICY_TYPES or "reasons" in metadata:
        return Rejected("content_refused", http_status=status or 200, reason=", ".join(reasons) or message)
    if "incorrect model id" in message.lower() or "model_not_found" in kinds:
        return Unusable("bad_model", http_status=status or 200)
    branch, code = _BY_STATUS.get(status, _unlisted(status))
    if branch is Transient and wait is not None:
        branch = RateLimited
    return branch(code, http_status=status or 200, retry_after_s=wait, reason=message)


def _unlisted(status: int) -> tuple[type[ProviderError], str]:
    """An unknown client error is never repeated; anything else may pass."""
    return (Unusable, "provider_error") if 400 <= status < 500 else (Transient, "provider_error")


def retry_after(value: str | None) -> float | None:
    """Read a Retry-After header in seconds or as a date; None when it says nothing usable."""
    if value is None:
        return None
    try:
        seconds = max(map(float, value.split(",")))  # of two headers the larger one
        return seconds if seconds > 0 else None
    except ValueError:
        pass  # a date, then
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    seconds = moment.timestamp() - time.time()
    return seconds if seconds > 0 else None


def _is_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
