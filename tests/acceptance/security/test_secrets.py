"""Canary keys, passwords and a canary prompt through a small suite of trouble, then the search for them everywhere.

Keys and passwords may be nowhere; the prompt stands in the job's hash, in the arguments of the script that brings
it there, in sidecars, and in what its owner asks for. Every place that is searched has to have something in it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
import re
import resource
import signal
import sys
import traceback
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from simulator.server.server import Simulator

from contract.errors.exceptions import Refused
from contract.jobs.job import Job, JobState
from contract.settings.nanobot_config import ProviderConfig
from contract.store.scripts import script_text
from producer.client.client import Darkroom
from producer.stack.ports import free_port
from tests.support.network.loopback import loopback_server
from tests.support.process.secret_canaries import (
    PASSWORDS,
    PROMPT,
    SECRETS,
    SPELLINGS,
    Command,
    Process,
    Search,
    read_commands,
    read_keyspace,
    read_monitored,
    read_processes,
)
from tests.support.stack.flower import hears_workers, open_flower
from tests.support.stack.redis_server import RealRedis
from tests.support.stack.stack import Stack
from worker.answers.redaction import clean

CANARIES = Search(prompt=PROMPT, **SECRETS, **PASSWORDS)

DARKROOM = Path(sys.executable).parent / "darkroom"
FLOWER_LOGIN = ("ann", PASSWORDS["flower"])
SUBMIT = hashlib.sha1(script_text("jobs/submit").encode(), usedforsecurity=False).hexdigest()
LINK = "a link to"
OWN_PROGRAM = ["env"]  # as /proc keeps the environment that a program was started with, not that of a fork
SETTINGS = {
    "DARKROOM_LEASE_SECONDS": "5",
    "DARKROOM_BREAKER_SECONDS": "0.2",
    "DARKROOM_CALLS_PER_IMAGE": "3",
    "DARKROOM_FALLBACKS": json.dumps([{"image_size": "512"}, {"provider": "aihubmix", "model": "openai/gpt-image-1"}]),
}

# What the provider does to a job, what else the job asks for, and the error it ends with, by the job's name.
TROUBLE: dict[str, tuple[str | list[dict[str, object]], dict[str, Any], str]] = {
    "proxied": ("ok", {"fallback": "none"}, "provider_down"),
    "good": ("ok twice", {"count": 2}, ""),
    "retried": ("P28 twice, ok", {}, ""),
    "smaller": ("hang, ok", {"image_size": "1K", "attempt_timeout_seconds": 1}, ""),
    "elsewhere": ("P36, ok", {}, ""),
    "late": ("hang always", {"fallback": "none", "attempt_timeout_seconds": 1}, "provider_timeout"),
    "moderated": ("refuse always", {}, "content_refused"),
    "damaged": ("P58 always", {}, "bad_image"),
    "led_astray": ("P40 always", {}, "bad_api_base"),
    "echo_in_400": ("P56.secrets_in_400 always", {}, "bad_parameters"),
    "echo_in_401": ("P56.secrets_in_401 always", {}, "provider_auth"),
    "echo_in_500": ("P56.secrets_in_500 always", {}, "provider_error"),
    "echo_in_200": ("P56.secrets_in_200 always", {}, "provider_down"),
    "echo_in_words": ("P56.secrets_in_words always", {}, "no_image"),
    "echo_in_a_page": ("P56.secrets_in_a_page always", {}, "provider_down"),
    "linked": ([{"kind": "links", "links": ["http://{key}.test/{prompt}"], "times": "always"}], {}, "unsafe_url"),
    "cancelled": ("hang always", {}, ""),
    "victim": ("ok", {"fallback": "none"}, ""),
}
BAD_INPUT: dict[str, dict[str, Any]] = {
    "count_out_of_range": {"prompt": PROMPT, "count": 99},
    "prompt_invalid_characters": {"prompt": PROMPT + "\ud800"},
    "prompt_too_long": {"prompt": PROMPT * 1000},
    "prompt_required": {"prompt": [PROMPT]},
    "aspect_ratio_invalid": {"prompt": PROMPT, "aspect_ratio": PROMPT},
    "image_size_invalid": {"prompt": PROMPT, "image_size": PROMPT},
    "fallback_invalid": {"prompt": PROMPT, "fallback": PROMPT},
    "type_error": {"prompt": PROMPT, "deadline_seconds": PROMPT},
    "reference_outside_roots": {"prompt": PROMPT, "reference_images": [f"/{PROMPT}.png"]},
    "reference_invalid": {"prompt": PROMPT, "reference_images": [f"https://{PROMPT}/fox.png"]},
    "unknown_field": {"prompt": PROMPT, "promt": PROMPT},
    "idempotency_key_invalid": {"prompt": PROMPT, "idempotency_key": PROMPT},
}


@dataclass(repr=False)  # it is long, and has the environment of processes
class Evidence:
    """What was seen, heard and left behind."""

    jobs: dict[str, Job] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    stories: list[str] = field(default_factory=list)
    monitored: list[bytes] = field(default_factory=list)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    keyspace: list[Command] = field(default_factory=list)
    append_only: bytes = b""
    gateway_log: str = ""
    terminal: dict[str, tuple[str, str]] = field(default_factory=dict)
    files: dict[Path, bytes] = field(default_factory=dict)
    pages: dict[str, httpx.Response] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)
    environments: dict[int, bytes] = field(default_factory=dict)

    @property
    def commands(self) -> list[tuple[str, Command]]:
        """Read what MONITOR said."""
        return [read_monitored(line) for line in self.monitored]

    @property
    def parts(self) -> dict[str, list[Process]]:
        """Sort out the processes of this Darkroom."""
        parts = {name: [each for each in self.processes if each.pid == pid] for name, pid in self.pids.items()}
        readers = [each for each in self.processes if each.parent == self.pids["worker"]]
        return {**parts, "reader": readers}


class Suite:
    """A Darkroom with Flower in trouble, and what comes of it."""

    def __init__(self, stack: Stack, darkroom: Darkroom, admin: Redis) -> None:
        self.evidence = Evidence()
        self.stack = stack
        self.darkroom = darkroom
        self.admin = admin
        self.environment = {
            **{"HOME": str(stack.folder / "home"), "PATH": os.environ["PATH"], "COLUMNS": "200"},
            **{"DARKROOM_REDIS_URL": stack.redis.url, "DARKROOM_CONFIG": str(stack.config), "DARKROOM_OWNER": "ann"},
        }

    async def play(self) -> None:
        """Go from one trouble to the next."""
        async with open_flower(self.stack.folder, self.environment, FLOWER_LOGIN) as (
            browser,
            self.evidence.pids["flower"],
        ):
            await self.lose_a_worker(browser)
            self.stack.write_config(**configuration())
            broken = await self.break_a_job()
            await self.stack.start_worker(network=None, within=OWN_PROGRAM, ahead="", **SETTINGS)
            await self.refuse()
            await asyncio.gather(self.finish("victim"), *(self.have(name) for name in ("smaller", "late")))
            for name in [name for name in TROUBLE if name not in (*self.evidence.jobs, "cancelled")]:
                await self.have(name)
            await self.cancel()
            await self.use_commands(broken)

            await self.browse(browser)
            await self.look()

    async def submit(self, name: str) -> Job:
        """Hand a job in, once the provider knows what to do to it and nobody what it did to others."""
        steps, fields, _ = TROUBLE[name]
        self.stack.simulator.script(steps, match=f"#{name}.")
        if breakers := await self.admin.keys("darkroom:gate:*"):
            await self.admin.delete(*breakers)
        job = await self.darkroom.submit(**{"prompt": prompt(name), "image_size": "512", **fields})
        self.evidence.jobs[name] = job
        return job

    async def finish(self, name: str) -> None:
        """Wait for a job, and hear its story again."""
        job = self.evidence.jobs[name]
        self.evidence.jobs[name] = await self.darkroom.wait(job.id, timeout_s=30)
        self.evidence.stories += [event.model_dump_json() async for event in self.darkroom.events(job.id)]

    async def have(self, name: str) -> None:
        """Have one trouble from begin to end."""
        await self.submit(name)
        await self.finish(name)

    async def is_called(self, job: Job) -> None:
        """Wait until a provider has been asked."""
        async for event in self.darkroom.events(job.id):
            if event.type == "attempt":
                return

    async def lose_a_worker(self, browser: httpx.AsyncClient) -> None:
        """Kill a worker in the midst of a call, behind a proxy that tells all it was told."""
        async with loopback_server(tell_tale) as port:
            self.stack.write_config(**configuration(proxy=f"http://ann:${{CANARY_PROXY_PASSWORD}}@127.0.0.1:{port}"))
            worker = await self.stack.start_worker(network=None, within=OWN_PROGRAM, ahead="", **SETTINGS)
            await hears_workers(browser)
            await self.have("proxied")
            await self.is_called(await self.submit("victim"))
            os.killpg(worker.pid, signal.SIGKILL)

    async def break_a_job(self) -> str:
        """Damage a job in its hash, so that the worker that claims it does not know what to do."""
        async with self.stack.client("bob") as bob:
            job = await bob.submit(prompt=prompt("broken"))
        request = job.request.model_dump_json()
        await self.admin.hset(f"darkroom:job:{job.id}", "request", request[: len(request) // 2])
        return job.id

    async def refuse(self) -> None:
        """Hand in what cannot be accepted, and keep the whole of each error, as a log would."""
        for fields in BAD_INPUT.values():
            with pytest.raises(Refused) as caught:
                await self.darkroom.submit(**fields)
            refused = caught.value
            said = "".join(traceback.format_exception(refused))
            self.evidence.refusals[refused.code] = f"{said} {refused.detail} {refused!r} {refused.values}"

    async def cancel(self) -> None:
        """Cancel a job in the midst of its call, when all connections to Redis have just been cut."""
        job = await self.submit("cancelled")
        await self.is_called(job)
        await self.admin.client_kill_filter(user="darkroom")
        await self.darkroom.cancel(job.id)
        await self.finish("cancelled")

    async def use_commands(self, broken: str) -> None:
        """Use the command line."""
        job_id = self.evidence.jobs["moderated"].id
        self.stack.simulator.script("P56.secrets_in_400 always", match="#echoed.")
        await asyncio.gather(
            self.run("generate", prompt("echoed"), "-s", "512"),
            self.run("generate", prompt("wrong"), "--count", "99"),
        )
        await asyncio.gather(
            self.run("watch", job_id, "--json"),
            self.run("status", job_id, "--json"),
            self.run("doctor"),
            self.run("status", broken, "--owner", "bob"),
        )

    async def run(self, *arguments: str) -> None:
        """Run a command, and keep what it says."""
        process = await asyncio.create_subprocess_exec(
            DARKROOM,
            *arguments,
            env={**self.environment, **SECRETS},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        self.evidence.terminal[" ".join(arguments)] = (out.decode(), err.decode())

    async def browse(self, browser: httpx.AsyncClient) -> None:
        """Visit everything in Flower that can be visited."""
        worker = f"darkroom@{os.uname().nodename}-{self.stack.workers[-1].pid}"
        ids = [job.id for job in self.evidence.jobs.values()]
        table = "draw=1&start=0&length=100&search[value]=&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name"
        pages = [
            *("/api/workers?refresh=1", "/", "/workers", "/workers?json=1", f"/worker/{worker}", "/tasks", "/broker"),
            *(f"/tasks/datatable?{table}", "/api/tasks", "/api/task/types", "/api/queues/length", "/metrics"),
            *("/healthcheck", *(f"/task/{job_id}" for job_id in ids), *(f"/api/task/info/{job_id}" for job_id in ids)),
        ]
        for page in pages:
            self.evidence.pages[page] = await browser.get(page)

    async def look(self) -> None:
        """Look at what is running, and at what has been written."""
        evidence, redis = self.evidence, self.stack.redis
        evidence.keyspace = [command async for command in read_keyspace(self.admin)]
        evidence.append_only = b"".join(log.read_bytes() for log in sorted(redis.socket.parent.rglob("*.aof")))
        evidence.files = {path: path.read_bytes() for path in self.stack.folder.rglob("*") if path.is_file()}
        evidence.processes = [*read_processes()]
        assert redis.process is not None
        evidence.pids |= {"worker": self.stack.workers[-1].pid, "redis": redis.process.pid}
        for process in (each for part in evidence.parts.values() for each in part):
            evidence.environments[process.pid] = Path(f"/proc/{process.pid}/environ").read_bytes()


def prompt(name: str) -> str:
    """Make the prompt of a job."""
    return f"{PROMPT} #{name}."


def configuration(**openrouter: str) -> dict[str, Any]:
    """Have all secrets come from the environment."""
    headers = {"X-Team": "${CANARY_HEADER}"}
    return {
        "providers": {
            "openrouter": {"apiKey": "${CANARY_OPENROUTER_KEY}", "extraHeaders": headers, **openrouter},
            "aihubmix": {"apiKey": "${CANARY_AIHUBMIX_KEY}"},
        }
    }


async def tell_tale(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a proxy that repeats in its answer what it was told, or says nothing to the victim."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = re.search(rb"(?i)content-length: (\d+)", head)
    body = await reader.readexactly(int(size[1])) if size else b""
    if b"#victim." in body:
        await reader.read()
    else:
        told = json.dumps({"error": {"message": f"cannot forward {(head + body).decode()}"}}).encode()
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
        await writer.drain()
    writer.close()


async def collect(folder: Path) -> Evidence:
    """Play the suite in a Darkroom of its own, listened to by everybody who can."""
    (folder / "redis").mkdir()
    (folder / "home").mkdir()
    redis = RealRedis(folder / "redis")
    with (folder / "redis/redis.conf").open("a") as config:
        config.write(f"bind 127.0.0.1\nport {(port := free_port())}\n")
        config.write(f"user darkroom on >{PASSWORDS['redis']} ~* &* +@all\n")
    redis.start()
    own_way, redis.url = redis.url, f"redis://darkroom:{PASSWORDS['redis']}@127.0.0.1:{port}/0"
    with pytest.MonkeyPatch.context() as monkeypatch, raised_core_limit(), StringIO() as log, logged(log):
        for name, value in SECRETS.items():  # after Redis, which is not to inherit them
            monkeypatch.setenv(name, value)
        async with AsyncExitStack() as resources:
            resources.callback(redis.kill)
            stack = Stack(folder, redis, await resources.enter_async_context(Simulator(seconds=0)))
            resources.callback(stack.stop)
            stack.write_config(**configuration())
            admin = await resources.enter_async_context(Redis.from_url(own_way))
            suite = Suite(stack, await resources.enter_async_context(stack.client("ann")), admin)
            await resources.enter_async_context(listening(redis.socket, admin, suite.evidence))
            await suite.play()
        suite.evidence.gateway_log = log.getvalue()
    return suite.evidence


@asynccontextmanager
async def listening(socket: Path, redis: Redis, evidence: Evidence) -> AsyncIterator[None]:
    """Note each command that Redis gets, and each message that it passes on."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=2**24)
    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"

    async def monitor() -> None:
        async for line in reader:
            evidence.monitored.append(line)

    async def hear() -> None:
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                evidence.heard.append((message["channel"].decode(), message["data"]))

    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe("*")
        tasks = [asyncio.create_task(monitor()), asyncio.create_task(hear())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            writer.close()


@contextmanager
def raised_core_limit() -> Iterator[None]:
    """Allow whatever is started meanwhile to dump its memory, as many systems do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@contextmanager
def logged(log: StringIO) -> Iterator[None]:
    """Write down all that a gateway's side of Darkroom has to say."""
    handler = logging.StreamHandler(log)
    loggers = [logging.getLogger(name) for name in ("asyncio", "celery", "contract", "kombu", "producer", "redis")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def evidence() -> Iterator[Evidence]:
    """Everything there is to search; collected once, in half a minute."""
    with TemporaryDirectory(prefix="dr-") as folder:
        yield asyncio.run(collect(Path(folder)))


def home(command: Command, place: int) -> str:
    """Name what may stand in a word of a command: the prompt in its job's hash, and on the way there."""
    is_hash = command[0].upper() == b"HSET" and re.fullmatch(rb"darkroom:job:[0-9a-f-]{36}", command[1])
    is_script = command[:2] == [b"EVALSHA", SUBMIT.encode()]
    return "prompt" if (is_hash or is_script) and command[place - 1] == b"request" else ""


def in_hash(command: Command, place: int) -> str:
    """Name what may stand where only effects of scripts are: the prompt in its job's hash."""
    return home(command, place) if command[0].upper() == b"HSET" else ""


JOB = f"darkroom:job:{uuid.UUID(int=7)}".encode()
REQUEST = json.dumps({"prompt": PROMPT}).encode()


def encoded(text: str) -> list[str]:
    """Spell a text in base64 as everybody does."""
    return [base64.b64encode(text.encode()).decode(), base64.urlsafe_b64encode(text.encode()).decode()]


@pytest.mark.parametrize("before", ["", "x", "xy"], ids=len)
@pytest.mark.parametrize("name", SPELLINGS)
def test_search_finds_every_spelling_of_a_canary_and_of_a_part_of_it(name: str, before: str) -> None:
    spell = encoded if name == "base64" else SPELLINGS[name]
    for text, canary in ((PROMPT, "prompt"), (SECRETS["CANARY_HEADER"], "CANARY_HEADER"), (PROMPT[3:14], "prompt")):
        for spelt in spell(f"{before}{text} and more"):
            for said in (spelt, spelt.encode().lower(), spelt.encode().upper()):
                assert CANARIES.names(b"noise %b noise" % (said.encode() if isinstance(said, str) else said)) == {
                    canary
                }


def test_search_finds_nothing_in_other_texts() -> None:
    other = " ".join([DARKROOM.as_posix(), "a red fox", "sk-or-v1-0123456789abcdef", "canary"])
    assert CANARIES.hits(other) == []
    assert CANARIES.hits(hashlib.shake_256(b"seed").digest(2**20)) == []


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ([b"HSET", JOB, b"owner", b"ann", b"request", REQUEST], set()),
        ([b"HSET", JOB, b"owner", b"ann", b"error", REQUEST], {"prompt"}),
        ([b"HSET", JOB + b":events", b"request", REQUEST], {"prompt"}),
        ([b"HSET", JOB, b"request", SECRETS["CANARY_HEADER"].encode()], {"CANARY_HEADER"}),
        ([b"HSET", b"darkroom:gate:" + base64.b64encode(REQUEST), b"request", b""], {"prompt"}),
        ([b"XADD", JOB + b":events", b"*", b"event", REQUEST], {"prompt"}),
        ([b"LPUSH", b"darkroom:bells", base64.b64encode(REQUEST)], {"prompt"}),
        ([b"PUBLISH", b"darkroom:events", PASSWORDS["redis"].encode()], {"redis"}),
        ([b"EVALSHA", SUBMIT.encode(), b"0", b"request", REQUEST], set()),
        ([b"EVALSHA", SUBMIT.encode(), b"0", b"bell", REQUEST], {"prompt"}),
        ([b"EVALSHA", b"0" * 40, b"0", b"request", REQUEST], {"prompt"}),
    ],
    ids=lambda value: b" ".join(value[:3]).decode()[:60] if isinstance(value, list) else "",
)
def test_search_tells_where_a_canary_may_stand_in_a_command(command: Command, found: set[str]) -> None:
    log = b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in command)
    assert list(read_commands(log * 2)) == [command] * 2
    said = b" ".join(b'"%b"' % repr(word)[2:-1].replace('"', '\\"').encode() for word in command)
    assert read_monitored(b"+1339518083.107412 [0 lua] %b\r\n" % said) == ("lua", command)
    assert {hit.name for hit in CANARIES.astray([command], home=home)} == found


