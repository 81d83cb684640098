"""The I/O of a provider call: post, read within caps, poll, fetch what links point to.

One `Conversation` per job: one httpx client for 600 calls costs 16 ms of CPU per call, one per job 2.
Redirects are never followed here, as they would carry the key elsewhere.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import re
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import httpx
import orjson
import pybase64

from contract.config import ProviderConfig
from contract.errors import Interrupted, ProviderError, Unusable
from worker.classify import of_exception, of_silence, of_status
from worker.fetch import Fetcher, read_capped
from worker.providers.provider import Answer, Ask, Json, Provider, headers
from worker.retry import fetching

MAX_JSON_BYTES = 96 * 2**20
_BEFORE_JSON = re.compile(rb"(?:\s+|:[^\n]*\n)*")  # keep-alive blanks and comments
_TIMEOUT = httpx.Timeout(None, connect=5, write=30, pool=5)  # the wall clock of the attempt bounds the rest


@dataclass(frozen=True, slots=True)
class Made:
    """What one call brought: the pictures' bytes, not yet looked at, and its cost if the provider says it."""

    pictures: tuple[bytes, ...] = field(repr=False)
    cost_usd: float | None


class Conversation:
    """One job's calls to one provider."""

    def __init__(self, provider: Provider, config: ProviderConfig, *, ssl_context: ssl.SSLContext) -> None:
        self._provider = provider
        self._config = config
        self._api_base = (config.api_base or provider.api_base).rstrip("/")
        proxy = config.proxy.get_secret_value() if config.proxy else None
        self._client = httpx.AsyncClient(
            verify=ssl_context,
            timeout=_TIMEOUT,
            trust_env=False,
            proxy=proxy,
            headers={"Accept-Encoding": "identity", "User-Agent": "nanobot-darkroom"},
        )
        self._fetcher = Fetcher(ssl_context=ssl_context, api_base=self._api_base, proxy=proxy)

    async def __aenter__(self) -> Conversation:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def make(self, ask: Ask, *, timeout_s: float, request_id: str) -> Made:
        """Ask for one image and bring its bytes home within `timeout_s` of wall clock.

        Raises the ProviderError that says what to do next; nothing else but cancellation comes out.
        """
        key = self._config.api_key.get_secret_value() if self._config.api_key else ""
        names: dict[str, Any] = {"provider": self._provider.name, "model": ask.model, "seconds": round(timeout_s, 1)}
        answer: Answer | None = None
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._post(ask, request_id)
                # One image was asked for: a second one is not worth its download.
                return Made((await self._bring(answer),), answer.cost_usd)
        except (ProviderError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # OSError: TimeoutError too
            failure = of_exception(error)
            if answer is None:
                raise failure.named(secrets=(key,), **names) from error
            raise failure.after_acceptance().named(secrets=(key,), cost_usd=answer.cost_usd, **names) from error

    async def _bring(self, answer: Answer) -> bytes:
        """Get the bytes of an answer's first picture, wherever it is by now."""
        if answer.poll_url:
            answer = await self._poll(answer.poll_url)
        if not answer.pictures:
            raise of_silence("")
        picture = answer.pictures[0]
        if picture.lstrip()[:8].lower().startswith(("http://", "https://")):
            data: bytes = await fetching()(self._fetcher.fetch, picture.strip())
            return data
        return await asyncio.to_thread(decode_picture, picture)

    async def _post(self, ask: Ask, request_id: str) -> Answer:
        call = self._provider.build_request(ask, self._config, self._api_base)
        content = await asyncio.to_thread(orjson.dumps, call.body)
        sent = {**call.headers, "X-Request-Id": request_id}
        request = self._client.build_request("POST", call.url, headers=sent, content=content)
        return self._provider.parse_response(await self._send(request))

    async def _poll(self, poll_url: str) -> Answer:
        """Ask again until there is a picture; the attempt's wall clock ends it otherwise."""
        try:
            url = urljoin(self._api_base + "/", poll_url)
            is_own = urlsplit(url)[:2] == urlsplit(self._api_base)[:2]  # scheme and host: the key stays there
        except ValueError as error:
            raise Unusable("unsafe_url") from error
        while True:
            await asyncio.sleep(self._provider.poll_interval_s)
            answer: Answer = await fetching()(self._look, url, is_own)
            if answer.pictures:
                return answer

    async def _look(self, url: str, is_own: bool) -> Answer:
        if is_own:
            request = self._client.build_request("GET", url, headers=headers(self._config))
        else:
            request = await self._fetcher.request(self._client, url)
        try:
            return self._provider.parse_response(await self._send(request))
        except httpx.HTTPError as error:
            raise of_exception(error) from error

    async def _send(self, request: httpx.Request) -> Json:
        response = await self._client.send(request, stream=True)
        try:
            raw = await read_capped(response, MAX_JSON_BYTES)
        finally:
            await response.aclose()
        if not response.is_success:
            raise of_status(response.status_code, response.headers, _json_or_nothing(raw))
        try:
            return orjson.loads(_BEFORE_JSON.sub(b"", raw, count=1))
        except (orjson.JSONDecodeError, RecursionError) as error:
            raise Interrupted("provider_bad_answer", http_status=200) from error


def decode_picture(text: str) -> bytes:
    """Decode base64 or a data URL, forgiving white space, missing padding and the URL-safe alphabet.

    Raises Interrupted (`bad_image`) for anything else.
    """
    text = text.lstrip()
    if text[:5].lower() == "data:":
        _, _, text = text.partition(",")
    if "%" in text:
        text = unquote_to_bytes(text).decode("latin-1")
    compact = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        data = pybase64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Interrupted("bad_image", http_status=200) from error
    if not data:
        raise Interrupted("bad_image", http_status=200)
    return data


def _json_or_nothing(raw: bytes) -> Json:
    try:
        return json.loads(raw) if len(raw) < 2**20 else None
    except (ValueError, RecursionError):
        return None
