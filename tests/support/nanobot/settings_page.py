"""nanobot's page Settings → Image, as a browser uses it: over the websocket since 0.3.5, by a plain request before."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any
from urllib.parse import urlencode

import httpx
from websockets.asyncio.client import connect

from tests.support.nanobot.gateway import Nanobot

ACTION, PATH = "settings.image_generation.update", "/api/settings/image-generation/update"


async def save_image_settings(nanobot: Nanobot, **settings: Any) -> None:
    """Change what the page shows, and save it; nanobot must take it on without a restart."""
    async with httpx.AsyncClient(base_url=nanobot.url, trust_env=False) as client:
        secret = {"Authorization": f"Bearer {nanobot.token}"}
        page = (await client.get("/webui/bootstrap", headers=secret)).raise_for_status().json()
        if nanobot.venv.version == "0.3.0":
            query = {name: str(value).lower() for name, value in settings.items()}
            bearer = {"Authorization": f"Bearer {page['api_token']}"}
            saved = (await client.get(PATH, params=query, headers=bearer)).raise_for_status().json()
        else:
            saved = await _request(nanobot, page["token"], settings)
    assert not saved["requires_restart"], saved


async def _request(nanobot: Nanobot, token: str, settings: dict[str, Any]) -> dict[str, Any]:
    who = urlencode({"client_id": "settings", "token": token})
    wish = {"type": "webui_request", "request_id": secrets.token_hex(8), "action": ACTION, "payload": settings}
    async with connect(f"ws://127.0.0.1:{nanobot.port}/?{who}", proxy=None) as socket, asyncio.timeout(20):
        await socket.send(json.dumps(wish))
        async for raw in socket:
            frame: dict[str, Any] = json.loads(raw)
            if frame["event"] == "webui_response":
                assert frame["ok"], frame
                return dict(frame["result"])
    raise AssertionError("nanobot has hung up")
