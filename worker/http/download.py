"""Downloading what a provider's answer points to, without being led anywhere else.

Every hop is judged, and the connection goes to a judged address with the name kept for Host and TLS. No
credentials, no cookies, no proxy from the environment. Links are https; plain http only to the very host
of a loopback apiBase. Each refusal is a security event in the log, by host only: a signed link is a secret.
"""

from __future__ import annotations

import codecs
import logging
import re
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx

from contract.errors.catalogue.provider import (
    PROVIDER_BAD_ANSWER,
    PROVIDER_TLS_FAILED,
    PROVIDER_UNREACHABLE,
    UNSAFE_URL,
)
from contract.untrusted.imaging.limits import MAX_BYTES
from contract.untrusted.ssrf import Unresolvable, UnsafeUrl, address_of, follow, host_of, is_loopback, split
from worker.answers.error_classification import of_download
from worker.answers.errors import Interrupted, ProviderError, Transient, Unusable
from worker.answers.exception_classification import of_exception
from worker.answers.redaction import clean
from worker.http.pinned_client import NOT_A_URL, open_client, pinned
from worker.http.response_body import read_body
from worker.memory.body_room import BodyRoom

MAX_HOPS = 5
_PAGE = re.compile(
    rb"\s*(?:$|[{\[]|<!doctype html|<(?:html|head|body|script|error|title)\b|<\?xml(?!.*<svg))", re.I | re.S
)
_PAGE_BYTES = 1024

logger = logging.getLogger(__name__)


class Downloader:
    """Fetches result links of one provider."""

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext,
        api_base: str,
        proxy: str | None,
        connect_s: float = 5,
        idle_s: float = 30,
        job_id: str | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._connect_s = connect_s
        self._idle_s = idle_s
        self._job_id = job_id
        self._secrets = secrets
        base = urlsplit(api_base)
        self._own = base.netloc if base.scheme == "http" and is_loopback(base.hostname or "") else None

    async def fetch(self, url: str, *, room: BodyRoom | None = None) -> bytearray:
        """Download a picture, once there is `room` for it.

        Raises ProviderError: unsafe, expired, too large, too slow, not reached.
        """
        try:
            return await self._fetch(url, room)
        except NOT_A_URL as error:  # httpx reads Location, too, although it is not to follow it
            raise self._refusal(url, "it is redirected to what is not a URL") from error
        except (httpx.HTTPError, OSError) as error:  # OSError: TimeoutError too
            raise self.failed(of_exception(error), url).elsewhere() from error
        except ProviderError as error:
            raise error.elsewhere() from error

    def failed(self, error: ProviderError, url: str) -> ProviderError:
        """Tell what it means that a link cannot be followed: a host without a good certificate is no safe one."""
        if error.code == PROVIDER_TLS_FAILED.code:
            return self._refusal(url, "its certificate is not good")
        return error

    async def request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """Build a GET to a judged address of a link's host. Raises ProviderError: unsafe, not found."""
        try:
            return await self._request(client, url)
        except UnsafeUrl as reason:
            raise self._refusal(url, reason) from reason
        except Unresolvable as error:
            raise Transient(PROVIDER_UNREACHABLE) from error
        except NOT_A_URL as error:
            raise self._refusal(url, "it is not a URL") from error

    async def _request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        parts = split(url)
        if parts.scheme == "http" and parts.netloc == self._own:
            return client.build_request("GET", url)
        address = await address_of(parts, within_s=self._connect_s)
        if self._proxy:  # a configured proxy is the way out; it resolves for itself
            return client.build_request("GET", url)
        return pinned(client, "GET", parts, address)

    async def _fetch(self, url: str, room: BodyRoom | None) -> bytearray:
        seen: set[str] = set()
        async with open_client(
            self._ssl_context, connect_s=self._connect_s, idle_s=self._idle_s, proxy=self._proxy
        ) as client:
            while url not in seen and len(seen) <= MAX_HOPS:
                seen.add(url)
                response = await client.send(await self.request(client, url), stream=True)
                try:
                    if not response.is_redirect:
                        return await self._read(response, room)
                    url = self._target(url, response)
                finally:
                    await response.aclose()
        raise self._refusal(url, "it is redirected in a circle, or too often")

    async def _read(self, response: httpx.Response, room: BodyRoom | None) -> bytearray:
        if response.status_code != 200:
            raise of_download(response.status_code, response.headers)
        try:
            data = await read_body(response, MAX_BYTES, idle_s=self._idle_s, room=room)
        except (httpx.HTTPError, OSError) as error:
            raise of_exception(error, has_answered=True) from error
        if is_page(data):
            raise Interrupted(PROVIDER_BAD_ANSWER, http_status=200)
        return data

    def _target(self, url: str, response: httpx.Response) -> str:
        try:
            return follow(url, response.headers.get("location", ""))
        except UnsafeUrl as reason:
            raise self._refusal(url, reason) from reason

    def _refusal(self, url: str, reason: UnsafeUrl | str) -> ProviderError:
        host = clean(host_of(url), secrets=self._secrets)
        logger.warning("security: a link to %s is not opened: %s", host, reason, extra={"job_id": self._job_id})
        return Unusable(UNSAFE_URL)


def is_page(data: bytes | bytearray) -> bool:
    """Tell nothing, a web page or the words of a file host from a file: they stand where a picture will be, or was."""
    return bool(_PAGE.match(bytes(data[:_PAGE_BYTES]).removeprefix(codecs.BOM_UTF8)))
