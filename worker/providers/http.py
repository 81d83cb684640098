"""The I/O of a provider call: post, read within caps, poll, fetch what links point to.

One `Conversation` per job: one httpx client for 600 calls costs 16 ms of CPU per call, one per job 2.
Redirects are never followed here, as they would carry the key elsewhere.
"""

from __future__ import annotations

import asyncio
import binascii
import json
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import httpx
import orjson
import pybase64

from contract.config import ProviderConfig
from contract.errors import Interrupted, ProviderError
from worker.classify import of_exception, of_status
from worker.fetch import Fetcher, read_capped
from worker.providers.provider import Answer, Ask, HttpCall, Json, Provider

MAX_JSON_BYTES = 96 * 2**20
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
        names = {"provider": self._provider.name, "model": ask.model, "seconds": round(timeout_s, 1)}
        try:
            async with asyncio.timeout(timeout_s):
                return await self._make(ask, request_id)
        except (ProviderError, httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # OSError: TimeoutError too
            raise of_exception(error).named(secrets=(key,), **names) from error

    async def _make(self, ask: Ask, request_id: str) -> Made:
        call = self._provider.build_request(ask, self._config, self._api_base)
        answer = await self._post(call, request_id)
        cost = answer.cost_usd
        if answer.poll_url:
            answer = await self._poll(answer.poll_url)
        pictures = [await self._bytes(picture) for picture in answer.pictures]
        return Made(tuple(pictures), cost)

    async def _post(self, call: HttpCall, request_id: str) -> Answer:
        content = await asyncio.to_thread(orjson.dumps, call.body)
        headers = {**call.headers, "X-Request-Id": request_id}
        request = self._client.build_request("POST", call.url, headers=headers, content=content)
        return self._provider.parse_response(await self._send(request))

    async def _poll(self, poll_url: str) -> Answer:
        """Ask again until there is a picture; the attempt's wall clock ends it otherwise."""
        url = urljoin(self._api_base + "/", poll_url)
        same_host = urlsplit(url).netloc == urlsplit(self._api_base).netloc
        key = self._config.api_key.get_secret_value() if self._config.api_key and same_host else ""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        while True:
            await asyncio.sleep(self._provider.poll_interval_s)
            answer = self._provider.parse_response(
                await self._send(self._client.build_request("GET", url, headers=headers))
            )
            if answer.pictures:
                return answer

    async def _send(self, request: httpx.Request) -> Json:
        response = await self._client.send(request, stream=True)
        try:
            raw = await read_capped(response, MAX_JSON_BYTES)
        finally:
            await response.aclose()
        if response.status_code != 200:
            raise of_status(response.status_code, response.headers, _json_or_nothing(raw))
        try:
            return orjson.loads(raw.lstrip())
        except (orjson.JSONDecodeError, RecursionError) as error:
            raise Interrupted("provider_bad_answer", http_status=200) from error

    async def _bytes(self, picture: str) -> bytes:
        if picture.lower().startswith(("http://", "https://")):
            return await self._fetcher.fetch(picture)
        return await asyncio.to_thread(decode_picture, picture)


def decode_picture(text: str) -> bytes:
    """Decode base64 or a data URL, forgiving white space, missing padding and the URL-safe alphabet.

    Raises Interrupted (`bad_image`) for anything else.
    """
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