@pytest.mark.real_redis
def test_trouble_was_had(evidence: Evidence) -> None:
    ended = {name: job.error.code if job.error else "" for name, job in evidence.jobs.items()}
    assert ended == {name: code for name, (_, _, code) in TROUBLE.items()}
    delivered = {name for name, job in evidence.jobs.items() if job.state is JobState.SUCCEEDED}
    assert delivered == {"good", "retried", "smaller", "elsewhere", "victim"}
    assert evidence.jobs["cancelled"].state is JobState.CANCELLED
    assert [attempt.outcome for attempt in evidence.jobs["victim"].attempts] == ["lost", "delivered"]
    asked = {attempt.provider for name, job in evidence.jobs.items() for attempt in job.attempts if "echo" in name}
    assert asked == {"openrouter", "aihubmix"}
    assert evidence.jobs["echo_in_400"].error is not None
    assert "Key … was refused for: …" in evidence.jobs["echo_in_400"].error.detail


@pytest.mark.real_redis
def test_append_only_file_has_the_prompt_in_hashes_of_jobs_and_no_secret(evidence: Evidence) -> None:
    commands = list(read_commands(evidence.append_only))
    assert {"HSET", "LPUSH", "XADD"} <= {command[0].decode().upper() for command in commands}
    assert CANARIES.names(evidence.append_only) == {"prompt"}
    assert CANARIES.astray(commands, home=in_hash) == []


