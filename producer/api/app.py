"""Where the gateway is put together: settings, the parts of `Gateway`, the routes, and the server around them."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import resource
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from contract.errors.exceptions import ConfigInvalid, Problem
from contract.settings.installation_secret import InstallationSecret
from contract.settings.loader import Settings, load_settings
from contract.telemetry.logs import log_to_stderr
from producer.api.dependencies import Gateway
from producer.api.openai import elsewhere, error_envelope, images, models, modelscope
from producer.api.openai.addresses import OpenAIAddresses
from producer.api.openapi import finished
from producer.api.problem_details import ProblemDetails
from producer.api.routes import artifacts, docs, health, job_events, jobs, mcp, uploads, webhooks
from producer.api.server.connection_limits import ConnectionLimits, room_for
from producer.api.server.refusal_delay import RefusalDelay
from producer.api.server.security_middleware import LOOPBACK, SecurityMiddleware
from producer.api.server.under_way import UnderWay
from producer.api.server.uvicorn_server import serve
from producer.api.services.cancel_on_disconnect import DisconnectTracker
from producer.api.services.owner_turns import MOST_IN_LINE, EndOfTurns
from producer.api.services.presence import Presence
from producer.api.services.rate_limits import Rates
from producer.api.services.signed_links import SignedLinks
from producer.api.services.streams import Streams
from producer.api.services.surroundings import SurroundingsWatch
from producer.api.services.waits import Waits
from producer.api.sessions.cancellations import Cancellations
from producer.api.sessions.records import SessionRecords
from producer.api.sessions.sessions import Sessions
from producer.client.connections import Connections
from producer.client.redis_deadline import ANSWER_S
from producer.health.queue import read_queue_health
from producer.imaging.thumbnails import Thumbnails
from producer.mcp.image_content import ImageContents
from producer.mcp.server import Tools, build_server
from producer.token_watch import TokenWatch
from producer.tokens import Tokens, default_owner, first_token

ROUTES = (jobs, job_events, artifacts, uploads, webhooks, images, models, modelscope, elsewhere, health, mcp, docs)

logger = logging.getLogger(__name__)

SWITCH_S = 0.0005  # until a thread gives way to the event loop, which has to wait each time it comes back from a poll
FILES = 16_384  # open at a time: each client is one, and many systems allow 1,024 by default


def main(config: Path | None = None) -> None:
    """Run the gateway until it is stopped. Raises ConfigInvalid."""
    settings = load_settings(config)
    os.umask(0o077)
    sys.setswitchinterval(SWITCH_S)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold prompts
    files = allow_files(FILES)
    AppStatus.enable_automatic_graceful_drain = False  # our streams end by themselves when the gateway stops
    log_to_stderr()
    logging.getLogger("mcp").setLevel(logging.WARNING)  # it names sessions
    _choose_spool(settings)
    closing = asyncio.Event()
    app = build_app(settings, closing)
    _welcome(settings)
    gc.freeze()  # to look through all that stays for good stops the event loop for 90 ms
    connections = room_for(files, settings.env.max_connections)
    if connections < settings.env.max_connections:
        logger.warning("room for %d connections, as only %d files may be open: raise ulimit -n", connections, files)
    serve(
        app, limits=ConnectionLimits(connections), on_stop=closing.set, host=settings.env.host, port=settings.env.port
    )


def allow_files(wanted: int) -> int:
    """Let this process open so many files, or as many as the system lets it; answer how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return files


def _choose_spool(settings: Settings) -> None:
    """Have bodies that arrive lie beside our other files, as /tmp may be memory; their files have no names."""
    spool = settings.home / "spool"
    with suppress(OSError):  # then it is where it is by default
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(spool, os.W_OK | os.X_OK):
            tempfile.tempdir = str(spool)


def _welcome(settings: Settings) -> None:
    """Show the first token if the gateway was started in a terminal; a log may have other readers."""
    env = settings.env
    if not (sys.stderr.isatty() and is_loopback(env.host)):
        return
    if text := first_token(Tokens(settings.tokens_path), default_owner()):
        sys.stderr.write(f"Gateway: http://{env.host}:{env.port}\nToken: {text} (shown this once)\n")


