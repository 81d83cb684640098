"""Requests to foreign hosts: pinned to a judged address, the host's name kept for Host and TLS.

No credentials, no cookies, no redirects, no proxy from the environment, and no connection used twice.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import SplitResult, urlunsplit

import httpx

from contract.untrusted.ssrf import bracketed

NOT_A_URL = (httpx.InvalidURL, UnicodeError)  # what httpx raises for it; UnicodeError: a name that IDNA forbids


def open_client(
    ssl_context: ssl.SSLContext, *, connect_s: float, idle_s: float, proxy: str | None = None
) -> httpx.AsyncClient:
    """Open a client that brings nothing along and takes nothing home."""
    return httpx.AsyncClient(
        verify=ssl_context,
        trust_env=False,
        timeout=httpx.Timeout(idle_s, connect=connect_s),
        # A connection is known by its address: kept alive, it would serve a name its certificate is not for.
        limits=httpx.Limits(max_keepalive_connections=0),
        proxy=proxy,
        cookies=no_cookies(),
        headers={"Accept-Encoding": "identity", "User-Agent": "nanobot-darkroom"},
    )


def pinned(
    client: httpx.AsyncClient,
    method: str,
    parts: SplitResult,
    address: str,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Request:
    """Build a request that goes to this address, whatever the name of its host leads to by then."""
    place = bracketed(address) if parts.port is None else f"{bracketed(address)}:{parts.port}"
    return client.build_request(
        method,
        urlunsplit((parts.scheme, place, parts.path or "/", parts.query, "")),
        headers={"Host": parts.netloc, **(headers or {})},
        content=content,
        extensions={"sni_hostname": parts.hostname},
    )


def no_cookies() -> CookieJar:
    """Make a cookie jar that accepts no cookies."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))