@pytest.mark.real_redis
def test_keys_in_redis_have_the_prompt_in_hashes_of_jobs_and_no_secret(evidence: Evidence) -> None:
    assert {command[0] for command in evidence.keyspace} >= {b"hash", b"zset", b"stream", b"set", b"string"}
    holding = {command[1] for command in evidence.keyspace if CANARIES.names(command[-1])}
    assert {f"darkroom:job:{job.id}".encode() for job in evidence.jobs.values()} <= holding
    assert CANARIES.astray(evidence.keyspace, home=in_hash) == []


@pytest.mark.real_redis
def test_whoever_monitors_redis_sees_the_prompt_being_submitted_and_no_secret(evidence: Evidence) -> None:
    said = evidence.commands
    assert len(said) > 1000
    telling = {(source == "lua", command[0]) for source, command in said if CANARIES.hits(b"\0".join(command))}
    assert telling == {(False, b"EVALSHA"), (True, b"HSET"), (False, b"HSET")}, "the last one is how we broke a job"
    assert any(command[:2] == [b"EVALSHA", SUBMIT.encode()] for _, command in said)
    assert CANARIES.astray([command for _, command in said], home=home) == []


@pytest.mark.real_redis
def test_bells_are_ids_and_nothing_else(evidence: Evidence) -> None:
    bells = [
        json.loads(command[2])
        for source, command in evidence.commands
        if source == "lua" and command[0] in (b"LPUSH", b"RPUSH") and command[1].startswith(b"darkroom:bells")
    ]
    rung = {json.loads(bell["body"])[0][0] for bell in bells}
    assert {job.id for job in evidence.jobs.values()} <= rung
    assert CANARIES.hits(json.dumps(bells)) == []


