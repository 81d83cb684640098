"""What a provider did, as one tree of exceptions, named by what the ladder may do next.

DarkroomError
└── ProviderError
    ├── Transient       nothing was made: the same rung again
    ├── RateLimited     the same rung after a wait
    ├── TimedOut        it may have been billed: the next rung
    ├── Interrupted     it may have been billed: the same rung once more
    ├── Unusable        this provider, model or size cannot do it: a rung that differs there
    │   └── WrongOutput the model does not answer in these modalities: the same call with others is free
    └── Rejected        the content was refused: no other rung is asked
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from contract.errors.catalogue.table import look_up
from contract.errors.exceptions import DarkroomError
from contract.errors.kind import ErrorKind
from worker.answers.redaction import clean


class ProviderError(DarkroomError):
    """A provider did not deliver; the subclass says what the ladder may do next."""

    outcome: ClassVar[str] = "failed"
    is_elsewhere = False  # it was not the provider's own server that failed

    def __init__(
        self,
        kind: ErrorKind,
        *,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        cost_usd: float | None = None,
        **values: object,
    ) -> None:
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.cost_usd = cost_usd
        super().__init__(kind, **values)

    def named(self, *, secrets: Sequence[str] = (), cost_usd: float | None = None, **values: object) -> ProviderError:
        """Make the same error with its cost, and the provider's name and the like in its sentence, free of secrets."""
        known = {
            name: clean(value, secrets=secrets) if isinstance(value, str) else value
            for name, value in self.values.items()
        }
        cost_usd = self.cost_usd if cost_usd is None else cost_usd
        return self._as(type(self), cost_usd=cost_usd, values={**known, **values})

    def costing(self, cost_usd: float | None) -> ProviderError:
        """Note what the call has cost, as far as its provider has told; a cost that is known already stays."""
        self.cost_usd = cost_usd if self.cost_usd is None else self.cost_usd
        return self

    def after_acceptance(self) -> ProviderError:
        """Tell what this error means once the provider has taken the request: it may have been billed."""
        if not isinstance(self, Transient | RateLimited):
            return self
        return self._as(Interrupted, cost_usd=self.cost_usd, values=self.values)

    def elsewhere(self) -> ProviderError:
        """Mark this error as one of a host that the provider only pointed to."""
        self.is_elsewhere = True
        return self

    def record(self) -> dict[str, object]:
        """Write the error as JSON values, for `revive` in another process."""
        return {
            "branch": self.outcome,
            "code": self.code,
            "http_status": self.http_status,
            "retry_after_s": self.retry_after_s,
            "cost_usd": self.cost_usd,
            "values": self.values,
        }

    def _as(self, branch: type[ProviderError], *, cost_usd: float | None, values: dict[str, object]) -> ProviderError:
        error = branch(
            self.kind, http_status=self.http_status, retry_after_s=self.retry_after_s, cost_usd=cost_usd, **values
        )
        error.is_elsewhere = self.is_elsewhere
        return error


class Transient(ProviderError):
    """Nothing was made, and the same call may work in a moment."""

    outcome = "transient"


class RateLimited(ProviderError):
    """The provider asks for fewer calls."""

    outcome = "rate_limited"


class TimedOut(ProviderError):
    """No whole answer came in time; the call may have been billed."""

    outcome = "timeout"


class Interrupted(ProviderError):
    """The answer was cut off or unreadable; the call may have been billed."""

    outcome = "interrupted"


class Unusable(ProviderError):
    """This provider, model or size cannot do it, however often it is asked."""

    outcome = "unusable"


class WrongOutput(Unusable):
    """The model does not answer in the modalities that were asked for; nothing was made."""


class Rejected(ProviderError):
    """The provider refused the content."""

    outcome = "rejected"


_BRANCHES: dict[object, type[ProviderError]] = {
    branch.outcome: branch for branch in (Transient, RateLimited, TimedOut, Interrupted, Unusable, Rejected)
}


def revive(record: Mapping[str, Any]) -> ProviderError:
    """Make the error again that was written with `ProviderError.record`."""
    known = {name: record[name] for name in ("http_status", "retry_after_s", "cost_usd")}
    return _BRANCHES[record["branch"]](look_up(record["code"]), **known, **record["values"])