def build_app(settings: Settings, closing: asyncio.Event) -> ASGIApp:
    """Build the whole application; waiting requests are answered when it is `closing`.

    Raises ConfigInvalid for one that everybody could use.
    """
    env = settings.env
    tokens = Tokens(settings.tokens_path)
    if not is_loopback(env.host) and not tokens.exists():
        hint = "is not loopback, so there must be tokens: make one with `darkroom token create NAME`"
        raise ConfigInvalid([Problem("DARKROOM_HOST", hint)])
    tokens.list()  # or only callers would learn of a problem
    app = FastAPIOffline(
        title="Darkroom",
        version=version("nanobot-darkroom"),
        description="Images for chat gateways, made in the background.",
        lifespan=lambda app: _open(app, settings, tokens, closing),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in ROUTES:
        app.include_router(module.router)
    errors = ProblemDetails(dict.fromkeys(error_envelope.PREFIXES, error_envelope))
    errors.register(app)
    app.openapi_schema = finished(app.openapi())
    served = UnderWay(RefusalDelay(EndOfTurns(app)), most=MOST_IN_LINE + env.max_waits_per_owner, refuse=errors.answer)
    secured = SecurityMiddleware(served, hosts=_hosts(settings), origins=env.origins, refuse=errors.answer)
    return OpenAIAddresses(secured)


@asynccontextmanager
async def _open(app: FastAPI, settings: Settings, tokens: Tokens, closing: asyncio.Event) -> AsyncIterator[None]:
    async with Connections(settings) as connections:
        gateway = app.state.gateway = _build_gateway(settings, connections, tokens, closing)
        prints = ImageContents(gateway.pictures, gateway.thumbnails)
        tools = Tools(prints=prints, wait_s=settings.env.tool_wait_seconds)
        cancellations = Cancellations(connections.redis, connections.subscriber)
        records = SessionRecords(connections.redis)
        app.state.sessions = Sessions(build_server(tools, mcp.welcome), closing, records, cancellations)
        watch = SurroundingsWatch(gateway.readiness, partial(read_queue_health, connections.store))
        tasks = [
            asyncio.create_task(kept)
            for kept in (
                _stop_waiting(connections, closing),
                watch.keep(),
                gateway.token_watch.keep(connections.subscriber.wake_all),
                gateway.disconnects.keep(),
                gateway.streams.keep(),
            )
        ]
        try:
            async with app.state.sessions.open():
                yield
        finally:
            for task in tasks:
                task.cancel()
            await gateway.disconnects.close()


def _build_gateway(settings: Settings, connections: Connections, tokens: Tokens, closing: asyncio.Event) -> Gateway:
    env = settings.env
    secret = InstallationSecret(settings.home, env.secret)
    return Gateway(
        settings=settings,
        connections=connections,
        tokens=tokens,
        token_watch=TokenWatch(tokens),
        secret=secret,
        links=SignedLinks(secret.key("links"), valid_s=env.link_seconds),
        rates=Rates.of(env, timeout_s=ANSWER_S / 2),
        pictures=connections.sandbox,
        thumbnails=Thumbnails(connections.artifacts, connections.sandbox),
        disconnects=DisconnectTracker(closing, Presence(connections.redis)),
        streams=Streams(connections.redis, most=env.max_streams_per_owner),
        waits=Waits(most=env.max_connections // 2, most_each=env.max_waits_per_owner),
    )


async def _stop_waiting(connections: Connections, closing: asyncio.Event) -> None:
    """Answer all waiting clients when this process is stopped."""
    await closing.wait()
    connections.stop_waiting()


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what is bound to an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _hosts(settings: Settings) -> set[str]:
    """List the names that this gateway answers under."""
    env = settings.env
    public = (env.public_url or "").partition("://")[2].partition("/")[0]
    name = public if public.endswith("]") else public.rpartition(":")[0] or public
    own = f"[{env.host}]" if ":" in env.host else env.host
    return {*LOOPBACK, *env.hosts, own, *([name] if name else [])}