@pytest.mark.real_redis
def test_messages_tell_nothing(evidence: Evidence) -> None:
    told = {job_id.decode() for channel, job_id in evidence.heard if channel == "darkroom:events"}
    assert {job.id for job in evidence.jobs.values()} <= told
    bodies = [json.loads(data)["body"] for channel, data in evidence.heard if "celeryev" in channel]
    events = [json.loads(base64.b64decode(body)) for body in bodies]
    flat = [event for each in events for event in (each if isinstance(each, list) else [each])]
    assert {each["type"].partition("-")[0] for each in flat} == {"worker"}, "of jobs the journal tells"
    assert CANARIES.hits(json.dumps(flat)) == []
    assert CANARIES.hits(b"\0".join(data for _, data in evidence.heard)) == []


@pytest.mark.real_redis
def test_stories_and_errors_of_jobs_tell_nothing(evidence: Evidence) -> None:
    assert len(evidence.stories) > 100
    assert CANARIES.hits("\n".join(evidence.stories)) == []
    for name, job in evidence.jobs.items():
        assert CANARIES.hits(job.model_dump_json(exclude={"request"})) == [], name
        assert CANARIES.names(job.model_dump_json()) == {"prompt"}, name


@pytest.mark.real_redis
def test_refusals_tell_nothing_even_in_a_traceback(evidence: Evidence) -> None:
    assert evidence.refusals.keys() == BAD_INPUT.keys()
    assert {code: hits for code, said in evidence.refusals.items() if (hits := CANARIES.hits(said))} == {}


