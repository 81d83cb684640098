"""What the doctor says of circuit breakers: calls to which provider and model are not made, why, and for how long."""

from __future__ import annotations

from redis.asyncio import Redis

from contract.errors.catalogue.table import KINDS
from contract.errors.exceptions import DarkroomError, Unavailable
from contract.monitoring.open_breakers import Breaker, read_breakers
from contract.redis.failure import NO_RIGHTS, cause_of
from producer.doctor.finding import Finding

NAME = "circuit breaker"
SHOWN = 10
HINT = "See the provider's status page; jobs wait meanwhile, up to their deadline."


async def check_breakers(client: Redis) -> list[Finding]:
    """Say which circuit breakers are open."""
    try:
        breakers = await read_breakers(client)
    except Unavailable as error:
        if cause_of(error.__cause__) is NO_RIGHTS:
            return [Finding(NAME, True, "unknown: this Redis user is not allowed to read them")]
        return [Finding(NAME, False, "Redis became unreachable during the check", "Run doctor again.")]
    if not breakers:
        return [Finding(NAME, True, "none is open")]
    findings = [_finding(breaker) for breaker in breakers[:SHOWN]]
    if len(breakers) > SHOWN:
        findings.append(Finding(NAME, False, f"{len(breakers) - SHOWN} more are open", HINT))
    return findings


def _finding(breaker: Breaker) -> Finding:
    known = breaker.code in KINDS  # one that only another version knows is not
    title = f", {KINDS[breaker.code].title}" if known else ""
    when = f"none is made for {breaker.left_s:.0f} s more" if breaker.left_s >= 1 else "the next one is a probe"
    detail = f"{breaker.calls} fail ({breaker.code}{title}): {when}"
    if not known or KINDS[breaker.code].retryable:
        return Finding(NAME, False, detail, HINT)
    error = DarkroomError(KINDS[breaker.code], provider=breaker.provider, model=breaker.model)
    return Finding(NAME, False, detail, f"{error.detail} {error.kind.hint}".strip())
