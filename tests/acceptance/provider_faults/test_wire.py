"""What really goes over the wire to each provider: the documented body and headers, and nothing else.

The same code speaks to the real services; only key and base URL of the configuration differ.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from contract.jobs.job import JobState
from contract.settings.loader import load_settings
from tests.support.stack.stack import Stack
from worker.providers.registry import PROVIDERS

pytestmark = pytest.mark.real_redis

# What httpx itself sends, and our request id, beside what the providers document.
OF_THE_CLIENT = {"host", "accept", "accept-encoding", "connection", "content-length", "user-agent", "x-request-id"}


async def made(stack: Stack, **fields: Any) -> None:
    """Run one job to its end."""
    await stack.start_worker()
    async with stack.client() as darkroom:
        job = await darkroom.wait((await darkroom.submit(**fields)).id, timeout_s=20)
    assert job.state is JobState.SUCCEEDED


async def test_openrouter_gets_the_documented_chat_completion(stack: Stack) -> None:
    await made(stack, prompt="a red fox", aspect_ratio="16:9", image_size="2K")
    [call] = stack.simulator.ledger
    assert call.path == "/api/v1/chat/completions"
    assert call.body == {
        "model": "openai/gpt-5.4-image-2",
        "messages": [{"role": "user", "content": "a red fox"}],
        "modalities": ["image", "text"],
        "stream": False,
        "image_config": {"aspect_ratio": "16:9", "image_size": "2K"},
    }
    assert set(call.headers) - OF_THE_CLIENT == {"authorization", "content-type"}
    assert call.headers["content-type"] == "application/json"


async def test_openrouter_gets_references_as_data_urls(stack: Stack) -> None:
    picture = stack.folder / "workspace" / "robot.png"
    picture.parent.mkdir()
    await made(stack, prompt="first")
    picture.write_bytes(next(stack.folder.rglob("img_*.png")).read_bytes())
    async with stack.client() as darkroom:
        edit = await darkroom.submit(prompt="warm orange", reference_images=["robot.png"])
        assert (await darkroom.wait(edit.id, timeout_s=20)).state is JobState.SUCCEEDED
    url = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    body: Any = stack.simulator.ledger[-1].body
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "warm orange"}, {"type": "image_url", "image_url": {"url": url}}],
        }
    ]


async def test_aihubmix_gets_the_documented_prediction(stack: Stack) -> None:
    stack.write_config("aihubmix", model="gpt-image-2-free")
    config = json.loads(stack.config.read_text())
    config["providers"]["aihubmix"] |= {"extraBody": {"quality": "low"}, "extraHeaders": {"APP-Code": "nano"}}
    stack.config.write_text(json.dumps(config))
    await made(stack, prompt="a red fox", aspect_ratio="16:9")
    [call] = stack.simulator.ledger
    assert call.path == "/v1/models/openai/gpt-image-2-free/predictions"
    assert call.body == {"input": {"prompt": "a red fox", "n": 1, "size": "1536x1024", "quality": "low"}}
    assert set(call.headers) - OF_THE_CLIENT == {"authorization", "content-type", "app-code"}


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("aihubmix", "https://aihubmix.com/v1/models/openai/gpt-image-2-free/predictions"),
    ],
)
def test_without_a_base_url_the_real_service_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, url: str
) -> None:
    from worker.providers.provider import ImageCall

    monkeypatch.setenv("THE_KEY", "sk-real")
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "providers": {provider: {"apiKey": "${THE_KEY}"}},
                "tools": {"imageGeneration": {"provider": provider, "model": "gpt-image-2-free"}},
            }
        )
    )
    settings = load_settings(config)
    ask = ImageCall(prompt="x", model=settings.image.model, aspect_ratio="1:1", image_size="1K")
    call = PROVIDERS[provider].build_request(ask, settings.provider(provider), PROVIDERS[provider].api_base)
    assert call.url == url
    assert call.headers == {"Authorization": "Bearer sk-real", "Content-Type": "application/json"}