@pytest.mark.real_redis
def test_files_have_no_secret_and_sidecars_alone_have_the_prompt(evidence: Evidence) -> None:
    files = {
        path: data for path, data in evidence.files.items() if path.parent.name != "redis" and path.suffix != ".log"
    }
    sidecars = {path for path in files if "media" in path.parts and path.suffix == ".json"}
    assert len(sidecars) == 6
    assert {path: names for path, data in files.items() if (names := CANARIES.names(data))} == {
        path: {"prompt"} for path in sidecars
    }


@pytest.mark.real_redis
def test_logs_tell_of_trouble_and_no_secret(evidence: Evidence) -> None:
    logs = {path.name: data.decode() for path, data in evidence.files.items() if path.suffix == ".log"}
    assert logs.keys() == {"worker-0.log", "worker-1.log", "flower.log"}
    for sign in ("failed: job_unreadable", LINK):
        assert sign in logs["worker-1.log"], sign
    assert "Connection to broker lost" not in logs["worker-1.log"]  # Celery's words are left out
    for log in (*logs.values(), evidence.gateway_log):
        lines = [line for line in log.splitlines() if LINK not in line]
        assert lines
        assert CANARIES.hits("\n".join(lines)) == []


@pytest.mark.real_redis
async def test_the_traceback_of_a_mistake_of_our_own_tells_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    stack.write_config(**configuration())
    await stack.start_worker(DARKROOM_FAILPOINT="after_response:1:EIO")
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt=prompt("mistaken"))
        job = await darkroom.wait(job.id, timeout_s=30)
    for sign in (f"job {job.id} failed inside Darkroom", "Traceback", "Input/output error"):
        assert sign in stack.logs(), sign
    assert CANARIES.hits(stack.logs()) == []


