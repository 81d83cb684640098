"""The I/O of a provider call: post, poll, fetch what a link points to; reading is the sandbox's work.

One `Conversation` per job: one httpx client for 600 calls costs 16 ms of CPU per call, one per job 2.
Redirects are never followed here, as they would carry the key elsewhere, and no connection is used
twice, so none can turn out to be stale when a call that costs money is written to it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import orjson
from tenacity import AsyncRetrying

from contract.config import ProviderConfig
from contract.errors import ProviderError, TimedOut, Unusable, WrongOutput
from worker.body import read_body
from worker.classify import of_exception, of_poll, of_silence, of_status
from worker.fetch import Fetcher
from worker.pin import no_cookies
from worker.providers.provider import Ask, Json, Provider, headers
from worker.retry import fetching
from worker.routing import Outputs
from worker.sandbox import Picture, Reading, Sandbox

OfFailure = Callable[[int, Mapping[str, str], Json], ProviderError]

MAX_JSON_BYTES = 96 * 2**20
MAX_ERROR_BYTES = 2**16
DOWNLOADS = 3
LOOKS = 1000  # at one poll that fails; the time of the call ends them before


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What the calls of a worker are made with; times in seconds."""

    ssl_context: ssl.SSLContext
    sandbox: Sandbox
    connect_s: float
    idle_s: float
    retry_s: float
    outputs: Outputs = field(default_factory=Outputs)


@dataclass(frozen=True, slots=True)
class Clock:
    """When a call has to end, by the event loop's time: before its answer begins to come, and in any case."""

    begin_by: float
    end_by: float


