"""What can happen before a request is wholly read: the upload blocks, is cut off, or is answered too soon.

These behaviours are chosen from the head and the first bytes of the body, as more of it may never be read.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from simulator.catalogue.script import Step
from simulator.providers.order import Dialect
from simulator.server.reply import Reply

PATIENCE_S = 300.0
LINGER_S = 1.0


async def never_read(dialect: Dialect, reply: Reply, step: Step) -> None:
    """Leave the upload in the pipe, until `seconds` are over."""
    reply.stop_reading()
    await asyncio.sleep(step.number("seconds", PATIENCE_S))
    reply.reset()


async def read_slowly(dialect: Dialect, reply: Reply, step: Step) -> None:
    """Take `bytes` of the upload every `every` seconds."""
    reply.shrink_buffer()
    while await reply.discard(int(step.number("bytes", 1024))):
        await asyncio.sleep(step.number("every", 0.4))
    reply.gone.set()


async def cut_upload(dialect: Dialect, reply: Reply, step: Step) -> None:
    """End the connection while the body is on its way."""
    if step.text("end", "rst") == "fin":
        await reply.close()
    else:
        reply.reset()


async def answer_early(dialect: Dialect, reply: Reply, step: Step) -> None:
    """Answer before the body was read, and close, as proxies do with a 413."""
    status = int(step.number("status", 413))
    await reply.json(status, dialect.failure(status, "Request Entity Too Large"), {"Connection": "close"})
    # Closing with bytes unread would reset the connection, and destroy the answer on its way: so linger.
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while await reply.discard(65536):
                pass
    await reply.close()


EARLY: dict[str, Callable[[Dialect, Reply, Step], Awaitable[None]]] = {
    "answer_early": answer_early,
    "cut_upload": cut_upload,
    "never_read": never_read,
    "read_slowly": read_slowly,
}
