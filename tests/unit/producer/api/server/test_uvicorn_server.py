"""How the server is set up."""

from __future__ import annotations

import asyncio
import signal
import sys
from types import SimpleNamespace

import pytest
import uvicorn

from producer.api.server.connection_limits import ConnectionLimits
from producer.api.server.uvicorn_server import serve


def test_its_event_loop_is_asyncios_also_where_uvloop_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    servers: list[uvicorn.Server] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server: servers.append(server))
    monkeypatch.setitem(sys.modules, "uvloop", SimpleNamespace(new_event_loop=None, Loop=None))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):  # it has not started
        serve(lambda *_: None, limits=ConnectionLimits(64), on_stop=list)  # type: ignore[arg-type]
    factory = servers[0].config.get_loop_factory()
    assert factory is not None
    loop = factory()
    assert type(loop) is asyncio.SelectorEventLoop
    loop.close()
