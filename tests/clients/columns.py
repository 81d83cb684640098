"""What every client has to manage, a column each, and how that is judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.clients.session import Session, Told
from tests.support.stack.shared_stack import fresh

LANDSCAPE = (1248, 832)  # what the simulator draws at 3:2
WIDE = (1344, 768)  # and at 16:9
REFUSAL: dict[str, object] = {"kind": "shape", "shape": "content_filter", "times": "always"}
LATE_S = 3  # the gateway in a hurry has begun its answer by then
SLOW_REFUSAL = {**REFUSAL, "seconds": LATE_S}
FAULT: dict[str, object] = {"kind": "status", "status": 404, "times": "always"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of it, and what is wrong with that."""

    text: str
    problem: str = ""


async def generate(session: Session) -> Cell:
    """Have a landscape made."""
    told = await session.ask("generate", prompt := fresh())
    return _pictured(told, LANDSCAPE) if session.jobs(prompt) == 1 else _not_one(session.jobs(prompt), told)


async def edit(session: Session) -> Cell:
    """Have a wide picture changed, which says nothing of its shape."""
    if not session.environment.client.can_edit:
        return Cell("no edits")
    told = await session.ask("edit", prompt := fresh())
    references = [call.references for call in session.shared.calls(prompt)]
    cell = _pictured(told, WIDE)
    return cell if cell.problem or references == [1] else Cell(cell.text, f"references at the provider: {references}")


async def failure(session: Session) -> Cell:
    """Have something made that the provider refuses at once."""
    return await _failed(session, REFUSAL, session.environment.client.refusal_words)


async def fault(session: Session) -> Cell:
    """Have something made by a model that is gone, which is a 5xx for clients: their own repeats cost nothing."""
    return await _failed(session, FAULT, session.environment.client.fault_words)


async def slow_failure(session: Session) -> Cell:
    """Have something made that the provider refuses after the answer has begun."""
    return await _failed(session, SLOW_REFUSAL, session.environment.client.refusal_words, is_late=True)


async def slow_failure_of_an_edit(session: Session) -> Cell:
    """Have a picture changed, which the provider refuses after the answer has begun."""
    client = session.environment.client
    if not client.can_edit:
        return Cell("no edits")
    return await _failed(session, SLOW_REFUSAL, client.refusal_words, what="edit", is_late=True)


async def _failed(
    session: Session, step: Mapping[str, object], words: str, *, what: str = "generate", is_late: bool = False
) -> Cell:
    session.shared.stack.simulator.script([step], match=(prompt := fresh()))
    told = await session.ask(what, prompt, is_hurried=is_late)
    if session.jobs(prompt) != 1:
        return _not_one(session.jobs(prompt), told)
    if not told.kind:
        return Cell(f"{len(told.images)} images, no error", "the failure is not told")
    text = " ".join(map(str, filter(None, (told.kind, told.status))))
    return Cell(text, "" if words in told.message else f"{words!r} is not in {told.message!r}")


def _pictured(told: Told, size: tuple[int, int]) -> Cell:
    if told.kind:
        return Cell(told.kind, told.message)
    text = ", ".join(f"{width}x{height}" for width, height in told.sizes) or "nothing"
    return Cell(text, "" if told.sizes == [size] else f"not one image of {size[0]}x{size[1]}")


def _not_one(jobs: int, told: Told) -> Cell:
    return Cell(f"{jobs} jobs", f"not one job: {told.kind} {told.message}")


COLUMNS: dict[str, Callable[[Session], Awaitable[Cell]]] = {
    "generate": generate,
    "edit": edit,
    "failure": failure,
    "slow failure": slow_failure,
    "slow failure of an edit": slow_failure_of_an_edit,
    "provider's fault": fault,
}
