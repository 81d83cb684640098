"""Shows the whole HTTP surface on one screen: providers, downloads and the simulator's controls.

Everything under /__sim/ belongs to tests; no provider has it.
"""

from collections.abc import Awaitable, Callable

from simulator import aihubmix, openrouter
from simulator.connection import Request
from simulator.reply import Reply
from simulator.stage import Stage


async def answer(stage: Stage, request: Request, reply: Reply) -> None:
    """Answer a request by the first route that fits."""
    for method, start, end, handle in ROUTES:
        path = request.path
        if request.method == method and path.startswith(start) and path.endswith(end):
            await handle(stage, request, reply)
            return
    await reply.json(404, {"error": {"code": 404, "message": "Not found"}})


async def _openrouter(stage: Stage, request: Request, reply: Reply) -> None:
    await stage.generate(openrouter, request, reply)


async def _aihubmix(stage: Stage, request: Request, reply: Reply) -> None:
    await stage.generate(aihubmix, request, reply)


async def _poll(stage: Stage, request: Request, reply: Reply) -> None:
    stage.ledger.visit(request)
    report = stage.polls.report(request.path.removeprefix("/poll/"))
    if not request.bearer:
        await reply.json(401, aihubmix.failure(401, "Invalid token"))
    elif report is None:
        await reply.json(404, aihubmix.failure(404, "No such task"))
    else:
        await reply.json(200, report)


async def _file(stage: Stage, request: Request, reply: Reply) -> None:
    stage.ledger.visit(request)
    picture = stage.studio.fetch(request.path)
    if picture is None:
        await reply.whole(404, b"no such picture", {"Content-Type": "text/plain"})
    else:
        await reply.whole(200, picture, {"Content-Type": "image/png"})


async def _script(stage: Stage, request: Request, reply: Reply) -> None:
    body = request.json() or {}
    steps, match, model, seconds = (body.get(name) for name in ("steps", "match", "model", "seconds"))
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        await reply.json(400, {"error": "steps must be a list of objects"})
        return
    try:
        stage.direct(
            steps,
            match=match if isinstance(match, str) else "",
            model=model if isinstance(model, str) else "",
            seconds=seconds if isinstance(seconds, int | float) else None,
        )
    except ValueError as error:
        await reply.json(400, {"error": str(error)})
        return
    await reply.json(200, {"queued": len(steps)})


async def _ledger(stage: Stage, request: Request, reply: Reply) -> None:
    await reply.json(200, stage.ledger.to_json())


async def _reset(stage: Stage, request: Request, reply: Reply) -> None:
    await stage.clear()
    await reply.json(200, {})


async def _health(stage: Stage, request: Request, reply: Reply) -> None:
    await reply.json(200, {"status": "ok"})


# Method, how the path begins, how it ends, who answers.
ROUTES: list[tuple[str, str, str, Callable[[Stage, Request, Reply], Awaitable[None]]]] = [
    ("POST", openrouter.PATH, openrouter.PATH, _openrouter),
    ("POST", aihubmix.PATH, "/predictions", _aihubmix),
    ("GET", "/poll/", "", _poll),
    ("GET", "/files/", ".png", _file),
    ("POST", "/__sim/script", "/script", _script),
    ("GET", "/__sim/ledger", "/ledger", _ledger),
    ("POST", "/__sim/reset", "/reset", _reset),
    ("GET", "/__sim/health", "/health", _health),
]
