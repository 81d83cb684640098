"""`python -m tests.siege.abuser NAME '{"ports": […], "token": …, "folder": …}'`: one abuse, until standard input ends.

It prints `ready` when it has prepared, and in the end what it was answered. It is as nice as a process can be: on a
machine of its own it would take no processor from those whom it harms.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.siege.abuses.mallory import Mallory
from tests.siege.abuses.table import ABUSES


async def main(name: str, ports: list[int], token: str, folder: str) -> None:
    """Abuse until standard input ends."""
    mallory = Mallory(ports, token, Path(folder))
    abuse = ABUSES[name]
    if abuse.prepare:
        await abuse.prepare(mallory)
    mallory.did.clear()
    print(json.dumps("ready"), flush=True)
    abusing = asyncio.create_task(abuse.run(mallory))
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({abusing, ending}, return_when=asyncio.FIRST_COMPLETED)
    if abusing.done():
        abusing.result()
    abusing.cancel()
    await asyncio.wait({abusing})
    print(json.dumps(mallory.did), flush=True)
    os._exit(0)  # thousands of connections are closed by the kernel at once


if __name__ == "__main__":
    os.nice(19)
    asyncio.run(main(sys.argv[1], **json.loads(sys.argv[2])))
