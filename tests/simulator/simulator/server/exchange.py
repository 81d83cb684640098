"""Gives a behaviour all it may use to answer one call: the order, its step, the wire, and the shared state."""

import asyncio
import json
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from simulator.catalogue.moods import Moods
from simulator.catalogue.script import Step
from simulator.pictures.corpus import specimen
from simulator.pictures.studio import Studio
from simulator.providers import aihubmix
from simulator.providers.ledger import Ledger
from simulator.providers.order import Dialect, Order, base64_text
from simulator.providers.polls import PollDesk
from simulator.providers.spelling import PREFIXES, TEXTS, USUAL_PREFIX
from simulator.server.connection import JsonObject, Request
from simulator.server.reply import Headers, Reply


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Gives a behaviour the call, its step, and the means to answer it."""

    request: Request
    order: Order
    step: Step
    dialect: Dialect
    reply: Reply
    ledger: Ledger
    studio: Studio
    polls: PollDesk
    moods: Moods
    url: str
    tls_url: str

    def with_step(self, kind: str, **options: object) -> "Exchange":
        """Return the same exchange with other options on top of its step's."""
        step = replace(self.step, kind=kind, options={**self.step.options, **options})
        return replace(self, step=step)

    async def make_pictures(self) -> list[bytes]:
        """Take the step's time over the pictures; from then on the call costs money."""
        seconds = self.step.number("seconds", self.studio.seconds)
        count = int(self.step.number("images", self.order.count))
        if name := self.step.text("specimen", ""):
            made, _ = await asyncio.gather(asyncio.to_thread(specimen, name), asyncio.sleep(seconds))
            pictures = [made] * count
        else:
            width = int(self.step.number("width", self.order.width))
            height = int(self.step.number("height", self.order.height))
            order = replace(self.order, width=width, height=height)
            side = int(self.step.number("side", self.studio.side))
            pictures = await self.studio.develop(order, seconds=seconds, count=count, side=side)
        self.ledger.bill(self.order.id)
        return pictures

    async def make_answer(self) -> bytes:
        """Make the pictures and return the usual answer, encoded."""
        return json.dumps(self.wrap(await self.make_pictures())).encode()

    def wrap(self, pictures: list[bytes]) -> JsonObject:
        """Put pictures into the step's variant of a good answer."""
        variant = self.step.text("variant", aihubmix.DEFAULT_VARIANT)
        if variant in aihubmix.LINK_VARIANTS:
            return self.dialect.answer_links(self.order, self.publish(pictures), variant)
        spell = TEXTS[self.step.text("spelling", "usual")]
        prefix = PREFIXES.get(self.step.text("prefix", ""), USUAL_PREFIX)
        if label := self.step.text("label", ""):
            prefix = prefix.replace("image/png", label)
        return self.dialect.answer(self.order, [spell(base64_text(each)) for each in pictures], prefix, variant)

    def publish(self, pictures: list[bytes]) -> list[str]:
        """Hang pictures up for download as the step says, and return their addresses."""
        return [self.link_base + self.studio.publish(picture, self.step) for picture in pictures]

    @property
    def link_base(self) -> str:
        """Return scheme, host and port of links: TLS if there is any, unless the step says otherwise."""
        secure = self.step.text("scheme", "https") == "https" and self.tls_url
        parts = urlsplit(self.tls_url if secure else self.url)
        host = self.step.text("host", "")
        return f"{parts.scheme}://{host}:{parts.port}" if host else parts.geturl()

    def fill(self, text: str) -> str:
        """Replace {key}, {prompt}, {url} and {other_name} in a text of the script."""
        known = {
            "{key}": self.request.bearer,
            "{prompt}": self.order.prompt,
            "{url}": self.url,
            "{other_name}": self.url.replace("127.0.0.1", "localhost"),
        }
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    def extra_headers(self) -> Headers:
        """Return the headers that the step adds to its answer."""
        headers = self.step.options.get("headers")
        if not isinstance(headers, dict):
            return {}
        return {
            str(name): [self.fill(str(each)) for each in value] if isinstance(value, list) else self.fill(str(value))
            for name, value in headers.items()
        }
