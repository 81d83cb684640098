"""Names what can happen to an accepted call: the table of kinds.

A behaviour talks to the client through `exchange.reply` only, so it may break any rule of HTTP it likes.
To add one: write the coroutine, add a line to BEHAVIOURS. The rows of the catalogue are such kinds with options.
"""

from collections.abc import Awaitable, Callable

from simulator.catalogue import mood_kinds
from simulator.providers import answers
from simulator.server import wire
from simulator.server.early import EARLY
from simulator.server.exchange import Exchange

Behaviour = Callable[[Exchange], Awaitable[None]]


async def play(exchange: Exchange) -> None:
    """Let the step's behaviour answer the call."""
    await BEHAVIOURS[exchange.step.kind](exchange)


async def _too_late(exchange: Exchange) -> None:
    """Play an early behaviour although the call has been read."""
    await EARLY[exchange.step.kind](exchange.dialect, exchange.reply, exchange.step)


async def _cut_json(exchange: Exchange) -> None:
    """Answer with the first half of a good JSON text, well framed."""
    await wire.give_body(exchange.with_step("body", body="half"))


BEHAVIOURS: dict[str, Behaviour] = {
    "bad_json": _cut_json,
    "body": wire.give_body,
    "brown_out": mood_kinds.brown_out,
    "close": wire.close,
    "dead": mood_kinds.be_dead,
    "drip": wire.drip,
    "drip_headers": wire.drip_headers,
    "empty_choices": answers.give_nothing,
    "encoding": wire.encode,
    "error_in_200": answers.fail_in_200,
    "errors": mood_kinds.err_at_random,
    "flap": mood_kinds.flap,
    "flood": wire.flood,
    "frame": wire.misframe,
    "hang": wire.hang,
    "https_url": answers.link,
    "huge_link": wire.give_huge_link,
    "image_only": answers.give_only_images,
    "interim": wire.interim,
    "keep_alive": wire.keep_alive,
    "limit": mood_kinds.limit,
    "links": answers.give_links,
    "mix_up": mood_kinds.mix_up,
    "no_image": answers.talk,
    "not_an_image": answers.send_page,
    "ok": answers.succeed,
    "refuse": answers.refuse,
    "reset": wire.reset,
    "shape": answers.give_shape,
    "silence": wire.silence,
    "slow": answers.succeed,
    "slow_for_a_while": mood_kinds.be_slow_for_a_while,
    "stale": wire.stale,
    "status": answers.give_status,
    "truncated_image": answers.cut_picture,
    "url": answers.link,
    **dict.fromkeys(EARLY, _too_late),
}
