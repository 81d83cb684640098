"""Downloading what a provider's answer points to, without being led anywhere else.

The name is resolved once, every address it has is judged, and the connection goes to a judged
address with the name kept for Host and TLS. No credentials, no cookies, no proxy from the
environment. Links are https; plain http only to the very host of a loopback apiBase.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from contract.errors import Interrupted, ProviderError, Transient, Unusable
from contract.images import MAX_BYTES

MAX_HOPS = 5
_PORTS = frozenset({80, 443, 8443})
_TIMEOUT = httpx.Timeout(30, connect=5)
# Addresses that carry another address inside, which `is_global` does not look at.
_TUNNELS = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))


async def read_capped(response: httpx.Response, most: int) -> bytes:
    """Read a body up to `most` bytes; an encoding we did not ask for is refused undecoded."""
    if response.headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise Interrupted("answer_too_large", http_status=response.status_code)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            raise Interrupted("answer_too_large", http_status=response.status_code)
    return bytes(body)


class Fetcher:
    """Fetches result links of one provider."""

    def __init__(self, *, ssl_context: ssl.SSLContext, api_base: str, proxy: str | None) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        base = urlsplit(api_base)
        self._own = base.netloc if base.scheme == "http" and is_loopback(base.hostname or "") else None

    async def fetch(self, url: str) -> bytes:
        """Download a picture. Raises ProviderError: unsafe, expired, too large, not reached."""
        try:
            return await self._fetch(url)
        except httpx.HTTPError as error:
            raise Transient("provider_unreachable") from error

    async def _fetch(self, url: str) -> bytes:
        async with httpx.AsyncClient(
            verify=self._ssl_context,
            trust_env=False,
            timeout=_TIMEOUT,
            proxy=self._proxy,
            headers={"Accept-Encoding": "identity", "User-Agent": "nanobot-darkroom"},
        ) as client:
            for _ in range(MAX_HOPS + 1):
                response = await client.send(await self.request(client, url), stream=True)
                try:
                    if not response.is_redirect:
                        return await self._read(response)
                    url = _target(url, response.headers.get("location", ""))
                finally:
                    await response.aclose()
        raise Unusable("unsafe_url")

    async def _read(self, response: httpx.Response) -> bytes:
        if response.status_code == 200:
            return await read_capped(response, MAX_BYTES)
        raise _not_there(response.status_code)

    async def request(self, client: httpx.AsyncClient, url: str) -> httpx.Request:
        """Build a GET to a judged address of a link's host. Raises ProviderError: unsafe, not found."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise Unusable("unsafe_url") from error
        if self._own is not None and parts.scheme == "http" and parts.netloc == self._own:
            return client.build_request("GET", url)
        fair = parts.scheme == "https" and host and "@" not in parts.netloc and parts.netloc.isascii()
        if not fair or len(url) > 4096 or not url.isprintable() or (443 if port is None else port) not in _PORTS:
            raise Unusable("unsafe_url")
        address = await public_address(host)
        if self._proxy:  # a configured proxy is the way out; it resolves for itself
            return client.build_request("GET", url)
        shown = f"[{address}]" if ":" in address else address
        pinned = urlunsplit(("https", shown if port is None else f"{shown}:{port}", parts.path or "/", parts.query, ""))
        return client.build_request("GET", pinned, headers={"Host": parts.netloc}, extensions={"sni_hostname": host})


def _target(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise Unusable("unsafe_url") from error


def _not_there(status: int) -> ProviderError:
    if status in (403, 404, 410):
        return Interrupted("result_expired", http_status=status)
    return Transient("provider_down", http_status=status)


async def public_address(host: str) -> str:
    """Resolve a name once; answer an address if all it has are public. Raises Unusable (`unsafe_url`)."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Transient("provider_unreachable") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise Unusable("unsafe_url")
    return addresses[0]


def is_public(address: str) -> bool:
    """Judge one numeric address: reachable on the Internet, and not a way to one that is not."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or any(ip in net for net in _TUNNELS)):
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_loopback(host: str) -> bool:
    """Tell whether a host name stands for this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
