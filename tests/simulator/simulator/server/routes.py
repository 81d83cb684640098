"""Shows the whole HTTP surface on one screen: providers, downloads and the simulator's controls.

Everything under /__sim/ belongs to tests; no provider has it.
"""

from collections.abc import Awaitable, Callable

from simulator.providers import aihubmix, openrouter
from simulator.providers.downloads import Download, serve
from simulator.providers.order import Dialect
from simulator.server.connection import JsonObject, Request
from simulator.server.reply import Reply
from simulator.server.stage import Stage


async def answer(stage: Stage, request: Request, reply: Reply) -> None:
    """Answer a request by the first route that fits."""
    dialect = _dialect(request)
    if dialect is not None:
        await stage.generate(dialect, request, reply)
        return
    path = request.path
    for method, start, end, handle in ROUTES:
        if method in (request.method, "*") and path.startswith(start) and path.endswith(end):
            await handle(stage, request, reply)
            return
    await reply.json(404, {"error": {"code": 404, "message": "Not found"}})


async def answer_early(stage: Stage, head: Request, reply: Reply) -> bool:
    """Answer a generation call before it is wholly read if its step demands that, else return False."""
    dialect = _dialect(head)
    return dialect is not None and await stage.generate_early(dialect, head, reply)


def _dialect(request: Request) -> Dialect | None:
    path = request.path
    for start, end, dialect in PROVIDERS:
        if request.method == "POST" and path.startswith(start) and path.endswith(end):
            return dialect
    return None


async def _poll(stage: Stage, request: Request, reply: Reply) -> None:
    stage.ledger.visit(request)
    if not request.bearer:
        await reply.json(401, aihubmix.failure(401, "Invalid token"))
    elif not await stage.polls.answer(request.path.removeprefix("/poll/"), reply):
        await reply.json(404, aihubmix.failure(404, "No such task"))


async def _file(stage: Stage, request: Request, reply: Reply) -> None:
    stage.ledger.visit(request)
    exhibit = stage.studio.fetch(request.path)
    if exhibit is None:
        await reply.whole(404, b"no such picture", {"Content-Type": "text/plain"})
        return
    hop = request.query.removeprefix("hop=")
    hops = int(hop) if hop.isdecimal() else 0
    await serve(Download(exhibit=exhibit, path=request.path, hops=hops, url=stage.url, reply=reply))


async def _trap(stage: Stage, request: Request, reply: Reply) -> None:
    """Record who follows a redirect of an API call, and whether they brought a key."""
    stage.ledger.visit(request)
    await reply.json(200, {"trapped": True})


async def _script(stage: Stage, request: Request, reply: Reply) -> None:
    body = request.json() or {}
    match, model, seconds = (body.get(name) for name in ("match", "model", "seconds"))
    try:
        queued = stage.direct(
            _read_steps(body.get("steps")),
            match=match if isinstance(match, str) else "",
            model=model if isinstance(model, str) else "",
            seconds=seconds if isinstance(seconds, int | float) else None,
        )
    except ValueError as error:
        await reply.json(400, {"error": str(error)})
        return
    await reply.json(200, {"queued": queued})


def _read_steps(value: object) -> str | list[JsonObject]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(step, dict) for step in value):
        return value
    raise ValueError("steps must be a text or a list of objects")


async def _ledger(stage: Stage, request: Request, reply: Reply) -> None:
    await reply.json(200, stage.ledger.to_json())


async def _port(stage: Stage, request: Request, reply: Reply) -> None:
    name = (request.json() or {}).get("name")
    try:
        await reply.json(200, {"port": await stage.ports.open(str(name))})
    except ValueError as error:
        await reply.json(400, {"error": str(error)})


async def _die(stage: Stage, request: Request, reply: Reply) -> None:
    seconds = (request.json() or {}).get("seconds")
    stage.moods.die(seconds if isinstance(seconds, int | float) else 0)
    await reply.json(200, {})


async def _reset(stage: Stage, request: Request, reply: Reply) -> None:
    await stage.clear()
    await reply.json(200, {})


async def _health(stage: Stage, request: Request, reply: Reply) -> None:
    await reply.json(200, {"status": "ok"})


# How the path of a call begins, how it ends, whose dialect it is.
PROVIDERS: list[tuple[str, str, Dialect]] = [
    (openrouter.PATH, openrouter.PATH, openrouter),
    (aihubmix.PATH, "/predictions", aihubmix),
]
# Method, how the path begins, how it ends, who answers.
ROUTES: list[tuple[str, str, str, Callable[[Stage, Request, Reply], Awaitable[None]]]] = [
    ("GET", "/poll/", "", _poll),
    ("GET", "/files/", ".png", _file),
    ("*", "/trap", "", _trap),
    ("POST", "/__sim/script", "/script", _script),
    ("POST", "/__sim/port", "/port", _port),
    ("POST", "/__sim/die", "/die", _die),
    ("GET", "/__sim/ledger", "/ledger", _ledger),
    ("POST", "/__sim/reset", "/reset", _reset),
    ("GET", "/__sim/health", "/health", _health),
]
