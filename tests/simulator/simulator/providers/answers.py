"""Answers that are well framed: pictures, links, words, statuses and errors of every shape."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from simulator.providers import aihubmix
from simulator.server.exchange import Exchange
from simulator.server.reply import JSON_TYPE, phrase


async def succeed(exchange: Exchange) -> None:
    """Answer with good pictures."""
    polled = exchange.step.text("variant", "") == aihubmix.POLLING
    if polled and exchange.dialect.NAME == aihubmix.NAME:
        await answer_later(exchange)
    else:
        body = exchange.wrap(await exchange.make_pictures())
        await exchange.reply.json(200, body, exchange.extra_headers())


async def give_only_images(exchange: Exchange) -> None:
    """Answer as a model that gives no words: a call that asks for them as well is answered 404."""
    body = exchange.request.json() or {}
    if body.get("modalities") in (None, ["image"]):
        await succeed(exchange)
    else:
        await exchange.reply.json(404, exchange.dialect.FAILURES["modalities"](exchange.order))


async def answer_later(exchange: Exchange) -> None:
    """Answer at once with an address to poll, where `outcome` is what it ends with; `first_status` may be an error."""
    task_id = exchange.polls.open(exchange.make_pictures(), exchange.step, exchange.publish)
    url = f"{exchange.url}/poll/{task_id}"
    status = int(exchange.step.number("first_status", 200))
    error = aihubmix.failure(status, "Still at work") if status >= 400 else {}
    await exchange.reply.json(status, {**error, **aihubmix.answer_later(url, task_id)})


async def link(exchange: Exchange) -> None:
    """Answer with addresses of pictures on this server; `download` says how they are served."""
    links = exchange.publish(await exchange.make_pictures())
    variant = exchange.step.text("variant", "urls")
    await exchange.reply.json(200, exchange.dialect.answer_links(exchange.order, links, variant))


async def give_links(exchange: Exchange) -> None:
    """Answer with the links of the script, whatever they are."""
    await asyncio.sleep(exchange.step.number("seconds", exchange.studio.seconds))
    wished = exchange.step.options.get("links")
    links = [exchange.fill(str(each)) for each in wished] if isinstance(wished, list) else []
    exchange.ledger.bill(exchange.order.id)
    variant = exchange.step.text("variant", "urls")
    await exchange.reply.json(200, exchange.dialect.answer_links(exchange.order, links, variant))


async def give_status(exchange: Exchange) -> None:
    """Answer with a status, headers and a body of the script's choice: given, or a named `failure`."""
    step = exchange.step
    status = int(step.number("status", 500))
    await asyncio.sleep(step.number("seconds", 0))
    body = step.options.get("body", _failure(exchange, status))
    content_type, data = ("text/html", exchange.fill(body)) if isinstance(body, str) else (JSON_TYPE, json.dumps(body))
    headers = {"Content-Type": content_type, **exchange.extra_headers()}
    if "date_in" in step.options:
        now = datetime.now(UTC)
        headers["Date"] = format_datetime(now, usegmt=True)
        headers["Retry-After"] = format_datetime(now + timedelta(seconds=step.number("date_in", 0)), usegmt=True)
    await exchange.reply.whole(status, data.encode(), headers)


def _failure(exchange: Exchange, status: int) -> object:
    name = exchange.step.text("failure", "")
    if name:
        return exchange.dialect.FAILURES[name](exchange.order)
    message = exchange.fill(exchange.step.text("message", phrase(status)))
    return exchange.dialect.failure(status, message, exchange.step.text("code", ""))


async def refuse(exchange: Exchange) -> None:
    """Answer with a moderation block, which may take a while."""
    await asyncio.sleep(exchange.step.number("seconds", 0))
    status = int(exchange.step.number("status", 403))
    await exchange.reply.json(status, exchange.dialect.refusal(exchange.order))


async def fail_in_200(exchange: Exchange) -> None:
    """Answer 200 with an error inside: at the top, or in a choice."""
    step, dialect = exchange.step, exchange.dialect
    code = int(step.number("code", 502))
    message = exchange.fill(step.text("message", phrase(code)))
    if step.text("shape", "top") == "choice":
        await exchange.reply.json(200, dialect.failed_choice(exchange.order, code, message))
    else:
        await exchange.reply.json(200, dialect.failure(code, message))


async def give_shape(exchange: Exchange) -> None:
    """Answer 200 with one of the dialect's odd shapes."""
    await asyncio.sleep(exchange.step.number("seconds", exchange.studio.seconds))
    shape = exchange.dialect.SHAPES[exchange.step.text("shape", "no_images")]
    data = json.dumps(shape(exchange.order)).encode()
    await exchange.reply.whole(200, data, {"Content-Type": JSON_TYPE})


async def talk(exchange: Exchange) -> None:
    """Answer in words only."""
    text = exchange.fill(exchange.step.text("text", "I'm sorry, I can't create that image."))
    await exchange.reply.json(200, exchange.dialect.text_only(exchange.order, text))


async def give_nothing(exchange: Exchange) -> None:
    """Answer with an empty list where the pictures should be."""
    await exchange.reply.json(200, exchange.dialect.empty(exchange.order))


async def cut_picture(exchange: Exchange) -> None:
    """Answer with the first half of each picture."""
    halves = [picture[: len(picture) // 2] for picture in await exchange.make_pictures()]
    await exchange.reply.json(200, exchange.wrap(halves))


async def send_page(exchange: Exchange) -> None:
    """Answer with a web page that is labelled as a picture."""
    await exchange.make_pictures()
    await exchange.reply.json(200, exchange.wrap([b"<!doctype html><title>Not a picture</title>"]))
