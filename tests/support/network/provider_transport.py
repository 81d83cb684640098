"""A telephone line in the place of httpx's sockets: what is asked on it, and what a provider says."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import httpx
import pytest
from pydantic import SecretStr

from contract.settings.nanobot_config import ProviderConfig
from contract.untrusted.sandbox_protocol import Frame
from tests.support.factories.images import picture
from worker.answers.errors import ProviderError
from worker.answers.untrusted_json import Json
from worker.http.pending_result import GeneratedImage
from worker.http.provider_client import HttpResources, ProviderClient
from worker.memory.budget import Budget
from worker.providers.aihubmix import AIHUBMIX
from worker.providers.provider import ImageCall, Provider
from worker.sandbox.child import reply
from worker.sandbox.pool import Sandbox

Said = httpx.Response | Exception | float
KEY = "custom-key-0123456789abcdef"
ASK = ImageCall(prompt="a fox in the snow", model="a/b", aspect_ratio="1:1", image_size="1K")
PICTURE = picture()
B64 = base64.b64encode(PICTURE).decode()
HUB = replace(AIHUBMIX, poll_interval_s=0)
CONTEXT = ssl.create_default_context()
GOOD = {"output": [{"bytesBase64": B64}]}
POLL = {"output": [{"polling_url": "https://aihubmix.com/v1/tasks/7", "taskId": "7"}]}
CDN = "https://93.184.216.34/fox.png"


class Inside:
    """Reads as a child of the sandbox does, but in this process."""

    def __init__(self, module: str, *_: str, lock: object) -> None:
        assert module == "worker.sandbox.child"

    def ask(self, question: dict[str, Json], body: bytearray) -> Frame:
        """Hand a body over, as through a socket."""
        found, data = reply(question["provider"], body, question["most"], is_poll=bool(question["is_poll"]))
        body.clear()
        return json.loads(json.dumps(found)), bytearray(data)

    def is_dead(self) -> bool:
        """Live for ever."""
        return False

    def interrupt(self) -> None:
        """Leave nothing behind."""

    def end(self) -> None:
        """Leave nothing open."""


class ProviderTransport:
    """Answers from a list, where a number is a pause, and keeps what was sent.

    A call that repeats too often runs out of answers.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[Said] = []
        self.sent: list[httpx.Request] = []
        self.times: list[float] = []
        self.budget: Budget | None = None

        async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            self.sent.append(request)
            self.times.append(asyncio.get_running_loop().time())
            while isinstance(answer := self.answers.pop(0), float):
                await asyncio.sleep(answer)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
        monkeypatch.setattr("contract.untrusted.sandbox_pool.SandboxProcess", Inside)

    @property
    def methods(self) -> list[str]:
        """List how was asked, oldest first."""
        return [request.method for request in self.sent]

    async def make(
        self,
        *answers: Said,
        provider: Provider = HUB,
        base: str = "",
        extra_body: dict[str, Json] | None = None,
        ask: ImageCall = ASK,
        begin_s: float = 5,
        whole_s: float = 5,
        idle_s: float = 5,
        fetch_s: float | None = None,
    ) -> GeneratedImage:
        """Make an image with these answers."""
        self.answers = list(answers)
        config = ProviderConfig(api_key=SecretStr(KEY), api_base=base or None, extra_body=extra_body or {})
        budget = self.budget or Budget(2**30)
        wire = HttpResources(
            ssl_context=CONTEXT, sandbox=Sandbox(), budget=budget, connect_s=5, idle_s=idle_s, retry_s=0.001
        )
        async with ProviderClient(provider, config, wire) as talk:
            with budget.share() as share:
                return await talk.make(
                    ask, share=share, begin_s=begin_s, whole_s=whole_s, fetch_s=fetch_s, request_id="job.0.1"
                )

    async def brings(self, *answers: Said, **how: object) -> tuple[bytes, float | None]:
        """Make an image; answer its bytes and its cost."""
        made = await self.make(*answers, **how)  # type: ignore[arg-type]
        return bytes(made.picture.data), made.cost_usd

    async def refused(self, *answers: Said, **how: object) -> ProviderError:
        """Fail to make an image; answer how."""
        with pytest.raises(ProviderError) as caught:
            await self.make(*answers, **how)  # type: ignore[arg-type]
        assert not any(secret in str(caught.value.record()) for secret in (KEY, ASK.prompt))
        return caught.value


def raw(content: bytes, status: int = 200, **headers: str) -> httpx.Response:
    """Answer with these bytes; underscores in names of headers stand for dashes."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(content))


def answer(body: object, status: int = 200, **headers: str) -> httpx.Response:
    """Answer with JSON."""
    return raw(json.dumps(body).encode(), status, **headers)


def dripping(pieces: Iterable[bytes], pause_s: float = 0.01, status: int = 200) -> httpx.Response:
    """Answer piece by piece, with a pause before each."""

    class Drip(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in pieces:
                await asyncio.sleep(pause_s)
                yield piece

    return httpx.Response(status, stream=Drip())


def linking(url: str = CDN) -> httpx.Response:
    """Answer as OpenRouter does, with a link or a picture, and what it cost."""
    return answer({"choices": [{"message": {"images": [{"image_url": {"url": url}}]}}], "usage": {"cost": 0.04}})
