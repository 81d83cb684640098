"""Behaviours that break the connection, the framing or the pace of a good answer.

The slow ones stop when the client goes; `every` and `seconds` say how slow they are.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from simulator.providers.bodies import BODIES
from simulator.server import encodings
from simulator.server.exchange import Exchange
from simulator.server.framing import CHUNKED_LINE, FRAMES, chunks, head, length
from simulator.server.reply import JSON_TYPE

RESET_DELAY_S = 0.05
BLOCK = b"x" * 65536


async def hang(exchange: Exchange) -> None:
    """Never answer; end when the client does."""
    await exchange.reply.gone.wait()


async def close(exchange: Exchange) -> None:
    """Close the connection before any header; `end` may be a reset."""
    await _end(exchange, exchange.step.text("end", "fin"))


async def reset(exchange: Exchange) -> None:
    """Send half of the answer, then a TCP RST; `chunked` leaves off in the middle of a chunk."""
    body = await exchange.make_answer()
    half = body[: len(body) // 2]
    if exchange.step.options.get("chunked"):
        await exchange.reply.raw(200, head(CHUNKED_LINE) + chunks(body)[: len(body) // 2])
    else:
        await exchange.reply.raw(200, head(length(body)) + half)
    await asyncio.sleep(RESET_DELAY_S)
    exchange.reply.reset()


async def misframe(exchange: Exchange) -> None:
    """Send a good answer in a bad frame and close; `end` may be `keep`, `rst` or `silence`."""
    frame = FRAMES[exchange.step.text("frame", "garbage")]
    await exchange.reply.raw(200, frame(await exchange.make_answer()))
    await _end(exchange, exchange.step.text("end", "fin"))


async def stale(exchange: Exchange) -> None:
    """Answer properly, then close the connection at once, or when its next request begins."""
    status = int(exchange.step.number("status", 503))
    exchange.reply.end_after(on_reuse=exchange.step.text("when", "reuse") == "reuse")
    headers = {"Connection": "keep-alive", "Keep-Alive": "timeout=60"}
    if status == 200:
        await exchange.reply.json(200, exchange.wrap(await exchange.make_pictures()), headers)
    else:
        await exchange.reply.json(status, exchange.dialect.failure(status, "Try again"), headers)


async def silence(exchange: Exchange) -> None:
    """Send the headers, perhaps half of the body, then nothing more."""
    body = await exchange.make_answer()
    sent = body[: int(len(body) * exchange.step.number("share", 0))]
    await exchange.reply.raw(200, head(length(body)) + sent)
    await exchange.reply.gone.wait()


async def drip(exchange: Exchange) -> None:
    """Send the headers, then `bytes` of the answer every `every` seconds."""
    body = await exchange.make_answer()
    size = int(exchange.step.number("bytes", 1))
    await exchange.reply.raw(200, head(length(body)))
    for at in range(0, len(body), size):
        if not await exchange.reply.send(body[at : at + size]):
            return
        await asyncio.sleep(exchange.step.number("every", 0.4))


async def drip_headers(exchange: Exchange) -> None:
    """Send header lines one by one for ever."""
    await exchange.reply.raw(200, b"HTTP/1.1 200 OK\r\n")
    number = 0
    while await exchange.reply.send(b"X-Line-%d: still here\r\n" % number):
        number += 1
        await asyncio.sleep(exchange.step.number("every", 0.4))


async def interim(exchange: Exchange) -> None:
    """Send interim answers for ever, one every `every` seconds or as fast as the client takes them."""
    line = f"HTTP/1.1 {int(exchange.step.number('status', 102))} Processing\r\n\r\n".encode()
    while await exchange.reply.send(line):
        await asyncio.sleep(exchange.step.number("every", 0.001))


async def keep_alive(exchange: Exchange) -> None:
    """Drip `text` for `seconds`, one every `every` seconds, and then send the JSON; `never` leaves it out.

    With `events` all of it is called a stream of events, and the JSON is one.
    """
    text = exchange.step.text("text", "\n").encode()
    never = bool(exchange.step.options.get("never"))
    every = exchange.step.number("every", 0.1)
    events = bool(exchange.step.options.get("events"))
    start = head(CHUNKED_LINE)
    await exchange.reply.raw(200, start.replace(JSON_TYPE.encode(), b"text/event-stream") if events else start)
    making = asyncio.create_task(exchange.make_answer())
    try:
        while never or not making.done():
            if not await exchange.reply.send(chunks(text)):
                return
            await asyncio.sleep(every)
        good = await making
        body = b"data: " + good + b"\n\ndata: [DONE]\n\n" if events else good
        await exchange.reply.send(chunks(body) + b"0\r\n\r\n")
    finally:
        making.cancel()


async def give_body(exchange: Exchange) -> None:
    """Answer 200 with a named body made of, or instead of, the good one; well framed."""
    content_type, data = BODIES[exchange.step.text("body", "empty")](await exchange.make_answer())
    headers = {"Content-Type": content_type} if content_type else {}
    await exchange.reply.whole(200, data, {**headers, **exchange.extra_headers()})


async def encode(exchange: Exchange) -> None:
    """Answer 200 in a content encoding nobody asked for, which may be a bomb or a lie."""
    make = encodings.ENCODINGS[exchange.step.text("encoding", "gzip")]
    name, data = await asyncio.to_thread(make, await exchange.make_answer())
    await exchange.reply.whole(200, data, {"Content-Type": JSON_TYPE, "Content-Encoding": name})


async def flood(exchange: Exchange) -> None:
    """Send `megabytes` of JSON text, or without end; `framing` is `chunked`, `length` or `close`."""
    await exchange.make_pictures()
    framing = exchange.step.text("framing", "chunked")
    total = int(exchange.step.number("megabytes", 0) * 2**20)
    lines = {"chunked": CHUNKED_LINE, "close": b"Connection: close\r\n"}
    claim = b"Content-Length: %d\r\n" % (total or 10**15)
    await exchange.reply.raw(200, head(lines.get(framing, claim)))
    async for block in _json_text(total):
        if not await exchange.reply.send(chunks(block) if framing == "chunked" else block):
            return
        await asyncio.sleep(0)  # sending alone does not let the loop hear that the peer has gone
    if framing == "chunked":
        await exchange.reply.send(b"0\r\n\r\n")
    await _end(exchange, "keep" if framing == "chunked" else "fin")


async def give_huge_link(exchange: Exchange) -> None:
    """Answer with a data URL of `megabytes`, which is never held in memory."""
    blocks = int(exchange.step.number("megabytes", 100) * 2**20) // len(BLOCK)
    body = exchange.dialect.answer_links(exchange.order, ["data:image/png;base64,{here}"], "urls")
    before, _, after = json.dumps(body).encode().partition(b"{here}")
    claim = b"Content-Length: %d\r\n" % (len(before) + blocks * len(BLOCK) + len(after))
    await exchange.reply.raw(200, head(claim) + before)
    for _ in range(blocks):
        if not await exchange.reply.send(BLOCK):
            return
    await exchange.reply.send(after)


async def _json_text(total: int) -> AsyncIterator[bytes]:
    start, end = b'{"padding":"', b'"}'
    yield start
    left = total - len(start) - len(end) if total else 1 << 62
    while left > 0:
        yield BLOCK[: min(left, len(BLOCK))]
        left -= len(BLOCK)
    yield end


async def _end(exchange: Exchange, how: str) -> None:
    if how == "rst":
        exchange.reply.reset()
    elif how == "fin":
        await exchange.reply.close()
    elif how == "silence":
        await exchange.reply.gone.wait()
