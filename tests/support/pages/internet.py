"""A network of our own, so that addresses of the pages are what they say and are free.

    unshare --map-root-user --net --mount PYTHON -m tests.support.pages.internet COMMAND ARGUMENT...

runs a command where loopback is empty and the names of the Internet that the pages need lead to this machine.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

NAMES = {"openrouter.ai": "93.184.216.34", "aihubmix.com": "93.184.216.35", "chat.example.org": "93.184.216.36"}
ENTER = ("unshare", "--map-root-user", "--net", "--mount")
SET_ADDRESS, SET_FLAGS = 0x8916, 0x8914  # SIOCSIFADDR, SIOCSIFFLAGS
UP = 0x41  # IFF_UP | IFF_RUNNING


def lacks() -> str:
    """Tell why there can be no such network here, or "": Linux has it, for root or with user namespaces."""
    if not shutil.which("unshare"):
        return "no unshare(1), which is part of Linux"
    command = (*ENTER, sys.executable, "-m", "tests.support.pages.internet", "true")
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    return f"a network of our own cannot be made: {done.stderr}" if done.returncode else ""


def connect() -> None:
    """Give this network its addresses and names."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))
        for number, address in enumerate(NAMES.values()):
            fields = f"lo:{number}".encode(), socket.AF_INET, socket.inet_aton(address)
            fcntl.ioctl(control, SET_ADDRESS, struct.pack("16sH2x4s8x", *fields))
    with NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in NAMES.items()))
        hosts.flush()
        Path(hosts.name).chmod(0o644)
        subprocess.run(("mount", "--bind", hosts.name, "/etc/hosts"), check=True)
    subprocess.run(("mount", "-t", "tmpfs", "tmpfs", "/srv"), check=True)


@asynccontextmanager
async def tls(name: str, context: ssl.SSLContext, port: int) -> AsyncIterator[None]:
    """Lead https://NAME to a port of loopback."""
    pipe = partial(_serve, port=port)
    server = await asyncio.start_server(pipe, NAMES[name], 443, ssl=context)
    try:
        yield
    finally:
        server.close()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, port: int) -> None:
    behind = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_copy(reader, behind[1]), _copy(behind[0], writer), return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


if __name__ == "__main__":
    connect()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted
