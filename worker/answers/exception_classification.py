"""From what a call raised to the error that says what to do next."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import h11
import httpx

from contract.errors.catalogue.provider import (
    BAD_API_BASE,
    PROVIDER_BAD_ANSWER,
    PROVIDER_INTERRUPTED,
    PROVIDER_TIMEOUT,
    PROVIDER_TLS_FAILED,
    PROVIDER_UNREACHABLE,
)
from worker.answers.errors import Interrupted, ProviderError, TimedOut, Transient, Unusable

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
AT_ONCE_S = 1.0


def of_exception(
    error: Exception, *, has_answered: bool = False, has_said: bool = False, after_s: float = 0.0
) -> ProviderError:
    """Classify what httpx or the clock raised during a call.

    `has_answered` tells that the head of an answer had come, `has_said` that any byte had, `after_s`
    how long the call had gone on: a server that hangs up at once has made nothing, one that does so later may have.
    """
    if isinstance(error, httpx.ConnectError) and _is_certificate(error):
        return Unusable(PROVIDER_TLS_FAILED)
    if isinstance(error, _NOT_SENT):
        return Transient(PROVIDER_UNREACHABLE)
    if isinstance(error, httpx.WriteTimeout):
        return Transient(PROVIDER_TIMEOUT)
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return TimedOut(PROVIDER_TIMEOUT)
    # httpx reads the Location of a redirect also when it is not to be followed.
    if any(isinstance(cause, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError) for cause in _causes(error)):
        return Unusable(BAD_API_BASE)
    if has_answered:
        return Interrupted(PROVIDER_INTERRUPTED)
    if isinstance(error, httpx.LocalProtocolError) or _is_garbage(error) or has_said:
        return Interrupted(PROVIDER_BAD_ANSWER)
    return Transient(PROVIDER_UNREACHABLE) if after_s < AT_ONCE_S else Interrupted(PROVIDER_INTERRUPTED)


def _is_certificate(error: BaseException) -> bool:
    return any(
        isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause)
        for cause in _causes(error)
    )


def _is_garbage(error: BaseException) -> bool:
    """Tell an answer that is no HTTP from none at all."""
    return any(isinstance(cause, h11.RemoteProtocolError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
