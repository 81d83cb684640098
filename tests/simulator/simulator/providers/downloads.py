"""Serves the pictures that answers point to, in all the ways a file host can fail (rows P71 to P74).

The step that published a picture says how: its option `download` names a function of the table at the bottom.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulator.pictures.studio import Exhibit
from simulator.server.framing import CHUNKED_LINE, chunks
from simulator.server.reply import Reply

MIME = "image/png"
BLOCK = bytes(65536)
RESET_DELAY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Download:
    """Gives a download behaviour the file, how the visitor asked for it, and the means to answer."""

    exhibit: Exhibit
    path: str
    hops: int
    url: str
    reply: Reply

    def option(self, name: str, default: float) -> float:
        """Return a number of the step."""
        return self.exhibit.step.number(name, default)

    async def good(self) -> None:
        """Serve the file as it should be."""
        await self.reply.whole(200, self.exhibit.picture, {"Content-Type": self.exhibit.step.text("mime", MIME)})

    async def redirect(self, location: str | None) -> None:
        """Send the visitor elsewhere, or nowhere."""
        status = int(self.option("status", 302))
        await self.reply.whole(status, b"", {"Location": location} if location is not None else {})


async def serve(download: Download) -> None:
    """Serve a file as its step says."""
    download.exhibit.visits += 1
    async with download.reply.watched(lambda: None):
        await DOWNLOADS[download.exhibit.step.text("download", "good")](download)


async def refuse(download: Download) -> None:
    """Answer the first `refusals` visits with a status, then serve the file."""
    if download.exhibit.visits > download.option("refusals", 1e9):
        await download.good()
        return
    status = int(download.option("status", 404))
    body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    await download.reply.whole(status, body, {"Content-Type": "application/xml"})


async def send_on(download: Download) -> None:
    """Redirect `hops` times, then serve the file."""
    if download.hops >= download.option("hops", 3):
        await download.good()
    else:
        await download.redirect(f"{download.path}?hop={download.hops + 1}")


async def send_round(download: Download) -> None:
    """Redirect to the same address for ever."""
    await download.redirect(download.path)


async def send_to(download: Download) -> None:
    """Redirect to the script's `location`, where {url} is this server without TLS."""
    location = download.exhibit.step.text("location", "{url}{path}?hop=99")
    if download.hops >= 99:
        await download.good()
    else:
        await download.redirect(location.replace("{url}", download.url).replace("{path}", download.path))


async def send_nowhere(download: Download) -> None:
    """Redirect without a Location."""
    await download.redirect(None)


async def drip(download: Download) -> None:
    """Serve one byte every `every` seconds."""
    await _start(download, f"Content-Length: {len(download.exhibit.picture)}")
    for byte in download.exhibit.picture:
        if not await download.reply.send(bytes([byte])):
            return
        await asyncio.sleep(download.option("every", 0.4))


async def flood(download: Download) -> None:
    """Serve the file and then zeros for ever."""
    await _start(download, CHUNKED_LINE.decode().strip())
    block = download.exhibit.picture
    while await download.reply.send(chunks(block)):
        await asyncio.sleep(0)  # sending alone does not let the loop hear that the peer has gone
        block = BLOCK


async def reset(download: Download) -> None:
    """Serve half of the file the first `refusals` times, then a TCP RST."""
    if download.exhibit.visits > download.option("refusals", 1e9):
        await download.good()
        return
    picture = download.exhibit.picture
    await _start(download, f"Content-Length: {len(picture)}")
    await download.reply.send(picture[: len(picture) // 2])
    await asyncio.sleep(RESET_DELAY_S)
    download.reply.reset()


async def cut(download: Download) -> None:
    """Serve half of the file, then close."""
    picture = download.exhibit.picture
    await _start(download, f"Content-Length: {len(picture)}")
    await download.reply.send(picture[: len(picture) // 2])
    await download.reply.close()


async def hang(download: Download) -> None:
    """Never answer."""
    await download.reply.gone.wait()


async def claim(download: Download) -> None:
    """Claim a length of a petabyte and serve the file."""
    await _start(download, f"Content-Length: {10**15}")
    await download.reply.send(download.exhibit.picture)
    await download.reply.gone.wait()


async def page(download: Download) -> None:
    """Serve a web page with status 200 the first `pages` times, then the file."""
    if download.exhibit.visits > download.option("pages", 1e9):
        await download.good()
        return
    await download.reply.whole(200, b"<!doctype html><h1>Please sign in</h1>", {"Content-Type": "text/html"})


async def good(download: Download) -> None:
    """Serve the file; `mime` may be a lie."""
    await download.good()


async def _start(download: Download, line: str) -> None:
    await download.reply.raw(200, f"HTTP/1.1 200 OK\r\nContent-Type: {MIME}\r\n{line}\r\n\r\n".encode())


DOWNLOADS: dict[str, Callable[[Download], Awaitable[None]]] = {
    "claim": claim,
    "cut": cut,
    "drip": drip,
    "endless": flood,
    "good": good,
    "hang": hang,
    "loop": send_round,
    "no_location": send_nowhere,
    "page": page,
    "redirect": send_to,
    "redirects": send_on,
    "refused": refuse,
    "reset": reset,
}
