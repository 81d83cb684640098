"""How a client learns of a failure after the seconds for which an answer may keep its status open.

Then the answer begins with 200, and most clients overlook an error that follows. So a client that follows redirects is
sent on from one address to the next, each of which has its status open again. OpenAI's Python client repeats a request
whose connection breaks, so the connection is broken, and the repeat is answered with the real status. Any other client
reads the error in the body.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request

from contract.errors.exceptions import Unavailable
from contract.jobs.job import Job, JobState
from contract.store.keys import digest
from producer.api.openai.request import OpenAIRequest
from producer.client.owner_client import OwnerClient

REPEATED_S = 10.0  # after a failure, or the last time it was told, clients repeat a request and do not say so
REPEATED_AT_MOST_S = 60.0  # after the failure
OWED_S = 60.0  # for which a failure that was not told is kept for the next equal request
REPEATS = "x-stainless-retry-count"  # how often one of OpenAI's clients has asked before
FETCH_HOPS = 18  # of the 20 redirects that fetch follows
HOPS = {  # by user agent
    "aiohttp/": 9,
    "ai-sdk/": FETCH_HOPS,
    "axios/": 18,
    "litellm/": 18,  # its edits, which do not use OpenAI's SDK
    "node-fetch": 18,
    "python-requests/": 18,
}

_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}


def hops_for(headers: Mapping[str, str]) -> int:
    """Tell how many redirects a client surely follows."""
    if headers.get("x-stainless-lang") == "js" or headers.get("sec-fetch-mode") == "cors":  # they use fetch
        return FETCH_HOPS
    if counts_repeats(headers):
        return 0  # its HTTP client may have been replaced by one that follows none
    agent = headers.get("user-agent", "").lower()
    return next((hops for product, hops in HOPS.items() if product in agent), 0)


def counts_repeats(headers: Mapping[str, str]) -> bool:
    """Tell whether a client repeats requests by itself, and says so."""
    return REPEATS in headers


def is_repeat(headers: Mapping[str, str]) -> bool:
    """Tell whether a client repeats a request by itself."""
    return headers.get(REPEATS, "0") not in ("", "0")


def has_failed(job: Job, *, within_s: float) -> bool:
    """Tell whether a job failed a moment ago."""
    return (
        job.state in (JobState.FAILED, JobState.EXPIRED)
        and job.ended_at is not None
        and (datetime.now(UTC) - job.ended_at).total_seconds() < within_s
    )


async def repeats_failure(client: OwnerClient, request: str, job: Job) -> bool:
    """Tell whether an equal request, so soon after its job failed, is a client's own repeat: it would be paid again."""
    told = f"told {request}"
    if not has_failed(job, within_s=REPEATED_S) and not (
        has_failed(job, within_s=REPEATED_AT_MOST_S) and await client.recent.find(told)
    ):
        return False
    with suppress(Unavailable):
        await client.recent.note(told, job, for_s=REPEATED_S)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFailure:
    """What a failure of one request needs to be told late."""

    may_break: bool = False  # others than OpenAI's clients would repeat it as a new request, and it would be paid twice
    request: str = ""  # by which an equal one is known
    next_address: str = ""  # where to go on waiting
    is_hop: bool = False  # the client was sent here

    def open_s(self, grace_s: float) -> float:
        """Tell for how long the status stays open; a hop has twice the time, as there may be few of them."""
        return 2 * grace_s if self.is_hop else grace_s

    async def owe(self, client: OwnerClient, job: Job) -> bool:
        """Keep a failure for the next equal request; tell whether the connection is to be broken."""
        if not self.may_break:
            return False
        with suppress(Unavailable):  # else a repeat would be a second job
            await client.recent.note(owed(self.request), job, for_s=OWED_S)
            return True
        return False


def owed(request: str) -> str:
    """Name the failure of a request that was not told."""
    return "owed " + request


def known_as(order: OpenAIRequest, path: str) -> str:
    """Name a request so that an equal one of its owner has the same name."""
    return digest(json.dumps([order.fields, path], sort_keys=True))


def late_failure_of(request: Request, order: OpenAIRequest, job: Job, *, what: str) -> LateFailure:
    """Tell how a failure of a request can be told late; `what` is by which an equal one is known."""
    is_hop = request.method == "GET"
    hop = _hop(request) if is_hop else 0
    return LateFailure(
        may_break=counts_repeats(request.headers),
        request=what,
        next_address=_address(request, order, job, hop + 1, what) if hop < hops_for(request.headers) else "",
        is_hop=is_hop,
    )


def _hop(request: Request) -> int:
    """Tell how often a client was sent on before."""
    hop = request.query_params.get("hop", "0")
    return int(hop) if hop.isdecimal() and len(hop) < 3 else FETCH_HOPS


def _address(request: Request, order: OpenAIRequest, job: Job, hop: int, what: str) -> str:
    """Write the address of the next hop, relative to the one that was asked, as a proxy may have shortened that."""
    form = {
        "hop": hop,
        "request": what,
        "response_format": "url" if order.as_url else "b64_json",
        "output_format": _FORMATS[order.mime] if order.mime else None,
        "output_compression": order.compression,
        "model": "gpt-image" if order.is_default_model else None,
        "user": order.user,
    }
    query = urlencode({name: value for name, value in form.items() if value is not None})
    asked = getattr(request.state, "asked_path", request.url.path).rpartition("/")[2]
    folder = f"{asked}/" if asked and request.method != "GET" else ""
    return f"{folder}{job.id}?{query}"
