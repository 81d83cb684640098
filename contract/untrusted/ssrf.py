"""Judging links: how they are spelt, and where the addresses of their hosts lead.

Only https links to names and addresses of the Internet are opened, and links into networks that the operator
allows. A name is resolved once, and every address it has is judged, so nothing can be swapped between the
judgement and the connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_CHARS = 4096
# Threads of their own: a name server that is slow must not hold up those that write files.
_RESOLVERS = ThreadPoolExecutor(4, thread_name_prefix="darkroom-names")
_PORTS = frozenset({443, 8443})
# The last label begins with a letter: else it is a number to resolvers, as in 127.1, 0177.1 and 0x7f.0x1.
_NAME = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})")
_ONE_WORD = re.compile(r"[a-z](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# Spelt out, as what `is_private` and `is_global` mean depends on the version of Python.
_UNICAST = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15"),
        *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # in 2000::/3, but Teredo, 6to4 and the like
    )
)


class UnsafeUrl(Exception):
    """A link will not be opened; the message says why without showing it."""


class Unresolvable(Exception):
    """No address of a link's host was found in time; the message says why without showing the host."""


def split(url: str) -> SplitResult:
    """Take a link apart. Raises UnsafeUrl for what two readers could read differently."""
    if len(url) > MAX_CHARS:
        raise UnsafeUrl("it is too long")
    if "\\" in url or not url.isprintable() or url != url.strip():
        raise UnsafeUrl("it has backslashes, control characters or blanks around it")
    try:
        parts = urlsplit(url)
        written = f"{bracketed(parts.hostname or '')}:{parts.port}"
    except ValueError as error:
        raise UnsafeUrl("it is not a URL") from error
    if "@" in parts.netloc:
        raise UnsafeUrl("it has a user name")
    if parts.netloc.lower() not in (written, written.removesuffix(":None")):
        raise UnsafeUrl("its host is spelt oddly")
    return parts


def check_link(parts: SplitResult) -> str:
    """Judge how a link is spelt; answer its host. Raises UnsafeUrl."""
    host = parts.hostname or ""
    if parts.scheme != "https":
        raise UnsafeUrl("it is not https")
    if not (_is_numeric(host) or _NAME.fullmatch(host)):
        raise UnsafeUrl("its host is neither a public name nor a plain address")
    if parts.port not in _PORTS | {None}:
        raise UnsafeUrl("its port is neither 443 nor 8443")
    return host


def follow(url: str, location: str) -> str:
    """Tell where a redirect leads. Raises UnsafeUrl."""
    if not location:
        raise UnsafeUrl("it is redirected to nowhere")
    try:
        target = urljoin(url, location)
        is_downgrade = urlsplit(url).scheme == "https" != urlsplit(target).scheme
    except ValueError as error:
        raise UnsafeUrl("it is redirected to what is not a URL") from error
    if is_downgrade:
        raise UnsafeUrl("it is redirected away from https")
    return target


def check_link_within(parts: SplitResult, allowed: Sequence[Network]) -> str:
    """Judge how a link is spelt that may lead into one of these networks; answer its host. Raises UnsafeUrl.

    Into them http, any port and names of one word are fine. Where a name leads is judged by `address_of`.
    """
    host = parts.hostname or ""
    if _is_numeric(host):
        check_addresses(parts, [host], allowed)
    elif not (allowed and parts.scheme in ("http", "https") and (_NAME.fullmatch(host) or _ONE_WORD.fullmatch(host))):
        check_link(parts)
    return host


def check_addresses(parts: SplitResult, addresses: Sequence[str], allowed: Sequence[Network]) -> None:
    """Judge a link by all addresses of its host: all allowed, or a public link and all public. Raises UnsafeUrl."""
    is_web = parts.scheme in ("http", "https")
    if is_web and addresses and all(_is_within(address, allowed) for address in addresses):
        return
    check_link(parts)
    if not addresses or not all(map(is_public, addresses)):
        raise UnsafeUrl("not all addresses of its host are public")


async def address_of(
    parts: SplitResult, *, within_s: float, allowed: Sequence[Network] = (), threads: Executor = _RESOLVERS
) -> str:
    """Resolve a link's host once; answer an address if it may be opened there. Raises UnsafeUrl, Unresolvable."""
    addresses = await _addresses(check_link_within(parts, allowed), within_s, threads)
    check_addresses(parts, addresses, allowed)
    return addresses[0]


async def _addresses(host: str, within_s: float, threads: Executor) -> list[str]:
    try:
        async with asyncio.timeout(within_s):
            found = await asyncio.get_running_loop().run_in_executor(threads, _resolve, host)
    except OSError as error:  # TimeoutError too
        raise Unresolvable(f"{type(error).__name__} when its name was looked up") from error
    return [str(entry[4][0]) for entry in found]


def _resolve(host: str) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, 443, 0, socket.SOCK_STREAM))


def is_public(address: str) -> bool:
    """Judge one numeric address: reachable on the Internet, and not a way to one that is not."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (ip.version == 4 or ip in _UNICAST) and not any(ip in network for network in _NOT_PUBLIC)


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return any(ip in network for network in networks)


def is_loopback(host: str) -> bool:
    """Tell whether a host name stands for this machine."""
    return host == "localhost" or (_is_numeric(host) and ipaddress.ip_address(host).is_loopback)


def bracketed(host: str) -> str:
    """Write a host or an address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def host_of(url: str) -> str:
    """Tell a link's host for the log: short, on one line, in plain ASCII."""
    try:
        return ascii(urlsplit(url[:MAX_CHARS]).hostname)[:100]
    except ValueError:
        return "no host"


def _is_numeric(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version > 0 and "%" not in host
    except ValueError:
        return False
