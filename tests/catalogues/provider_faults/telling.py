"""Running the stories of a variant, and what is seen of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.catalogue.table import CATALOGUE
from simulator.providers.ledger import Call, Visit

from contract.jobs.job import Job
from tests.catalogues.provider_faults.expectation import Expect, Story, stories
from tests.catalogues.provider_faults.rooms import KEY, PROMPT, REBINDING, Room

GOOD = {"kind": "ok", "specimen": "good_jpeg", "times": "always"}
BY_NAME_SERVER: dict[str, dict[str, object]] = {
    "rebinding": {"kind": "url", "host": REBINDING},
    "private_name": {"kind": "links", "links": ["https://private.sim.test/a.png"]},
    "public_and_private": {"kind": "links", "links": ["https://both.sim.test/a.png"]},
    "public_and_private_ipv6": {"kind": "links", "links": ["https://both6.sim.test/a.png"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was seen of one story."""

    story: Story
    job: Job
    calls: list[Call]
    visits: list[Visit]
    seconds: float
    sidecar: Mapping[str, Any]
    picture: bytes
    public: str  # everything that may hold no secret
    is_alive: bool


async def tell(row: str, variant: str, expect: Expect, room: Room) -> list[Told]:
    """Run all stories of a variant, one after the other."""
    return [await _tell(step_of(row, variant, expect), story, room) for story in stories(expect)]


def step_of(row: str, variant: str, expect: Expect) -> dict[str, object]:
    """Make the step of a script that misbehaves."""
    if expect.where == "door":
        return {"kind": "ok"}
    if row == "P76":
        return {"specimen": "good_png", **BY_NAME_SERVER[variant]}
    usual = {} if "specimen" in CATALOGUE[row][variant].options else {"specimen": "good_png"}
    return {"kind": row, "variant": variant, **usual, **expect.step}


async def _tell(step: Mapping[str, object], story: Story, room: Room) -> Told:
    await room.clean()
    log_from = len(room.stack.logs())
    rest = [] if story.times is None else [GOOD]
    room.simulator.script([{**step, "times": story.times or "always"}, *rest])
    started = time.monotonic()
    fields: dict[str, Any] = {"prompt": f"{PROMPT} of a fox", "image_size": "2K", **story.expect.request}
    job = await room.darkroom.submit(**fields)
    job = await room.darkroom.wait(job.id, timeout_s=story.most_s)
    seconds = time.monotonic() - started
    sidecar = json.loads(Path(job.images[0].sidecar).read_text()) if job.images else {}
    return Told(
        story=story,
        job=job,
        calls=list(room.simulator.ledger),
        visits=list(room.simulator.visits),
        seconds=seconds,
        sidecar=sidecar,
        picture=Path(job.images[0].path).read_bytes() if job.images else b"",
        public=await _public(job, sidecar, room, log_from),
        is_alive=room.worker.poll() is None,
    )


async def _public(job: Job, sidecar: Mapping[str, Any], room: Room, log_from: int) -> str:
    """Gather everything about a job that may hold no secret."""
    shown = job.model_dump(mode="json")
    del shown["request"]["prompt"]
    events = [event.model_dump_json() async for event in room.darkroom.events(job.id)]
    beside = {name: value for name, value in sidecar.items() if name != "prompt"}
    stored = await room.strings(f"darkroom:job:{job.id}*") + await room.strings("darkroom:gate:*")
    return "\n".join([json.dumps([shown, beside]), *events, room.stack.logs()[log_from:], stored])


def secrets_in(text: str) -> list[str]:
    """Find what nobody may see."""
    return [secret for secret in (KEY, PROMPT) if secret in text]


def commands_in(text: str) -> list[str]:
    """Find what commands a terminal: escapes, also spelled out, what is left of them, and turns of the writing."""
    return [command for command in ("\x1b", "\\x1b", "\\u001b", "]0;", "\u202e", "\\u202e") if command in text]
