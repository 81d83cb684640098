"""Builds calls as a client of the providers sends them, for tests that speak to the simulator without Darkroom."""

import asyncio
import json
from contextlib import suppress

from simulator.server.connection import JsonObject

KEY = {"Authorization": "Bearer sk-test"}
CHAT = "/api/v1/chat/completions"
PREDICT = "/v1/models/openai/gpt-image-2-free/predictions"
READ_BYTES = 65536


def chat(prompt: str = "a fox", *, model: str = "google/gemini", **config: str) -> JsonObject:
    """Return the body of an OpenRouter call."""
    messages = [{"role": "user", "content": prompt}]
    return {"model": model, "messages": messages, "image_config": {"image_size": "512", **config}}


def predict(prompt: str = "a fox", **wishes: object) -> JsonObject:
    """Return the body of an AIHubMix call."""
    return {"input": {"prompt": prompt, "size": "256x256", **wishes}}


def predict_path(model: str) -> str:
    """Return the path of an AIHubMix call."""
    return f"/v1/models/{model}/predictions"


def encode(path: str, body: JsonObject, *, keep_alive: bool = False) -> bytes:
    """Return a call as it goes over the wire."""
    data = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: simulator",
        "Authorization: Bearer sk-test",
        f"Content-Length: {len(data)}",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


async def converse(port: int, data: bytes, *, seconds: float = 3.0, most: int = 1 << 62) -> tuple[bytes, str]:
    """Send bytes and return what comes back and how it ended: `fin`, `rst`, `silence` or `enough`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = bytearray()
    try:
        async with asyncio.timeout(seconds):
            writer.write(data)
            while len(received) < most:
                piece = await reader.read(READ_BYTES)
                if not piece:
                    return bytes(received), "fin"
                received += piece
    except TimeoutError:
        return bytes(received), "silence"
    except ConnectionError:
        return bytes(received), "rst"
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return bytes(received), "enough"
