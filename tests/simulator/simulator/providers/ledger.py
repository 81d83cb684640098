"""Remembers every generation call, so that a test can say what was asked, sent, paid for and given up.

A record is frozen; each event replaces it. The key never gets here: only a fingerprint of it does.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from simulator.providers.order import Order
from simulator.server.connection import JsonObject, Request
from simulator.server.reply import Reply

MAX_RECORDS = 20_000


@dataclass(frozen=True, kw_only=True)
class Call:
    """Records one generation call; `seconds` is None while it is under way.

    `parallel` says how many calls were under way when this one began, itself included.
    """

    id: str
    provider: str
    path: str
    headers: dict[str, str]
    body: JsonObject | None
    body_sha256: str
    request_id: str
    started_at: float
    model: str = ""
    prompt: str = ""
    image_size: str | None = None
    aspect_ratio: str | None = None
    quality: str | None = None
    references: int = 0
    kind: str = ""
    seconds: float | None = None
    status: int | None = None
    bytes_sent: int = 0
    billed: bool = False
    aborted_by_client: bool = False
    aborted_after_s: float | None = None
    parallel: int = 1

    @property
    def job_id(self) -> str:
        """Return the job's part of a request id `<job id>.<image index>.<try>`."""
        return self.request_id.partition(".")[0]

    def to_json(self) -> JsonObject:
        """Return the record with the job id spelled out."""
        return {**asdict(self), "job_id": self.job_id}


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Records a poll, a download or a redirect followed, which is no generation call."""

    path: str
    headers: dict[str, str]
    started_at: float
    method: str = "GET"

    @property
    def authorized(self) -> bool:
        """Say whether the visitor showed a key or a cookie."""
        return not self.headers.keys().isdisjoint({"authorization", "cookie", "x-api-key"})


class Ledger:
    """Keeps the records in the order in which the calls came."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._visits: list[Visit] = []
        self._under_way: set[str] = set()
        self.connections = 0
        self.max_parallel = 0

    @property
    def calls(self) -> list[Call]:
        """Return the calls, oldest first."""
        return list(self._calls.values())

    @property
    def visits(self) -> list[Visit]:
        """Return the polls and downloads, oldest first."""
        return list(self._visits)

    def open(self, call_id: str, provider: str, request: Request) -> None:
        """Start the record of a call that has just been read."""
        if len(self._calls) >= MAX_RECORDS:
            del self._calls[next(iter(self._calls))]
        self._under_way.add(call_id)
        self.max_parallel = max(self.max_parallel, len(self._under_way))
        self._calls[call_id] = Call(
            id=call_id,
            provider=provider,
            path=request.path,
            headers=_without_key(request.headers),
            body=request.json(),
            body_sha256=hashlib.sha256(request.body).hexdigest(),
            request_id=request.headers.get("x-request-id", ""),
            started_at=time.time(),
            parallel=len(self._under_way),
        )

    def accept(self, order: Order, kind: str) -> None:
        """Note what the call asks for and which behaviour it gets."""
        if call := self._calls.get(order.id):
            self._calls[order.id] = replace(
                call,
                model=order.model,
                prompt=order.prompt,
                image_size=order.image_size,
                aspect_ratio=order.aspect_ratio,
                quality=order.quality,
                references=len(order.references),
                kind=kind,
            )

    def name(self, call_id: str, kind: str, model: str = "") -> None:
        """Note the behaviour of a call that is never read as an order."""
        if call := self._calls.get(call_id):
            self._calls[call_id] = replace(call, kind=kind, model=model)

    def bill(self, call_id: str) -> None:
        """Note that a picture was produced."""
        if call := self._calls.get(call_id):
            self._calls[call_id] = replace(call, billed=True)

    def abort(self, call_id: str) -> None:
        """Note that the client hung up before the answer was complete."""
        call = self._calls.get(call_id)
        if call and not call.aborted_by_client:
            seconds = time.time() - call.started_at
            self._calls[call_id] = replace(call, aborted_by_client=True, aborted_after_s=seconds)

    def finish(self, call_id: str, reply: Reply) -> None:
        """Note how the call ended."""
        self._under_way.discard(call_id)
        if call := self._calls.get(call_id):
            seconds = time.time() - call.started_at
            self._calls[call_id] = replace(call, seconds=seconds, status=reply.status, bytes_sent=reply.bytes_sent)

    def visit(self, request: Request) -> None:
        """Record what is no generation call."""
        del self._visits[: -MAX_RECORDS + 1]
        headers = _without_key(request.headers)
        visit = Visit(path=request.path, headers=headers, started_at=time.time(), method=request.method)
        self._visits.append(visit)

    def clear(self) -> None:
        """Forget everything but the calls under way."""
        self._calls.clear()
        self._visits.clear()
        self.connections = 0
        self.max_parallel = len(self._under_way)

    def to_json(self) -> JsonObject:
        """Return all records."""
        return {
            "calls": [call.to_json() for call in self._calls.values()],
            "visits": [{**asdict(visit), "authorized": visit.authorized} for visit in self._visits],
            "connections": self.connections,
            "max_parallel": self.max_parallel,
        }


def _without_key(headers: Mapping[str, str]) -> dict[str, str]:
    key = headers.get("authorization")
    if key is None:
        return dict(headers)
    return {**headers, "authorization": hashlib.sha256(key.encode()).hexdigest()[:12]}
