"""An edit without a named ratio keeps its first reference's, whichever way it comes in."""

from __future__ import annotations

import base64
import io
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.support.clients.mcp import told, tools_at
from tests.support.factories.image_files import noise
from tests.support.stack.shared_stack import Account, SharedStack, fresh

pytestmark = [pytest.mark.real_redis, pytest.mark.asyncio(loop_scope="module")]


def picture(width: int, height: int) -> bytes:
    """Encode some noise."""
    file = io.BytesIO()
    noise((width, height)).save(file, "PNG")
    return file.getvalue()


WIDE, TALL = picture(160, 90), picture(90, 120)
URLS = [f"data:image/png;base64,{base64.b64encode(data).decode()}" for data in (WIDE, TALL)]
FILES = [("image[]", ("wide.png", WIDE, "image/png")), ("image[]", ("tall.png", TALL, "image/png"))]


class Face:
    """An account at the gateway, with each way to ask for an edit of two images."""

    def __init__(self, http: httpx.AsyncClient, url: str, token: str) -> None:
        self._http = http
        self._url = url
        self._token = token

    async def job(self, prompt: str, **fields: object) -> None:
        """Ask Darkroom's own API."""
        uploads = [(await self._post("/uploads", files={"file": data})).json()["id"] for data in (WIDE, TALL)]
        body = {"prompt": prompt, "reference_images": uploads, **fields}
        assert (await self._post("/jobs", json=body, headers={"Prefer": "wait=30"})).json()["state"] == "succeeded"

    async def openai_form(self, prompt: str, **fields: str) -> None:
        """Ask as OpenAI's clients and Open WebUI do."""
        await self._post("/images/edits", data={"prompt": prompt, "model": "gpt-image-1", **fields}, files=FILES)

    async def openai_json(self, prompt: str, **fields: object) -> None:
        """Ask OpenAI's API with images as data URLs."""
        await self._post("/images/edits", json={"prompt": prompt, "image": URLS, **fields})

    async def modelscope(self, prompt: str, **fields: object) -> None:
        """Ask as nanobot's own tool does."""
        headers = {"X-ModelScope-Async-Mode": "true"}
        body = {"prompt": prompt, "model": "gpt-image-1", "image_url": URLS, **fields}
        task = (await self._post("/images/generations", json=body, headers=headers)).json()["task_id"]
        assert (await self._http.get(f"/tasks/{task}")).json()["task_status"] == "SUCCEED"

    async def mcp(self, prompt: str, **fields: object) -> None:
        """Call the tool."""
        uploads = [(await self._post("/uploads", files={"file": data})).json()["id"] for data in (WIDE, TALL)]
        async with tools_at(self._url, self._token) as tools:
            given = {"prompt": prompt, "reference_images": uploads, **fields}
            assert told(await tools.call_tool("generate_image", given))["state"] == "succeeded"

    async def _post(self, path: str, **what: Any) -> httpx.Response:
        return (await self._http.post(path, **what)).raise_for_status()


Ask = Callable[..., Awaitable[None]]


@pytest.mark.parametrize(
    ("ask", "fields", "ratio"),
    [
        *((Face.job, {}, "16:9"), (Face.job, {"aspect_ratio": None, "image_size": "2K"}, "16:9")),
        *((Face.job, {"aspect_ratio": "auto"}, "16:9"), (Face.job, {"aspect_ratio": "1:1"}, "1:1")),
        *((Face.openai_form, {}, "16:9"), (Face.openai_form, {"size": "auto"}, "16:9")),
        *((Face.openai_form, {"size": "1024x1536"}, "2:3"), (Face.openai_json, {}, "16:9")),
        *((Face.openai_json, {"size": "auto"}, "16:9"), (Face.openai_json, {"size": "1024x1024"}, "1:1")),
        *((Face.modelscope, {}, "16:9"), (Face.modelscope, {"size": "1024x1024"}, "16:9")),
        *((Face.modelscope, {"size": "1328x1328"}, "1:1"), (Face.modelscope, {"size": "928x1664"}, "9:16")),
        *((Face.mcp, {}, "16:9"), (Face.mcp, {"aspect_ratio": "4:3"}, "4:3")),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_an_edit_keeps_the_ratio_of_its_first_reference_unless_one_is_named(
    shared_stack: SharedStack, account: Account, ask: Ask, fields: dict[str, object], ratio: str
) -> None:
    headers = {"Authorization": f"Bearer {account.token}"}
    async with httpx.AsyncClient(base_url=f"{shared_stack.url}/v1", headers=headers, timeout=60) as http:
        await ask(Face(http, shared_stack.url, account.token), prompt := fresh(), **fields)
    [call] = shared_stack.calls(prompt)
    assert (call.references, call.aspect_ratio) == (2, ratio)
    [job] = await shared_stack.jobs(account.owner)
    assert job.request.aspect_ratio == ratio
