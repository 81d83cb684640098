"""Errors as RFC 9457 problem details, whether Darkroom, the framework or other code raised them.

Nothing that a caller sent is repeated in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Mount
from starlette.types import Scope

from contract.errors.catalogue.job_failure import INTERNAL_ERROR
from contract.errors.catalogue.request import ARTIFACT_NOT_FOUND, JOB_NOT_FOUND, TYPE_ERROR
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from contract.jobs.ids import is_job_id
from producer.error_catalogue import ALL_KINDS, BAD_REQUEST, JOB_NOT_FINISHED, METHOD_NOT_ALLOWED, NOT_FOUND
from producer.error_log import report

MISSES = frozenset({ARTIFACT_NOT_FOUND.code, JOB_NOT_FOUND.code})
METHODS = ("DELETE", "GET", "POST")  # of our routes
UNAVAILABLE_S = 3  # when to try again


class ErrorFormat(Protocol):
    """How the clients of another API read an error."""

    def status_of(self, error: DarkroomError) -> int:
        """Choose the status of an answer."""

    def answer(self, error: DarkroomError, headers: Mapping[str, str]) -> Response:
        """Write the answer."""


class ProblemDetails:
    """Answers every error as a problem, or in the format that the routes below a prefix promise."""

    def __init__(self, formats: Mapping[str, ErrorFormat]) -> None:
        self._formats = formats

    def register(self, app: FastAPI) -> None:
        """Answer the errors of an application."""
        for kind, handler in (
            (DarkroomError, self._own),
            (HTTPException, self._framework),
            (RequestValidationError, self._parameters),
            (ClientDisconnect, _gone),
            (Exception, self._unexpected),
        ):
            app.add_exception_handler(kind, handler)
        app.add_api_route("/problems/{code}", explain, include_in_schema=False)

    def answer(self, request: Request, error: DarkroomError) -> Response:
        """Log an error if it is one of our side, and write it in the form that its route promises."""
        promised = self._format_of(request)
        status = promised.status_of(error) if promised else 0
        report(error, where(request.scope), status=status, job_id=_job_of(request))
        return self._written(request, error)

    def _format_of(self, request: Request) -> ErrorFormat | None:
        return next((form for prefix, form in self._formats.items() if request.url.path.startswith(prefix)), None)

    def _written(self, request: Request, error: DarkroomError) -> Response:
        headers = headers_of(error)
        if promised := self._format_of(request):
            return promised.answer(error, headers)
        return Response(
            document_of(error, request_id=request.state.request_id),
            error.kind.status,
            headers=headers,
            media_type="application/problem+json",
        )

    async def _own(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, DarkroomError)
        if error.code in MISSES:
            try:
                await request.app.state.gateway.rates.count_miss(_caller(request))
            except (Refused, Unavailable) as instead:
                error = instead
        return self.answer(request, error)

    async def _framework(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 405:
            return self.answer(request, Refused(NOT_FOUND if error.status_code == 404 else BAD_REQUEST))
        allowed = ", ".join(methods_of(request))
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        return self.answer(request, Refused(METHOD_NOT_ALLOWED, headers={"Allow": allowed}))

    async def _parameters(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [
            Refused(TYPE_ERROR, field=str(item["loc"][-1]), expected=str(item["msg"])).at(*item["loc"])
            for item in error.errors()
            if item["loc"][0] in ("query", "path", "header")
        ]
        first, *others = found or [Refused(BAD_REQUEST)]
        first.others = tuple(others)
        return self.answer(request, first)

    async def _unexpected(self, request: Request, error: Exception) -> Response:
        told = DarkroomError(INTERNAL_ERROR)
        report(told, where(request.scope), job_id=_job_of(request), mistake=error)
        return self._written(request, told)


def document_of(error: DarkroomError, *, request_id: str) -> bytes:
    """Write the problem document of an error, which ends its line."""
    return (json.dumps(problem(error, request_id=request_id), ensure_ascii=False) + "\n").encode()


def problem(error: DarkroomError, *, request_id: str) -> dict[str, Any]:
    """Make the problem document of an error."""
    document: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": error.kind.title,
        "status": error.kind.status,
        "code": error.code,
        "detail": error.detail,
        "instance": f"urn:request:{request_id}",
        "retryable": error.retryable,
    }
    if error.kind.hint:
        document["hint"] = error.kind.hint
    if "state" in error.values:
        document["state"] = error.values["state"]
    if isinstance(error, Refused) and (error.place or error.others):
        document["errors"] = [
            {"pointer": _pointer(one.place), "code": one.code, "detail": one.detail} for one in (error, *error.others)
        ]
    return document


def headers_of(error: DarkroomError) -> dict[str, str]:
    """Choose the headers that go with an error."""
    given = error.values.get("headers")
    headers = {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
    status = error.kind.status
    retry_after_s = error.values.get("retry_after_s", UNAVAILABLE_S if status == 503 else None)
    if retry_after_s is None and error.code == JOB_NOT_FINISHED.code:
        retry_after_s = 2
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="darkroom"'
    if status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body is not read
    if status == 415 and "accepted" in error.values:
        headers["Accept-Post"] = str(error.values["accepted"])
    return headers


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # the client has gone


def methods_of(request: Request) -> list[str]:
    """List the methods that an address knows."""
    known = {method for method in METHODS if _is_known(request, method)}
    return sorted({*known, "OPTIONS", *(["HEAD"] if "GET" in known else [])})


def _is_known(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(
        route.matches(scope)[0] is Match.FULL and (method == "GET" or not isinstance(route, Mount))  # of files
        for route in request.app.router.routes
    )


async def explain(code: str) -> HTMLResponse:
    """Say in words what an error code means: the page that `type` names."""
    kind = ALL_KINDS.get(code)
    if kind is None:
        raise Refused(NOT_FOUND)
    again = "The very same request may succeed later." if kind.retryable else "It stays so until something is changed."
    text = f"<h1>{kind.title}</h1><p>{kind.sentence.format_map({})}</p><p>{kind.hint}</p><p>{again}</p>"
    return HTMLResponse(f'<!doctype html><html lang="en"><title>{code}</title>{text}</html>')


def where(scope: Scope) -> str:
    """Name the route of a request; its address may hold anything."""
    return f"{scope['method'][:10]} {getattr(scope.get('route'), 'path', '(no route)')}"


def _job_of(request: Request) -> str:
    """Read from the address which job a request was about, "" if it was about none."""
    return next(filter(is_job_id, map(str, request.path_params.values())), "")


def _caller(request: Request) -> str:
    caller = getattr(request.state, "caller", None)
    return f"{caller.token.name}\n{caller.owner}" if caller else ""


def _pointer(place: tuple[str | int, ...]) -> str:
    """Write a place as an RFC 6901 pointer into the body; of a parameter, as its name."""
    if place and place[0] in ("query", "path", "header"):
        return f"?{place[-1]}"
    return "#" + "".join("/" + str(part)[:50].replace("~", "~0").replace("/", "~1") for part in place)
