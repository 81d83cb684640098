"""Servers of other people that stand between a program and Darkroom."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx

from producer.stack.ports import free_port
from tests.clients.environment import Environment
from tests.clients.session import end

START_S = 240
Variables = Mapping[str, str]


@asynccontextmanager
async def litellm_proxy(environment: Environment, urls: Variables, token: str) -> AsyncIterator[Variables]:
    """Run LiteLLM's proxy with a model for each gateway."""
    given = {
        name: {"api_base": f"{url}/v1", "api_key": token, "model": "openai/gpt-image-1"} for name, url in urls.items()
    }
    models = [{"model_name": name, "litellm_params": params} for name, params in given.items()]
    config = environment.folder / "proxy.yaml"
    key = f"sk-{secrets.token_hex(32)}"
    settings = {"model_list": models, "general_settings": {"master_key": key}}
    config.write_text(json.dumps(settings))  # which is YAML, too
    port = free_port()
    command = [str(environment.python.with_name("litellm")), "--config", str(config), "--host", "127.0.0.1"]
    url = f"http://127.0.0.1:{port}"
    async with _running([*command, "--port", str(port)], environment, {}, f"{url}/health/liveliness"):
        yield {"PROXY": url, "TOKEN": key}


@asynccontextmanager
async def open_webui(environment: Environment, urls: Variables, token: str) -> AsyncIterator[Variables]:
    """Run Open WebUI for one user, without a network and without models of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        "DATA_DIR": str(environment.folder / "data"),
        "ENABLE_OLLAMA_API": "false",
        "ENABLE_OPENAI_API": "false",
        "OFFLINE_MODE": "true",
        "WEBUI_AUTH": "false",
        "WEBUI_SECRET_KEY": "canary",
        "RAG_EMBEDDING_ENGINE": "openai",
    }
    command = [str(environment.python.with_name("open-webui")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    async with _running(command, environment, variables, f"{url}/health"):
        yield {"OPEN_WEBUI": url}


@asynccontextmanager
async def nothing(environment: Environment, urls: Variables, token: str) -> AsyncIterator[Variables]:
    """Run nothing: the program asks Darkroom itself."""
    yield {}


@asynccontextmanager
async def _running(
    command: Sequence[str], environment: Environment, variables: Variables, probe: str
) -> AsyncIterator[None]:
    log = environment.folder / "server.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=environment.folder,
            env=environment.variables(**variables),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(START_S), httpx.AsyncClient() as anybody:
            while not await _answers(anybody, probe):
                assert process.returncode is None, log.read_text()[-4000:]
                await asyncio.sleep(0.2)
        yield
    finally:
        end(process)
        await process.wait()


async def _answers(anybody: httpx.AsyncClient, probe: str) -> bool:
    try:
        return (await anybody.get(probe)).status_code == 200
    except httpx.TransportError:
        return False


Server = Callable[[Environment, Variables, str], AbstractAsyncContextManager[Variables]]
SERVERS: dict[str, Server] = {"": nothing, "litellm_proxy": litellm_proxy, "open_webui": open_webui}
