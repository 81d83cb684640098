"""Errors as problem documents: what they say, and what they do not."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from contract.errors.catalogue.request import (
    COUNT_OUT_OF_RANGE,
    JOB_NOT_FOUND,
    PROMPT_REQUIRED,
    TYPE_ERROR,
    UNKNOWN_FIELD,
)
from contract.errors.exceptions import DarkroomError, Refused, Unavailable
from producer.api.problem_details import ProblemDetails, document_of, headers_of, problem
from producer.error_catalogue import (
    BODY_TOO_LARGE,
    JOB_NOT_FINISHED,
    RATE_LIMITED,
    REQUEST_TIMEOUT,
    UNAUTHORIZED,
    UNSUPPORTED_ENCODING,
    UNSUPPORTED_MEDIA_TYPE,
)


def test_a_problem_tells_what_where_and_whether_again() -> None:
    error = Refused(COUNT_OUT_OF_RANGE, max=4).at("count")
    assert problem(error, request_id="req_1") == {
        "type": "/problems/count_out_of_range",
        "title": "Number of images out of range",
        "status": 422,
        "code": "count_out_of_range",
        "detail": "count must be between 1 and 4 (maxImagesPerTurn).",
        "instance": "urn:request:req_1",
        "retryable": False,
        "hint": "Request fewer images, or submit several jobs.",
        "errors": [{"pointer": "#/count", "code": "count_out_of_range", "detail": error.detail}],
    }


def test_of_several_problems_the_first_one_is_the_title() -> None:
    error = Refused(PROMPT_REQUIRED).at("prompt")
    error.others = (Refused(UNKNOWN_FIELD, field="x").at("x"),)
    told = problem(error, request_id="req_1")
    assert (told["code"], [one["pointer"] for one in told["errors"]]) == ("prompt_required", ["#/prompt", "#/x"])


@pytest.mark.parametrize(
    ("place", "pointer"),
    [
        (("count",), "#/count"),
        (("reference_images", 3), "#/reference_images/3"),
        (("a/b~c",), "#/a~1b~0c"),
        (("x" * 80,), "#/" + "x" * 50),
        (("",), "#/"),
        (("query", "limit"), "?limit"),
        (("header", "last-event-id"), "?last-event-id"),
    ],
)
def test_a_place_is_a_pointer(place: tuple[str | int, ...], pointer: str) -> None:
    assert problem(Refused(TYPE_ERROR).at(*place), request_id="")["errors"][0]["pointer"] == pointer


def test_the_state_of_a_job_is_told() -> None:
    assert problem(Refused(JOB_NOT_FINISHED, state="running"), request_id="")["state"] == "running"
    assert "state" not in problem(Refused(JOB_NOT_FOUND), request_id="")


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (Refused(JOB_NOT_FOUND), {}),
        (Refused(UNAUTHORIZED), {"WWW-Authenticate": 'Bearer realm="darkroom"'}),
        (Unavailable(), {"Retry-After": "3"}),
        (Refused(JOB_NOT_FINISHED), {"Retry-After": "2"}),
        (Refused(RATE_LIMITED, retry_after_s=7, headers={"RateLimit": "x"}), {"RateLimit": "x", "Retry-After": "7"}),
        (Refused(BODY_TOO_LARGE), {"Connection": "close"}),
        (Refused(REQUEST_TIMEOUT), {"Connection": "close"}),
        (Refused(UNSUPPORTED_MEDIA_TYPE, accepted="application/json"), {"Accept-Post": "application/json"}),
        (Refused(UNSUPPORTED_ENCODING), {}),
    ],
)
def test_some_errors_bring_headers(error: DarkroomError, headers: dict[str, str]) -> None:
    assert headers_of(error) == headers


def test_a_document_is_utf8() -> None:
    assert json.loads(document_of(Refused(TYPE_ERROR, field="größe"), request_id=""))["detail"].startswith("größe")


class Vendor:
    """The errors of another API: plain text, and all of them 418."""

    def status_of(self, error: DarkroomError) -> int:
        return 418

    def answer(self, error: DarkroomError, headers: Mapping[str, str]) -> Response:
        return PlainTextResponse(error.code, self.status_of(error), headers=dict(headers))


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v9/vendor/images", 418, "text/plain; charset=utf-8"),
        ("/v9/vendored", 401, "application/problem+json"),
        ("/v1/images/generations", 401, "application/problem+json"),
    ],
)
async def test_errors_below_a_prefix_have_the_format_that_was_handed_in(path: str, status: int, kind: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "state": {}}
    request = Request({**scope, "state": {"request_id": "req_1"}, "server": ("localhost", 80), "scheme": "http"})
    answer = ProblemDetails({"/v9/vendor/": Vendor()}).answer(request, Refused(UNAUTHORIZED))
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, kind)
    assert "WWW-Authenticate" in answer.headers
