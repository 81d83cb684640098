"""Behaviours that depend on the calls before: flapping, dice, slowness, death, few calls at once (P81 to P84)."""

import asyncio

from simulator.providers.answers import give_status, succeed
from simulator.server.exchange import Exchange

FOR_S = 60.0


async def flap(exchange: Exchange) -> None:
    """Alternate between success and a 500."""
    if exchange.moods.count("flap") % 2 == 0:
        await succeed(exchange)
    else:
        await give_status(exchange)


async def err_at_random(exchange: Exchange) -> None:
    """Fail a `rate` of the calls; the same `seed` fails the same ones."""
    seed = int(exchange.step.number("seed", 1))
    if exchange.moods.roll("errors", seed) < exchange.step.number("rate", 0.3):
        await give_status(exchange)
    else:
        await succeed(exchange)


async def be_slow_for_a_while(exchange: Exchange) -> None:
    """Take `factor` times as long until `for` seconds after the first such call."""
    seconds = exchange.step.number("seconds", exchange.studio.seconds)
    slow = exchange.moods.seconds_since_first("slow") < exchange.step.number("for", FOR_S)
    await succeed(exchange.with_step("ok", seconds=seconds * (exchange.step.number("factor", 10) if slow else 1)))


async def brown_out(exchange: Exchange) -> None:
    """Answer slowly, and every third call with a 503."""
    if exchange.moods.count("brown") % 3 == 2:
        await give_status(exchange.with_step("status", status=503))
    else:
        await be_slow_for_a_while(exchange)


async def be_dead(exchange: Exchange) -> None:
    """Fail every call until `for` seconds after the first one, by `how`: `reset`, `status` or `hang`."""
    if exchange.moods.seconds_since_first("dead") >= exchange.step.number("for", FOR_S):
        await succeed(exchange)
        return
    how = exchange.step.text("how", "reset")
    if how == "status":
        await give_status(exchange.with_step("status", status=503))
    elif how == "hang":
        await exchange.reply.gone.wait()
    else:
        exchange.reply.reset()


async def limit(exchange: Exchange) -> None:
    """Answer 429 to calls beyond `most` at the same time."""
    if exchange.moods.busy >= exchange.step.number("most", 2):
        await give_status(exchange.with_step("status", status=429))
        return
    exchange.moods.busy += 1
    try:
        await succeed(exchange)
    finally:
        exchange.moods.busy -= 1


async def mix_up(exchange: Exchange) -> None:
    """Answer with the pictures of the call before."""
    pictures = await exchange.make_pictures()
    before, exchange.moods.previous = exchange.moods.previous, pictures
    await asyncio.sleep(0)
    await exchange.reply.json(200, exchange.wrap(before or pictures))
