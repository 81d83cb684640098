"""The I/O of a provider call; `pending_result.py` fetches what an answer only promises, and the sandbox reads it.

One `ProviderClient` per job: one httpx client for 600 calls costs 16 ms of CPU per call, one per job 2.
Redirects are never followed here, as they would carry the key elsewhere, and no connection is used
twice, so none can turn out to be stale when a call that costs money is written to it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

import httpx
import orjson

from contract.errors.catalogue.provider import BAD_PARAMETERS, PROVIDER_ERROR
from contract.settings.nanobot_config import ProviderConfig
from worker.answers.error_classification import of_status
from worker.answers.errors import ProviderError, RateLimited, TimedOut, Transient, Unusable, WrongOutput
from worker.answers.exception_classification import of_exception
from worker.answers.untrusted_json import Json
from worker.answers.upstream_routing import Outputs
from worker.http.download import Downloader
from worker.http.first_byte import FirstByteDetector
from worker.http.pending_result import CallProgress, Clock, GeneratedImage, OfFailure, Results
from worker.http.pinned_client import no_cookies
from worker.http.response_body import read_body
from worker.memory.body_room import BodyRoom, paused
from worker.memory.budget import LARGEST, Budget, Share
from worker.providers.provider import ImageCall, Provider
from worker.sandbox.pool import Reading, Sandbox

MAX_JSON_BYTES = LARGEST
MAX_ERROR_BYTES = 2**16
MAX_LINK = 8192  # characters of an address in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResources:
    """What the calls of a worker are made with; times in seconds."""

    ssl_context: ssl.SSLContext
    sandbox: Sandbox
    budget: Budget
    connect_s: float
    idle_s: float
    retry_s: float
    outputs: Outputs = field(default_factory=Outputs)


class PollInstead(Exception):
    """An answer is an error, and tells where to ask for what is made all the same."""

    def __init__(self, poll_url: str) -> None:
        self.poll_url = poll_url
        super().__init__()


class ProviderClient:
    """One job's calls to one provider."""

    def __init__(self, provider: Provider, config: ProviderConfig, http: HttpResources, *, job_id: str = "") -> None:
        self._provider = provider
        self._config = config
        self._http = http
        self._api_base = (config.api_base or provider.api_base).rstrip("/")
        proxy = config.proxy.get_secret_value() if config.proxy else None
        self._client = httpx.AsyncClient(
            verify=http.ssl_context,
            timeout=httpx.Timeout(None, connect=http.connect_s, write=http.idle_s),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            proxy=proxy,
            cookies=no_cookies(),
            headers={"Accept-Encoding": "identity", "User-Agent": "nanobot-darkroom"},
        )
        downloader = Downloader(
            ssl_context=http.ssl_context,
            api_base=self._api_base,
            proxy=proxy,
            connect_s=http.connect_s,
            idle_s=http.idle_s,
            job_id=job_id,
            secrets=(config.key, *config.secrets),
        )
        self._results = Results(
            provider,
            config,
            api_base=self._api_base,
            client=self._client,
            receive=self._receive,
            downloader=downloader,
            sandbox=http.sandbox,
            idle_s=http.idle_s,
            retry_s=http.retry_s,
            job_id=job_id,
        )

    async def __aenter__(self) -> ProviderClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def make(
        self,
        ask: ImageCall,
        *,
        share: Share,
        begin_s: float,
        whole_s: float,
        request_id: str,
        fetch_s: float | None = None,
        progress: CallProgress | None = None,
    ) -> GeneratedImage:
        """Ask for one image; it has to begin to come within `begin_s`, and to be here within `whole_s`.

        What the answer only promises is fetched for `fetch_s`, as to make it again would be paid again; `progress`
        tells meanwhile what is known of the answer. Raises
        the ProviderError that says what to do next; nothing else but cancellation comes out. The `share` holds
        what comes, in the end the pictures; while it waits for room the time stands still, but for that of `fetch_s`.
        """
        started = _now()
        fetch_by = started + (whole_s if fetch_s is None else fetch_s)
        clock = Clock(started + begin_s, started + whole_s, fetch_by, share, progress or CallProgress())
        answer: Reading | None = None
        try:
            answer = await self._post(ask, request_id, clock)
            clock.progress.is_coming, clock.progress.cost_usd = False, answer.cost_usd
            return await self._results.bring(answer, clock, most=ask.most)
        except ProviderError as error:
            failure = error.after_acceptance() if answer or self._is_billed(error) else error
            raise failure.named(
                secrets=(self._config.key, ask.prompt, *self._config.secrets),
                cost_usd=answer.cost_usd if answer else None,
                provider=self._provider.name,
                model=ask.model,
                seconds=round(seconds, 1) if (seconds := _now() - started) >= 1 else None,
            ) from error

    async def _post(self, ask: ImageCall, request_id: str, clock: Clock) -> Reading:
        """Ask in the modalities that the model gives; and where a 404 tells of others once more, for nothing."""
        usually = ask.model.startswith(self._provider.image_only) if self._provider.image_only else False
        known = self._http.outputs.is_image_only(self._api_base, ask.model, usually=usually)
        ask = replace(ask, image_only=known)
        try:
            return await self._send(ask, request_id, clock)
        except WrongOutput:
            other = replace(ask, image_only=not known)
            build = self._provider.build_request
            if build(ask, self._config, "").body == build(other, self._config, "").body:
                raise
            reading = await self._send(other, request_id, clock)
            self._http.outputs.note(self._api_base, ask.model, image_only=not known)
            return reading

    async def _send(self, ask: ImageCall, request_id: str, clock: Clock) -> Reading:
        call = self._provider.build_request(ask, self._config, self._api_base)
        sent = {**call.headers, "X-Request-Id": request_id}
        try:
            content = await asyncio.to_thread(orjson.dumps, call.body)
            request = self._client.build_request("POST", call.url, headers=sent, content=content)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise of_exception(error) from error
        except TypeError as error:  # of orjson
            raise Unusable(BAD_PARAMETERS, reason="extraBody cannot be written as JSON") from error
        with BodyRoom(clock.share) as room:
            try:
                body = await self._receive(request, clock, self._of_call, room)
            except PollInstead as promise:
                return Reading(poll_url=promise.poll_url)
            reading = await self._http.sandbox.read(body, provider=self._provider.name, most=ask.most)
            room.keep(reading.size)
            return reading

    def _of_call(self, status: int, headers: Mapping[str, str], body: Json) -> Exception:
        """Classify an answer to a call whose status is not 2xx: what was asked for may be made all the same."""
        error = of_status(status, headers, body, of_metadata=self._provider.of_metadata)
        if isinstance(error, Transient | TimedOut | RateLimited):
            poll_url = self._provider.poll_url(body)
            if 0 < len(poll_url) <= MAX_LINK:
                return PollInstead(poll_url)
        return error

    def _is_billed(self, error: ProviderError) -> bool:
        """Tell whether a failure may cost as much as a picture, with whatever status it came."""
        if error.code == PROVIDER_ERROR.code and self._provider.bills_failures:
            return True
        return isinstance(error, Transient) and bool(error.cost_usd)

    async def _receive(self, request: httpx.Request, clock: Clock, of_failure: OfFailure, room: BodyRoom) -> bytearray:
        """Send a request and read its answer's body, once there is room for it. Raises ProviderError."""
        sent_at, response, first_byte = _now(), None, FirstByteDetector()

        def begun() -> None:
            limit.reschedule(clock.end_by)
            clock.progress.is_coming = True

        request.extensions["trace"] = first_byte.trace
        try:
            async with asyncio.timeout_at(clock.begin_by) as limit:
                response = await self._client.send(request, stream=True)
                try:
                    if not response.is_success:
                        limit.reschedule(None)  # it has answered; its words have little time of their own
                        raise await self._failure(response, of_failure)
                    return await read_body(
                        response,
                        MAX_JSON_BYTES,
                        idle_s=self._http.idle_s,
                        begun=begun,
                        room=room,
                        paused=partial(paused, limit, until=clock.fetch_by),
                    )
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:  # OSError: TimeoutError too
            raise of_exception(
                error, has_answered=response is not None, has_said=first_byte.has_come, after_s=_now() - sent_at
            ) from error

    async def _failure(self, response: httpx.Response, of_failure: OfFailure) -> Exception:
        """Tell what a status other than 2xx means; its body helps, but is not needed."""
        body = bytearray()
        with suppress(ProviderError, httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(self._http.idle_s):
                body = await read_body(response, MAX_ERROR_BYTES, idle_s=self._http.idle_s)
        return of_failure(response.status_code, response.headers, _json_or_nothing(body))


def _json_or_nothing(body: bytearray) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