@pytest.mark.real_redis
def test_the_host_of_a_bad_link_tells_nothing(evidence: Evidence) -> None:
    [log] = [data.decode() for path, data in evidence.files.items() if path.name == "worker-1.log"]
    assert CANARIES.hits("\n".join(line for line in log.splitlines() if LINK in line)) == []


@pytest.mark.real_redis
def test_command_line_shows_the_prompt_to_its_owner_on_request_only(evidence: Evidence) -> None:
    assert len(evidence.terminal) == 6
    for command, (out, err) in evidence.terminal.items():
        assert out or err, command
        assert CANARIES.names(out) == ({"prompt"} if command.startswith("status") and out else set()), command
        assert CANARIES.hits(err) == [], command


@pytest.mark.real_redis
def test_flower_shows_jobs_and_no_canary(evidence: Evidence) -> None:
    assert {page: answer.status_code for page, answer in evidence.pages.items()} == dict.fromkeys(evidence.pages, 200)
    for job in evidence.jobs.values():
        assert job.id in evidence.pages["/api/tasks"].text
        assert job.id in evidence.pages[f"/task/{job.id}"].text
    for page, answer in evidence.pages.items():
        assert CANARIES.hits(f"{answer.headers} {answer.text}") == [], page


@pytest.mark.real_redis
def test_no_command_line_has_a_canary_and_who_needs_no_key_has_none(evidence: Evidence) -> None:
    found = evidence.parts
    assert found.keys() == {"worker", "reader", "flower", "redis"}
    assert [process.command for process in evidence.processes if CANARIES.names(process.command)] == []
    allowed = {"worker": {*SECRETS, "redis"}, "flower": {*PASSWORDS}, "reader": set(), "redis": set()}
    for name, processes in found.items():
        for process in processes:
            assert evidence.environments[process.pid], name
            assert CANARIES.names(evidence.environments[process.pid]) == allowed[name], name