class Ear:
    """Hears whether a server has said anything: httpcore does not tell half an answer from none."""

    has_heard = False

    async def listen(self, event: str, info: Mapping[str, Any]) -> None:
        """Follow httpcore's trace of a request, and what is read from the streams that it opens."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream: Any = info["return_value"]
            read = stream.read

            async def heard(*args: Any, **options: Any) -> bytes:
                data: bytes = await read(*args, **options)
                self.has_heard = self.has_heard or bool(data)
                return data

            stream.read = heard


@dataclass(frozen=True, slots=True)
class Made:
    """What one call brought: its cost if the provider says it, and the other pictures of the answer."""

    picture: Picture
    cost_usd: float | None
    more: tuple[Picture, ...] = ()  # good ones, as far as the job misses images
    unused: int = 0


class Conversation:
    """One job's calls to one provider."""

    def __init__(self, provider: Provider, config: ProviderConfig, wire: Wire, *, job_id: str = "") -> None:
        self._provider = provider
        self._config = config
        self._wire = wire
        self._api_base = (config.api_base or provider.api_base).rstrip("/")
        proxy = config.proxy.get_secret_value() if config.proxy else None
        self._client = httpx.AsyncClient(
            verify=wire.ssl_context,
            timeout=httpx.Timeout(None, connect=wire.connect_s, write=wire.idle_s),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            proxy=proxy,
            cookies=no_cookies(),
            headers={"Accept-Encoding": "identity", "User-Agent": "nanobot-darkroom"},
        )
        self._fetcher = Fetcher(
            ssl_context=wire.ssl_context,
            api_base=self._api_base,
            proxy=proxy,
            connect_s=wire.connect_s,
            idle_s=wire.idle_s,
            job_id=job_id,
            secrets=(config.key, *config.secrets),
        )

    async def __aenter__(self) -> Conversation:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def make(self, ask: Ask, *, begin_s: float, whole_s: float, request_id: str) -> Made:
        """Ask for one image; it has to begin to come within `begin_s`, and to be here within `whole_s`.

        Raises the ProviderError that says what to do next; nothing else but cancellation comes out.
        """
        started = _now()
        clock = Clock(started + begin_s, started + whole_s)
        answer: Reading | None = None
        try:
            answer = await self._post(ask, request_id, clock)
            return await self._bring(answer, clock, most=ask.most)
        except ProviderError as error:
            failure = error.after_acceptance() if answer else error
            raise failure.named(
                secrets=(self._config.key, ask.prompt, *self._config.secrets),
                cost_usd=answer.cost_usd if answer else None,
                provider=self._provider.name,
                model=ask.model,
                seconds=round(seconds, 1) if (seconds := _now() - started) >= 1 else None,
            ) from error

    async def _bring(self, answer: Reading, clock: Clock, *, most: int) -> Made:
        """Get an answer's pictures, wherever they are by now."""
        cost_usd = answer.cost_usd
        if answer.poll_url:
            answer = await self._poll(answer.poll_url, clock, most=most)
            cost_usd = answer.cost_usd if cost_usd is None else cost_usd
        pictures = [answer.picture, *answer.more] if answer.picture else []
        unused = answer.extras
        if answer.link:
            links = [answer.link, *answer.links]
            pictures = await self._follow(links, clock, most=most)
            unused = answer.extras + 1 - len(pictures)
        if not pictures:
            raise of_silence("")
        told = (f"{unused} more in the same answer were not used.",) if unused else ()
        first = replace(pictures[0], warnings=(*pictures[0].warnings, *told))
        return Made(first, cost_usd, more=tuple(pictures[1:]), unused=unused)

    async def _follow(self, links: list[str], clock: Clock, *, most: int) -> list[Picture]:
        """Download until there are enough good pictures; raise the first error where none is good."""
        good: dict[str, Picture] = {}
        failure: ProviderError | None = None
        for link in links:
            try:
                found = await self._wire.sandbox.read(await self._fetch(link, clock))
            except ProviderError as error:
                failure = failure or error
                continue
            if found.picture:
                good.setdefault(found.picture.sha256, found.picture)
            if len(good) == most:
                break
        if failure and not good:
            raise failure
        return list(good.values())

    async def _post(self, ask: Ask, request_id: str, clock: Clock) -> Reading:
        """Ask in the modalities that the model gives; and where a 404 tells of others once more, for nothing."""
        usually = ask.model.startswith(self._provider.image_only) if self._provider.image_only else False
        known = self._wire.outputs.is_image_only(self._api_base, ask.model, usually=usually)
        ask = replace(ask, image_only=known)
        try:
            return await self._send(ask, request_id, clock)
        except WrongOutput:
            other = replace(ask, image_only=not known)
            build = self._provider.build_request
            if build(ask, self._config, "").body == build(other, self._config, "").body:
                raise
            reading = await self._send(other, request_id, clock)
            self._wire.outputs.note(self._api_base, ask.model, image_only=not known)
            return reading

    async def _send(self, ask: Ask, request_id: str, clock: Clock) -> Reading:
        call = self._provider.build_request(ask, self._config, self._api_base)
        sent = {**call.headers, "X-Request-Id": request_id}
        try:
            content = await asyncio.to_thread(orjson.dumps, call.body)
            request = self._client.build_request("POST", call.url, headers=sent, content=content)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise of_exception(error) from error
        except TypeError as error:  # of orjson
            raise Unusable("bad_parameters", reason="extraBody cannot be written as JSON") from error
        return await self._read(await self._receive(request, clock), ask.most)

    async def _poll(self, poll_url: str, clock: Clock, *, most: int) -> Reading:
        """Ask again until there is a picture."""
        try:
            url = urljoin(self._api_base + "/", poll_url)
            is_own = urlsplit(url)[:2] == urlsplit(self._api_base)[:2]  # scheme and host: the key stays there
        except ValueError as error:
            raise Unusable("unsafe_url") from error
        while _now() + self._provider.poll_interval_s < clock.begin_by:
            await asyncio.sleep(self._provider.poll_interval_s)
            body: bytearray = await self._patiently(clock.begin_by, tries=LOOKS)(self._look, url, is_own, clock)
            answer = await self._read(body, most)
            if answer.picture or answer.link:
                return answer
        raise TimedOut("provider_timeout")

    async def _look(self, url: str, is_own: bool, clock: Clock) -> bytearray:
        clock = Clock(min(clock.begin_by, _now() + self._wire.idle_s), clock.end_by)
        try:
            if is_own:
                request = self._client.build_request("GET", url, headers=headers(self._config))
                return await self._receive(request, clock, of_poll)
            request = await self._fetcher.request(self._client, url)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise Unusable("unsafe_url") from error
        try:
            return await self._receive(request, clock, of_poll)
        except ProviderError as error:
            raise self._fetcher.failed(error, url).elsewhere() from error

    async def _fetch(self, url: str, clock: Clock) -> bytearray:
        try:
            async with asyncio.timeout_at(clock.end_by):
                data: bytearray = await self._patiently(clock.end_by, tries=DOWNLOADS)(self._fetcher.fetch, url)
                return data
        except TimeoutError as error:
            raise of_exception(error) from error

    def _patiently(self, until: float, *, tries: int) -> AsyncRetrying:
        return fetching(self._wire.retry_s, left_s=until - _now(), tries=tries)

    async def _read(self, body: bytearray, most: int) -> Reading:
        return await self._wire.sandbox.read(body, provider=self._provider.name, most=most)

    async def _receive(self, request: httpx.Request, clock: Clock, of_failure: OfFailure = of_status) -> bytearray:
        """Send a request and read its answer's body. Raises ProviderError."""
        sent_at, response, ear = _now(), None, Ear()
        request.extensions["trace"] = ear.listen
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
                        idle_s=self._wire.idle_s,
                        begun=lambda: limit.reschedule(clock.end_by),
                    )
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:  # OSError: TimeoutError too
            raise of_exception(
                error, has_answered=response is not None, has_said=ear.has_heard, after_s=_now() - sent_at
            ) from error

    async def _failure(self, response: httpx.Response, of_failure: OfFailure) -> ProviderError:
        """Tell what a status other than 2xx means; its body helps, but is not needed."""
        body = bytearray()
        with suppress(ProviderError, httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(self._wire.idle_s):
                body = await read_body(response, MAX_ERROR_BYTES, idle_s=self._wire.idle_s)
        return of_failure(response.status_code, response.headers, _json_or_nothing(body))


def _json_or_nothing(body: bytearray) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _now() -> float:
    return asyncio.get_running_loop().time()
