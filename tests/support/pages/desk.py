"""Where a reader sits: a home, folders with the environment of `make setup`, and the Internet of the pages."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from producer.stack.ports import free_port
from tests.support.network.certificates import Certificates
from tests.support.network.webhook_receiver import Receiver
from tests.support.pages.block import How, blocks
from tests.support.pages.internet import tls
from tests.support.pages.terminal import Terminal, open_terminal, staying

KEPT = ("LANG", "LC_ALL", "TMPDIR", "TZ")
IS_UP = "Ctrl-C stops"
README, QUICKSTART = FIRST = ("README.md", "docs/quickstart.md")


@dataclass(frozen=True)
class Desk:
    """A fresh home, and who can be reached from it."""

    folder: Path
    certificates: Path
    receiver: Receiver

    @property
    def home(self) -> Path:
        """Tell where `~` is."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a fresh login."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        path = {"PATH": os.environ["PAGES_PATH"], "HOME": str(self.home), "TERM": "dumb"}
        return {**kept, **path, "SSL_CERT_FILE": str(self.certificates)}

    @property
    def activated(self) -> dict[str, str]:
        """The environment after `source .venv/bin/activate`."""
        path = f"{Path(sys.prefix) / 'bin'}:{os.environ['PAGES_PATH']}"
        return self.environment | {"PATH": path, "VIRTUAL_ENV": sys.prefix}

    def clone(self, name: str) -> Path:
        """Make a folder that has the environment which `make setup` makes."""
        folder = self.folder / name
        folder.mkdir()
        (folder / ".venv").symlink_to(sys.prefix)
        return folder

    @asynccontextmanager
    async def terminal(self, page: str) -> AsyncIterator[Terminal]:
        """Open the terminal of a page: README's and the quickstart's are fresh, the others are read after README."""
        environment = self.environment if page in FIRST else self.activated
        async with open_terminal(self.clone(page.replace("/", "-")), environment) as terminal:
            yield terminal

    @asynccontextmanager
    async def up(self, *, is_demo: bool) -> AsyncIterator[list[str]]:
        """Start the stack as the quickstart says, or as README says of a real key."""
        page, typed = (QUICKSTART, "") if is_demo else (README, "a-key-that-is-typed")
        [block] = [block for block in blocks(page) if block.how is How.SERVICE]
        async with staying(block, self.clone("up"), self.environment, ready=IS_UP, typed=typed) as told:
            yield told


@asynccontextmanager
async def open_desk(folder: Path, *, seconds: float = 0.2) -> AsyncIterator[Desk]:
    """Make a home, and a provider and a receiver of webhooks under their public names."""
    certificates = Certificates(folder)
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        port = await stack.enter_async_context(_simulator(seconds))
        for name, behind in (("openrouter.ai", port), ("aihubmix.com", port), ("chat.example.org", receiver.port)):
            await stack.enter_async_context(tls(name, certificates.good(name), behind))
        desk = Desk(folder, certificates.file, receiver)
        desk.home.mkdir()
        yield desk


@asynccontextmanager
async def _simulator(seconds: float) -> AsyncIterator[int]:
    port = free_port()
    options = ("--port", str(port), "--seconds", str(seconds))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", *options), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield port
    finally:
        process.terminate()
        await process.wait()
