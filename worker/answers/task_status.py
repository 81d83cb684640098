"""The answer to a poll: what a vendor says of a task that it has accepted.

An end is final. What a server says of itself (no key, too busy, away) says nothing about the task: it is asked again.
"""

from __future__ import annotations

from contract.errors.catalogue.provider import PROVIDER_ERROR, RESULT_EXPIRED
from worker.answers.content_refusal import refusal_in
from worker.answers.error_classification import of_error_object, of_refusal
from worker.answers.errors import Interrupted, ProviderError, RateLimited, Rejected, Transient, Unusable
from worker.answers.redaction import clean
from worker.answers.task_stage import Stage, has_status, is_lost, places, stage_of
from worker.answers.untrusted_json import Json, mapping, text, texts

# Statuses, also when they stand in a body, of a server that cannot tell now how far a task is.
_OF_THE_SERVER = frozenset({401, 402, 403, 408, 409, 425, 429, 502, 503, 504, 524, 529})
_WHY = ("message", "error_message", "fail_reason", "failure_reason", "reason", "detail", "msg")
_MOST_CHARS = 2000  # shortened where it is shown


def check(answer: dict[str, Json], *, has_pictures: bool = False) -> Stage:
    """Tell how far a task is that goes on, or is done. Raises the ProviderError that another end stands for."""
    stage, error = stage_of(answer), _error(answer)
    if stage is Stage.REFUSED:
        raise of_refusal(_reason(answer))
    if not has_pictures and (refusal := refusal_in(answer)):
        raise of_refusal(refusal.said or refusal.code)
    is_told_in_words = bool(error) or not has_status(answer)
    if stage is Stage.GONE or (is_told_in_words and is_lost(*_said(error), *_said(answer))):
        raise Interrupted(RESULT_EXPIRED, http_status=200)
    if stage is Stage.FAILED:
        raise ended(answer)
    if error:
        raise _of_error(error)
    return stage


def ended(answer: dict[str, Json]) -> ProviderError:
    """Tell what it means that a task has failed: it may have been billed, as it was accepted."""
    known = (place for place in reversed(places(answer)))
    told = next((found for place in known if (found := _told(place))), {"message": "the generation failed"})
    return _failed(of_error_object(told))


def _told(place: dict[str, Json]) -> Json:
    error = _error(place)
    message, code = next(texts(*(place.get(name) for name in _WHY)), ""), text(place.get("code"))
    return error or ({"message": message, "code": code} if message else None)


def _failed(error: ProviderError) -> ProviderError:
    if isinstance(error, Rejected | Unusable):
        return error
    return Interrupted(PROVIDER_ERROR, http_status=error.http_status, reason=error.values.get("reason", ""))


def _of_error(error: Json) -> ProviderError:
    """Classify an error without a status word: of the task, or only of the server that was asked."""
    found = of_error_object(error)
    if isinstance(found, Rejected) or found.http_status not in _OF_THE_SERVER:
        return _failed(found)
    return found if isinstance(found, RateLimited) else Transient(found.kind, http_status=found.http_status)


def _error(answer: dict[str, Json]) -> Json:
    return answer.get("error") or None


def _said(told: Json) -> list[Json]:
    """List what an answer or its error says in words."""
    found = mapping(told)
    return [told, *(found.get(name) for name in (*_WHY, "code", "type"))]


def _reason(answer: dict[str, Json]) -> str:
    """Tell why a task was refused, in the vendor's words."""
    words = (place.get(name) for place in places(answer) for name in ("status", "task_status", "state"))
    return clean(next(texts(*words), ""), limit=_MOST_CHARS)
