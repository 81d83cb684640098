"""Errors the way OpenAI's clients read them: `{"error": {message, type, code, param}}`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from starlette.responses import Response

from contract.errors.catalogue.provider import CONTENT_REFUSED
from contract.errors.catalogue.queue import BUDGET_SPENT, TOO_MANY_JOBS
from contract.errors.exceptions import DarkroomError, Refused
from producer.api.openai.addresses import ROOTS
from producer.error_catalogue import UNKNOWN_MODEL

PREFIXES = tuple(f"/v1/{root}" for root in ROOTS)  # where clients of OpenAI's API call

_OF_IMAGES = ("reference_", "upload_")  # begin codes of errors that concern the images of a request
_STATUSES = {CONTENT_REFUSED.code: 400, UNKNOWN_MODEL.code: 404}  # where ours differ
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def envelope(error: DarkroomError) -> dict[str, object]:
    """Put an error into OpenAI's form; its message is what people see in the chat."""
    status = status_of(error)
    place = "image" if error.code.startswith(_OF_IMAGES) else None
    if isinstance(error, Refused) and error.place:
        place = str(error.place[0])
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    message = f"{error.detail} {error.kind.hint}".strip()
    return {"error": {"message": message, "type": kind, "code": error.code, "param": place}}


def in_own_words(error: Refused, names: Mapping[str, str]) -> Refused:
    """Let an error name the fields of OpenAI's API that its caller has used in place of ours."""
    for each in (error, *error.others):
        ours = str(each.place[0]) if each.place else ""
        if ours in names:
            each.detail = re.sub(rf"\b{ours}\b", names[ours], each.detail)
            each.place = (names[ours], *each.place[1:])
    return error


def status_of(error: DarkroomError) -> int:
    """Tell the status that OpenAI has for an error of ours."""
    return _STATUSES.get(error.code, 400 if error.kind.status == 422 else error.kind.status)


def answer(error: DarkroomError, headers: Mapping[str, str]) -> Response:
    """Answer with an error; it is to be retried by the client only where that costs nothing."""
    should_retry = status_of(error) in (408, 429, 503) and error.code not in (BUDGET_SPENT.code, TOO_MANY_JOBS.code)
    return Response(
        json.dumps(envelope(error), ensure_ascii=False) + "\n",
        status_of(error),
        headers={**headers, "x-should-retry": str(should_retry).lower()},
        media_type="application/json",
    )
