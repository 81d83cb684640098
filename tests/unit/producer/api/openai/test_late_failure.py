"""How a failure is told after the answer has begun: which way fits which client, and what a repeat needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from contract.errors.exceptions import Unavailable
from contract.jobs.job import Job, JobState
from producer.api.openai.late_failure import (
    REPEATED_AT_MOST_S,
    REPEATED_S,
    LateFailure,
    hops_for,
    late_failure_of,
    owed,
    repeats_failure,
)
from producer.api.openai.request import OpenAIRequest
from producer.client.owner_client import OwnerClient
from tests.support.factories.ended_job import a_job

PYTHON = {"x-stainless-retry-count": "0", "x-stainless-lang": "python", "user-agent": "OpenAI/Python 3.57.0"}
JS = {"x-stainless-retry-count": "0", "x-stainless-lang": "js"}
FETCH = {"sec-fetch-mode": "cors", "user-agent": "ai/6.0 ai-sdk/provider-utils/4.0"}
ORDER = OpenAIRequest(
    fields={}, mime="image/jpeg", compression=80, as_url=False, is_stream=False, user="ann", is_default_model=True
)


class Recent:
    """Notes requests, unless Redis is away."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.noted: list[str] = []
        self._is_away = is_away

    async def note(self, what: str, job: Job, *, for_s: float) -> None:
        """Note one."""
        if self._is_away:
            raise Unavailable
        self.noted.append(what)

    async def find(self, what: str) -> Job | None:
        """Find one."""
        return a_job() if what in self.noted else None


def client_with(recent: Recent) -> OwnerClient:
    """Make an owner's client that remembers this."""
    return cast(OwnerClient, SimpleNamespace(recent=recent))


@pytest.mark.parametrize(
    ("headers", "most"),
    [
        (JS, 18),
        (FETCH, 18),
        (PYTHON, 0),
        ({"user-agent": "Python/3.11 aiohttp/3.14.5"}, 9),
        ({"user-agent": "axios/1.7"}, 18),
        ({"user-agent": "litellm/1.110.2"}, 18),
        ({"user-agent": "curl/8.5.0"}, 0),
        ({"sec-fetch-mode": "navigate"}, 0),
        ({}, 0),
    ],
)
def test_only_clients_that_follow_redirects_are_sent_on(headers: dict[str, str], most: int) -> None:
    assert hops_for(headers) == most


def request(method: str, path: str, headers: dict[str, str], query: str = "", **state: Any) -> Request:
    """Make a request."""
    raw = [(name.encode(), value.encode()) for name, value in {"host": "here", **headers}.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    return Request({**scope, "state": state, "scheme": "http", "server": ("here", 80)})


@pytest.mark.parametrize(
    ("method", "asked", "begin"),
    [
        ("POST", "/v1/images/edits", "edits/"),
        ("POST", "/v1//images/generations", "generations/"),
        ("POST", "/v1/images/generations/", ""),
        ("GET", "/v1/images/generations/a", ""),
    ],
)
def test_the_next_address_is_relative_to_the_one_that_was_asked(method: str, asked: str, begin: str) -> None:
    job = a_job()
    asking = request(method, "/v1/images/edits", JS, "hop=3" if method == "GET" else "", asked_path=asked)
    late = late_failure_of(asking, ORDER, job, what="a-fox")
    hop = 4 if method == "GET" else 1
    form = "response_format=b64_json&output_format=jpeg&output_compression=80&model=gpt-image&user=ann"
    assert late.next_address == f"{begin}{job.id}?hop={hop}&request=a-fox&{form}"


@pytest.mark.parametrize("hop", ["18", "19", "999", "-1", "many"])
def test_the_last_hop_waits_for_good(hop: str) -> None:
    assert late_failure_of(request("GET", "/", JS, f"hop={hop}"), ORDER, a_job(), what="").next_address == ""


@pytest.mark.parametrize(("headers", "breaks"), [(PYTHON, True), (JS, True), (FETCH, False), ({}, False)])
async def test_a_connection_is_broken_for_clients_whose_repeats_are_known(
    headers: dict[str, str], breaks: bool
) -> None:
    recent = Recent()
    late = late_failure_of(request("POST", "/", headers), ORDER, a_job(), what="a fox")
    assert await late.owe(client_with(recent), a_job()) is breaks
    assert recent.noted == [owed("a fox")] * breaks


async def test_without_a_note_the_connection_is_not_broken() -> None:
    late = LateFailure(may_break=True, request="a fox")
    assert not await late.owe(client_with(Recent(is_away=True)), a_job())


@pytest.mark.parametrize(
    ("state", "ago_s", "is_told_again", "is_repeat"),
    [
        (JobState.FAILED, 0, False, True),
        (JobState.EXPIRED, REPEATED_S / 2, False, True),
        (JobState.FAILED, REPEATED_S + 1, False, False),
        (JobState.FAILED, REPEATED_S + 1, True, True),
        (JobState.FAILED, REPEATED_AT_MOST_S + 1, True, False),
        (JobState.SUCCEEDED, 0, True, False),
        (JobState.CANCELLED, 0, True, False),
    ],
)
async def test_an_equal_request_soon_after_a_failure_repeats_it(
    state: JobState, ago_s: float, is_told_again: bool, is_repeat: bool
) -> None:
    job = a_job(state=state, ended_at=datetime.now(UTC) - timedelta(seconds=ago_s))
    recent = Recent()
    if is_told_again:
        await recent.note("told a fox", job, for_s=REPEATED_S)
    assert await repeats_failure(client_with(recent), "a fox", job) == is_repeat
    assert recent.noted == ["told a fox"] * (is_told_again + is_repeat)


async def test_a_job_that_goes_on_has_not_failed() -> None:
    job = a_job(state=JobState.RUNNING, ended_at=None)
    assert not await repeats_failure(client_with(Recent()), "a fox", job)
