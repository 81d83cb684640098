"""Redis servers that are set up wrongly, each real, and what stands where a Redis should."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from redis.asyncio import Redis
from redis.exceptions import RedisError

from producer.stack.ports import free_port
from tests.support.lacking import redis_program
from tests.support.network.certificates import Certificates
from tests.support.network.loopback import loopback_server
from tests.support.stack.redis_server import MEMORY

SAFE = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")
Setup = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serving(*options: str, login: str = "", database: int = 0) -> AsyncIterator[str]:
    """Run a server that keeps everything but for these options; tell its address, with a login."""
    while (port := free_port()) >= 22_768:
        pass  # a cluster listens at 10,000 more, too: there any connection may have taken the port
    with TemporaryDirectory(prefix="dr-", dir=MEMORY) as folder:
        command = [str(redis_program()), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, *SAFE, *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            await _until_it_answers(port)
            yield f"redis://{login}127.0.0.1:{port}/{database}"
        finally:
            process.kill()
            process.wait()


async def _until_it_answers(port: int) -> None:
    async with asyncio.timeout(10), Redis(port=port) as client:
        while True:
            try:
                await client.ping()
            except (ConnectionRefusedError, RedisError) as error:
                if "connecting" not in str(error):
                    return  # it has answered, though with a no
                await asyncio.sleep(0.02)
            else:
                return


@asynccontextmanager
async def behind_tls(
    scheme: str, *, trusted: bool = False, wants_client: bool = False, known: bool = False
) -> AsyncIterator[str]:
    """Run a server behind TLS with a private authority; tell its address with a scheme.

    The address names the authority if it is `trusted`, and a certificate of ours if we are `known`.
    """
    with TemporaryDirectory(prefix="dr-") as folder:
        certificates = Certificates(Path(folder))
        async with serving() as url:
            port = int(url.rpartition(":")[2].partition("/")[0])

            async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                theirs, ours = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))

            options = [f"ssl_ca_certs={certificates.file}"] if trusted else []
            if known:
                options += [f"ssl_{name}={file}" for name, file in certificates.own(Path(folder)).items()]
            tls = certificates.good("127.0.0.1")
            if wants_client:
                certificates.require(tls)
            async with loopback_server(forward, tls=tls) as tls_port:
                yield f"{scheme}://127.0.0.1:{tls_port}/0" + ("?" + "&".join(options) if options else "")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


@asynccontextmanager
async def saying(words: bytes) -> AsyncIterator[str]:
    """Stand where a Redis should, and say the same to everything; as Redis 5 would say no to HELLO."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(words)
        writer.close()

    async with loopback_server(answer) as port:
        yield f"redis://127.0.0.1:{port}/0"


@asynccontextmanager
async def nowhere(url: str) -> AsyncIterator[str]:
    """Name an address where nothing is."""
    yield url


@asynccontextmanager
async def full() -> AsyncIterator[str]:
    """Run a server whose memory is full."""
    async with serving() as url:
        async with Redis.from_url(url) as client:
            await client.config_set("maxmemory", 1)
        yield url


@asynccontextmanager
async def nearly_full() -> AsyncIterator[str]:
    """Run a server that has little memory left."""
    async with serving() as url:
        async with Redis.from_url(url) as client:
            used = (await client.info("memory"))["used_memory"]
            await client.config_set("maxmemory", int(used * 1.1))
        yield url


@asynccontextmanager
async def replica() -> AsyncIterator[str]:
    """Run a server that copies another one."""
    async with serving() as primary, serving() as url:
        async with Redis.from_url(url) as client:
            await client.replicaof("127.0.0.1", int(primary.rpartition(":")[2].partition("/")[0]))
            async with asyncio.timeout(10):
                while (await client.info("replication"))["master_link_status"] != "up":
                    await asyncio.sleep(0.05)
        yield url
