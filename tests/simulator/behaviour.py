"""What can happen to an accepted call: one coroutine per kind, and the table of kinds at the bottom.

A behaviour talks to the client through `exchange.reply` only, so it may break any rule of HTTP it likes.
To add one: write the coroutine, add a line to BEHAVIOURS.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from simulator import aihubmix
from simulator.connection import JsonObject
from simulator.ledger import Ledger
from simulator.order import Dialect, Order
from simulator.reply import JSON_TYPE, Headers, Reply, phrase
from simulator.script import Step
from simulator.studio import PollDesk, Studio

RESET_DELAY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Gives a behaviour the call, its step, and the means to answer it."""

    order: Order
    step: Step
    dialect: Dialect
    reply: Reply
    ledger: Ledger
    studio: Studio
    polls: PollDesk
    base_url: str

    async def make_pictures(self) -> list[bytes]:
        """Take the step's time over the pictures; from then on the call costs money."""
        seconds = self.step.number("seconds", self.studio.seconds)
        count = int(self.step.number("images", self.order.count))
        pictures = await self.studio.develop(self.order, seconds=seconds, count=count)
        self.ledger.bill(self.order.id)
        return pictures

    async def make_answer(self) -> bytes:
        """Make the pictures and return the usual answer, encoded."""
        return json.dumps(self.wrap(await self.make_pictures())).encode()

    def wrap(self, pictures: list[bytes]) -> JsonObject:
        """Put pictures into the step's variant of a good answer."""
        variant = self.step.text("variant", aihubmix.DEFAULT_VARIANT)
        if variant in aihubmix.LINK_VARIANTS:
            links = [self.base_url + self.studio.publish(picture) for picture in pictures]
            return self.dialect.answer_links(self.order, links, variant)
        return self.dialect.answer(self.order, pictures, variant)


async def play(exchange: Exchange) -> None:
    """Let the step's behaviour answer the call."""
    await BEHAVIOURS[exchange.step.kind](exchange)


async def succeed(exchange: Exchange) -> None:
    """Answer with good pictures."""
    polled = exchange.step.text("variant", "") == aihubmix.POLLING
    if polled and exchange.dialect.NAME == aihubmix.NAME:
        await answer_later(exchange)
    else:
        await exchange.reply.json(200, exchange.wrap(await exchange.make_pictures()))


async def answer_later(exchange: Exchange) -> None:
    """Answer at once with an address to poll, where `outcome` is what it ends with."""
    outcome = exchange.step.text("outcome", "succeeded")
    task_id = exchange.polls.open(exchange.make_pictures(), outcome)
    url = f"{exchange.base_url}/poll/{task_id}"
    await exchange.reply.json(200, aihubmix.answer_later(url, task_id))


async def link(exchange: Exchange) -> None:
    """Answer with addresses of pictures on this server."""
    links = [exchange.base_url + exchange.studio.publish(each) for each in await exchange.make_pictures()]
    await exchange.reply.json(200, exchange.dialect.answer_links(exchange.order, links, "urls"))


async def hang(exchange: Exchange) -> None:
    """Never answer; end when the client does."""
    await exchange.reply.gone.wait()


async def drip(exchange: Exchange) -> None:
    """Send the headers, then one byte of the answer every `every` seconds."""
    body = await exchange.make_answer()
    await exchange.reply.start(200, {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))})
    for byte in body:
        if exchange.reply.gone.is_set():
            return
        await exchange.reply.send(bytes([byte]))
        await asyncio.sleep(exchange.step.number("every", 0.4))


async def give_status(exchange: Exchange) -> None:
    """Answer with a status, headers and a JSON or text body of the script's choice."""
    step = exchange.step
    status = int(step.number("status", 500))
    await asyncio.sleep(step.number("seconds", 0))
    body = step.options.get("body", exchange.dialect.failure(status, phrase(status)))
    content_type, data = ("text/html", body) if isinstance(body, str) else (JSON_TYPE, json.dumps(body))
    await exchange.reply.whole(status, data.encode(), {"Content-Type": content_type, **_headers(step)})


async def refuse(exchange: Exchange) -> None:
    """Answer with a moderation block."""
    status = int(exchange.step.number("status", 403))
    await exchange.reply.json(status, exchange.dialect.refusal(exchange.order))


async def reset(exchange: Exchange) -> None:
    """Send half of the answer, then a TCP RST."""
    body = await exchange.make_answer()
    await exchange.reply.start(200, {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))})
    await exchange.reply.send(body[: len(body) // 2])
    await asyncio.sleep(RESET_DELAY_S)
    exchange.reply.reset()


async def close(exchange: Exchange) -> None:
    """Close the connection before any header."""
    await exchange.reply.close()


async def fail_in_200(exchange: Exchange) -> None:
    """Answer 200 with an error inside: at the top, or in a choice."""
    step, dialect = exchange.step, exchange.dialect
    code = int(step.number("code", 502))
    message = step.text("message", phrase(code))
    if step.text("shape", "top") == "choice":
        await exchange.reply.json(200, dialect.failed_choice(exchange.order, code, message))
    else:
        await exchange.reply.json(200, dialect.failure(code, message))


async def talk(exchange: Exchange) -> None:
    """Answer in words only."""
    text = exchange.step.text("text", "I'm sorry, I can't create that image.")
    await exchange.reply.json(200, exchange.dialect.text_only(exchange.order, text))


async def give_nothing(exchange: Exchange) -> None:
    """Answer with an empty list where the pictures should be."""
    await exchange.reply.json(200, exchange.dialect.empty(exchange.order))


async def cut_json(exchange: Exchange) -> None:
    """Answer with the first half of a good JSON text, well framed."""
    body = await exchange.make_answer()
    await exchange.reply.whole(200, body[: len(body) // 2], {"Content-Type": JSON_TYPE})


async def cut_picture(exchange: Exchange) -> None:
    """Answer with the first half of each picture."""
    halves = [picture[: len(picture) // 2] for picture in await exchange.make_pictures()]
    await exchange.reply.json(200, exchange.wrap(halves))


async def send_page(exchange: Exchange) -> None:
    """Answer with a web page that is labelled as a picture."""
    await exchange.make_pictures()
    await exchange.reply.json(200, exchange.wrap([b"<!doctype html><title>Not a picture</title>"]))


def _headers(step: Step) -> Headers:
    headers = step.options.get("headers")
    if not isinstance(headers, dict):
        return {}
    return {
        str(name): [str(each) for each in value] if isinstance(value, list) else str(value)
        for name, value in headers.items()
    }


BEHAVIOURS: dict[str, Callable[[Exchange], Awaitable[None]]] = {
    "bad_json": cut_json,
    "close": close,
    "drip": drip,
    "empty_choices": give_nothing,
    "error_in_200": fail_in_200,
    "hang": hang,
    "https_url": link,
    "no_image": talk,
    "not_an_image": send_page,
    "ok": succeed,
    "refuse": refuse,
    "reset": reset,
    "slow": succeed,
    "status": give_status,
    "truncated_image": cut_picture,
    "url": link,
}
