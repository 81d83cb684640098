"""Darkroom's own settings: DARKROOM_<NAME> of the environment, or of `darkroom.env` next to config.json.

Each is described here and nowhere else. The tables of docs/reference/configuration.md and .env.example are made from
these descriptions by `make docs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from contract.errors.exceptions import Problem
from contract.provider_specs import AIHUBMIX
from contract.settings.environment_types import (
    Fallbacks,
    Networks,
    PublicUrl,
    Rate,
    RedisUrl,
    Schedule,
    Secret,
    Words,
)

PREFIX = "DARKROOM_"


@dataclass(frozen=True, slots=True)
class Default:
    """What stands for a variable that is not set, in words, where its value says too little."""

    words: str


_NO_LIMIT = Default("no limit")
_FALLBACKS = (
    f'[{{"quality": "low"}}, {{"provider": "{AIHUBMIX.name}", "model": "{AIHUBMIX.model}", "image_size": "1K"}}]'
)

# They say where to look and for whom, so they are read before the others, and from the environment alone.
APART = (
    ("DARKROOM_CONFIG", "`~/.nanobot/config.json`", "path of the configuration"),
    ("DARKROOM_OWNER", "`cli:<you>`", "whose jobs the command line submits and shows"),
)


class QueueVariables(BaseModel):
    """Those of the queue."""

    redis_url: Annotated[
        RedisUrl,
        Default("that of a running `darkroom up` with the same configuration, else `redis://127.0.0.1:6379/0`"),
    ] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="address of Redis; over TLS it begins with `rediss://` (docs/howto/redis.md)",
    )
    allow_unsafe_redis: bool = Field(False, description="start workers even if Redis evicts jobs or is a cluster")
    queue_seconds: float = Field(3600, gt=0, description="how long a job may wait for its start; then it expires")
    deadline_seconds: float = Field(
        600, gt=0, description="how long a job may take after its start; a request may ask for less"
    )
    retention_seconds: float = Field(
        7 * 86_400, ge=60, description="how long ended jobs are kept; their images stay on disk"
    )
    keys_elsewhere: bool = Field(
        False,
        description="this process needs no provider keys, because only the workers have them. A client of a running "
        "`darkroom up` needs none in any case",
    )


class WorkerVariables(BaseModel):
    """Those of workers and their calls to providers."""

    concurrency: int = Field(32, ge=1, le=1000, description="number of jobs that one worker runs at the same time")
    body_memory_mb: Annotated[int | None, Default("by the container's memory limit (288 of 1 GiB, at most 1024)")] = (
        Field(
            None,
            ge=16,
            description="memory in MiB for large provider responses in one worker. A response that does not fit waits "
            "at its sender, and its time-outs stand still",
            examples=["288"],
        )
    )
    attempt_timeout_seconds: Annotated[float | None, Default("that of the provider")] = Field(
        None, gt=0, description="time-out of one provider call; a request may ask for less", examples=["120"]
    )
    connect_seconds: float = Field(5, gt=0, description="time-out of connecting to a provider")
    idle_seconds: float = Field(
        30, gt=0, description="a call ends after so many seconds of silence, or of less than 1 KiB/s"
    )
    calls_per_image: int = Field(9, ge=1, le=10, description="maximum number of provider calls for each image of a job")
    retry_seconds: float = Field(
        1, gt=0, description="maximum pause before the first retry; it doubles with each further one"
    )
    breaker_seconds: float = Field(
        15,
        gt=0,
        description="how long a circuit breaker stays open after five failures in a row; four times as long after a "
        "rejected key",
    )
    max_concurrency: Annotated[int | None, _NO_LIMIT] = Field(
        None,
        ge=1,
        description="maximum number of calls with one provider key at the same time, of all workers together",
        examples=["8"],
    )
    fallbacks: Annotated[Fallbacks | None, Default("from the request (lower quality, then smaller sizes)")] = Field(
        None,
        description="the rungs of the ladder after the first, as JSON; the fields are `provider`, `model`, "
        "`image_size`, `quality` and `timeout_seconds`",
        examples=[_FALLBACKS],
    )
    drain_seconds: Annotated[float | None, Default("the longest call time-out + 90")] = Field(
        None,
        ge=0,
        description="how long running calls may continue when a worker stops. A call that is given up is paid again. "
        "A stop only lasts as long as calls do",
        examples=["210"],
    )
    lease_seconds: float = Field(15, ge=5, description="how long a silent worker keeps its jobs, at least 5")


class OwnerVariables(BaseModel):
    """Those that limit owners."""

    max_jobs_per_owner: int = Field(500, ge=1, description="maximum number of unfinished jobs of one owner")
    max_queued: int = Field(10_000, ge=1, description="maximum number of waiting jobs of all owners")
    keep_jobs_per_owner: int = Field(
        5000, ge=1, description="maximum number of ended jobs of one owner that are kept; the oldest ones are forgotten"
    )
    keep_mb_per_owner: int = Field(
        32, ge=1, description="maximum memory in MiB that Redis may use for the jobs of one owner"
    )
    keep_mb: int = Field(
        128,
        ge=1,
        description="maximum memory in MiB that Redis may use for all jobs; set it to half of its `maxmemory`. "
        "The oldest ended jobs of the owner with the most are forgotten",
    )
    max_running_per_owner: Annotated[int, _NO_LIMIT] = Field(
        0, ge=0, description="maximum number of running jobs of one owner; further jobs wait"
    )
    budget_usd_per_day: Annotated[float, _NO_LIMIT] = Field(
        0, ge=0, description="what one owner may spend in a day (UTC)"
    )
    least_free_mb: int = Field(
        512,
        ge=0,
        description="free space in MiB on the disk of the media directory below which no job and no upload is accepted",
    )
    price_usd: float = Field(0.2, ge=0, description="estimated price of an image that no price list has")
    models: Words = Field(
        (),
        description="models of the configured provider that a request may name, in addition to the configured one",
        examples=["google/gemini-2.5-flash-image,openai/gpt-5-image-mini"],
    )
    any_model: bool = Field(
        False, description="treat unknown model names as the configured model instead of rejecting them"
    )


class GatewayVariables(BaseModel):
    """Those of the HTTP gateway."""

    host: str = Field(
        "127.0.0.1", description="address that the gateway listens on. Any address but loopback needs a token first"
    )
    port: int = Field(8790, ge=0, le=65_535, description="port that the gateway listens on")
    hosts: Words = Field(
        (),
        description="host names that the gateway answers to, in addition to `localhost`",
        examples=["darkroom.example.org,gateway"],
    )
    public_url: Annotated[PublicUrl | None, Default("the address of the request")] = Field(
        None,
        description="base URL of the links in answers, for clients elsewhere",
        examples=["https://darkroom.example.org"],
    )
    origins: Words = Field(
        (),
        description="other web origins whose scripts may change something",
        examples=["https://chat.example.org"],
    )
    tokens: Annotated[Path | None, Default("`darkroom/tokens.json` next to config.json")] = Field(
        None, description="file of the access tokens, readable for its owner only (mode 600)"
    )
    secret: Annotated[Secret | None, Default("`darkroom/secret.key` next to config.json")] = Field(
        None,
        description="key that signs webhooks and links, at least 32 characters. Set it where gateways and workers do "
        "not share a `darkroom` directory",
    )
    rate: Rate = Field(
        "600/minute",
        description="rate limit of submitting; several limits are separated by `;`: `30/second;600/minute`",
    )
    miss_rate: Rate = Field("600/minute", description="rate limit of requests for jobs and images that do not exist")
    max_streams_per_owner: int = Field(
        5, ge=1, description="maximum number of event streams of one owner at the same time"
    )
    max_waits_per_owner: int = Field(
        200,
        ge=1,
        description="maximum number of answers to one owner that wait for a job at the same time: long polls, streams, "
        "waiting responses, MCP calls",
    )
    max_connections: int = Field(
        4000,
        ge=32,
        description="maximum number of open connections of one gateway. A quarter is for those that have sent no "
        "token. There are fewer where the limit of open files is lower",
    )
    max_uploads_per_owner: int = Field(
        200, ge=1, description="maximum number of kept uploads of one owner; those of ended jobs give way to others"
    )
    max_upload_mb_per_owner: int = Field(
        1024,
        ge=1,
        description="maximum size in MiB of the kept uploads of one owner together, with those that gave way today",
    )
    link_seconds: int = Field(
        3600, ge=60, description="minimum lifetime of a signed link to an image; the maximum is twice as long"
    )
    grace_seconds: float = Field(
        20, gt=0, description="how long a waiting answer sends nothing, so that an error has its own status"
    )
    heartbeat_seconds: float = Field(10, gt=0, description="after that, interval of the signs of life")
    linger_seconds: float = Field(
        5, ge=0, description="grace period after a client disconnects before its job is cancelled"
    )
    polling_linger_seconds: float = Field(
        60, ge=0, description="grace period after a client stops polling before its job is cancelled"
    )


class WebhookVariables(BaseModel):
    """Those of webhooks."""

    webhook_networks: Networks = Field(
        (),
        description="private networks that webhooks may reach, by http and on any port too",
        examples=["10.20.0.0/16,fd00:20::/32"],
    )
    webhook_schedule: Schedule = Field(
        (0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000),
        description="seconds before each delivery attempt; the first is 0",
    )


class ToolVariables(BaseModel):
    """Those of chat gateways."""

    tool_wait_seconds: float = Field(
        20,
        ge=0,
        le=600,
        description="how long a tool waits for its images before it answers with the job id. Over MCP at most 20, "
        "because clients give up after 30",
    )
    plugin: Annotated[bool, Default("`on`")] = Field(
        True, description="`off`: the plugin does nothing, and nanobot's own image tool stays as it is"
    )  # read by producer/nanobot/switch.py, which is light


GROUPS: dict[str, type[BaseModel]] = {
    "Queue": QueueVariables,
    "Workers and provider calls": WorkerVariables,
    "Owners and limits": OwnerVariables,
    "HTTP gateway": GatewayVariables,
    "Webhooks": WebhookVariables,
    "nanobot, MCP and the command line": ToolVariables,
}


class Environment(
    ToolVariables, WebhookVariables, GatewayVariables, OwnerVariables, WorkerVariables, QueueVariables, BaseSettings
):
    """All of them, read from the environment and from `darkroom.env` next to config.json."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", allow_inf_nan=False
    )


def read_environment(path: Path, problems: list[Problem]) -> Environment:
    """Read DARKROOM_*: the environment goes before darkroom.env."""
    try:
        return Environment(_env_file=path.parent / "darkroom.env")
    except SettingsError:  # the only setting that is JSON
        problems.append(Problem("DARKROOM_FALLBACKS", "is not valid JSON"))
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name, *rest = item["loc"]
            variable = PREFIX + str(name).upper().removeprefix(PREFIX)
            problems.append(Problem(".".join([variable, *map(str, rest)]), item["msg"]))
    return Environment.model_construct()
