"""The types of DARKROOM_* variables: how people write them, and what is refused."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    NonNegativeFloat,
    SecretStr,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode
from redis.asyncio.connection import parse_url

from contract.jobs.request import ImageSize, ModelName


class Fallback(BaseModel):
    """One rung of DARKROOM_FALLBACKS; what it leaves out is as in the request."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    provider: str | None = None
    model: ModelName | None = None
    image_size: ImageSize | None = None
    quality: str | None = None
    timeout_seconds: float | None = Field(None, gt=0)


def _some(fallbacks: tuple[Fallback, ...]) -> tuple[Fallback, ...]:
    if not fallbacks:
        raise PydanticCustomError("fallbacks_empty", "must not be an empty list")
    return fallbacks


_LOGIN = r"(?:[^@/?#\s]*@)?"
_HOST = rf"{_LOGIN}[^@/?#\s]+(?:/\d*)?"
_TLS = (
    r"ssl_(?:cert_reqs=(?:required|optional|none)|check_hostname=(?:true|false)|(?:ca_certs|certfile|keyfile)=[^&#]+)"
)
_REDIS_URL = re.compile(
    rf"redis://{_HOST}|rediss://{_HOST}(?:\?{_TLS}(?:&{_TLS})*)?|unix://{_LOGIN}/[^?#]+(?:\?db=\d+)?"
)


def _redis_url(url: SecretStr) -> SecretStr:
    """Let only those spellings pass that redis-py and kombu read alike."""
    try:
        if _REDIS_URL.fullmatch(url.get_secret_value()) and parse_url(url.get_secret_value()):
            return url
    except ValueError:  # its words may hold a part of the password
        pass
    form = (
        "redis://[user:password@]host[:port][/db], rediss:// likewise, with ?ssl_ca_certs=…, ssl_certfile=…, "
        "ssl_keyfile=…, ssl_cert_reqs=… or ssl_check_hostname=… joined by &, or unix://[user:password@]/path[?db=n]"
    )
    raise PydanticCustomError("redis_url_invalid", "must be {form}", {"form": form})


def _words(value: object) -> object:
    """Read a list as people write it in an environment: with commas."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _public_url(url: str) -> str:
    if not re.fullmatch(r"https?://[\w.\[\]:-]+(?:/[\w./-]*)?", url, re.ASCII):
        raise PydanticCustomError("public_url_invalid", "must be an http(s) address without query or login")
    return url.rstrip("/")


_RATE = r"[1-9]\d{0,8}/(?:[1-9]\d{0,5})?(?:second|minute|hour|day)"

Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Rate = Annotated[str, Field(pattern=rf"^{_RATE}(?:;{_RATE})*$")]  # "30/second;600/minute"


def _schedule(waits: tuple[float, ...]) -> tuple[float, ...]:
    if not (1 <= len(waits) <= 20 and waits[0] == 0 and max(waits) <= 7 * 86_400):
        raise PydanticCustomError("schedule_invalid", "must be 1 to 20 waits in seconds, of which the first is 0")
    return waits


def _secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        raise PydanticCustomError("secret_too_short", "must have 32 characters at least")
    return secret


RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
Fallbacks = Annotated[tuple[Fallback, ...], AfterValidator(_some)]
Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_words)]
Schedule = Annotated[tuple[NonNegativeFloat, ...], NoDecode, BeforeValidator(_words), AfterValidator(_schedule)]