@pytest.mark.real_redis
@pytest.mark.parametrize(
    "part",
    [
        *("worker", "reader"),
        "flower",
    ],
)
def test_no_process_with_secrets_dumps_its_memory(evidence: Evidence, part: str) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("nobody may dump memory here")
    assert {process.core for process in evidence.parts[part]} == {"0 0"}


SPELT = [("prompt", name) for name in SPELLINGS if name != "plain"] + [("CANARY_AIHUBMIX_KEY", "hex")]


@pytest.mark.parametrize(("canary", "spelling"), [*SPELT, ("CANARY_AIHUBMIX_KEY", "base64")])
def test_what_a_provider_spells_otherwise_is_taken_out(canary: str, spelling: str) -> None:
    secret = {"prompt": PROMPT, **SECRETS}[canary]
    [said, *_] = SPELLINGS[spelling](secret)
    assert CANARIES.hits(clean(f"cannot make {said}", secrets=(secret,), limit=1000)) == []


def test_a_part_of_a_prompt_that_a_provider_quotes_is_taken_out() -> None:
    assert CANARIES.hits(clean(f"'{PROMPT[14:40]}' is not allowed", secrets=(PROMPT,))) == []


def test_a_password_that_a_proxy_repeats_is_taken_out() -> None:
    password = SECRETS["CANARY_PROXY_PASSWORD"]
    config = ProviderConfig(proxy=SecretStr(f"http://ann:{password}@127.0.0.1:1"))
    sent = base64.b64encode(f"ann:{password}".encode()).decode()
    for said in (password, f"Proxy-Authorization: Basic {sent}"):
        assert CANARIES.hits(clean(f"not allowed: {said}", secrets=config.secrets)) == []
