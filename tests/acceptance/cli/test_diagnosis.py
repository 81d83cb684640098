"""What the doctor says of set-ups that cannot work, or lose jobs; worker and gateway say the same of a Redis."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from contract.artifacts.local_directory.marker import MARKER
from contract.jobs.job import JobState
from producer.doctor.doctor import examine
from producer.doctor.finding import Finding
from producer.stack.ports import free_port
from producer.tokens import Right
from tests.support.network.broken_redis import Setup, behind_tls, full, nearly_full, nowhere, replica, saying, serving
from tests.support.process.mounts import mounting
from tests.support.stack.stack import Stack

pytestmark = pytest.mark.real_redis
ACL = ("--user", "default", "on", "nopass", "~*", "&*", "+@all")
NO_SCRIPTS = partial(serving, *ACL, "-evalsha")
REDIS_5 = partial(saying, b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n")


async def look(url: str, monkeypatch: pytest.MonkeyPatch, gateway: str | None = None) -> dict[str, Finding]:
    """Let the doctor look at a Redis."""
    monkeypatch.setenv("DARKROOM_REDIS_URL", url)
    monkeypatch.setenv("DARKROOM_PORT", str(free_port()))
    return {finding.name: finding for finding in await examine(None, gateway_url=gateway)}


@pytest.mark.parametrize(
    ("setup", "says", "hint"),
    [
        (partial(nowhere, "redis://127.0.0.1:1/0"), r"at 127\.0\.0\.1:1: .* nothing listens there", "darkroom up"),
        (partial(nowhere, "unix:///nowhere.sock"), "at /nowhere.sock: .* its socket does not exist", "darkroom up"),
        (partial(nowhere, "redis://nowhere.invalid"), "nowhere.invalid:6379: .* its host name is unknown", "host name"),
        (partial(serving, "--requirepass", "s"), "wants a password", "redis://user:password@host"),
        (partial(serving, "--requirepass", "s", login=":canary@"), "rejects the user or the password", "the right"),
        (NO_SCRIPTS, "does not give this user the rights", "docker-compose.yml"),
        (partial(serving, *ACL, "resetkeys", "~other:*"), "does not give this user the rights", "docker-compose.yml"),
        (partial(serving, database=99), "no database of that number", "/0"),
        (partial(behind_tls, "rediss"), "certificate that is not trusted here", "ssl_ca_certs"),
        (partial(behind_tls, "redis"), "closes the connection", "rediss://"),
        (partial(behind_tls, "rediss", trusted=True, wants_client=True), "closes the connection", "ssl_certfile"),
        (partial(saying, b"HTTP/1.1 400 Bad Request\r\n\r\n"), "is not what answers", "DARKROOM_REDIS_URL"),
        (REDIS_5, "does not know a command", "Redis 6.2 or newer"),
        (full, r"has used all the memory that it may use \(maxmemory\)", "Raise maxmemory"),
        (replica, "is a replica", "primary"),
        (partial(serving, "--cluster-enabled", "yes"), "is a Redis Cluster", "single Redis"),
    ],
    ids=[
        *("down", "no socket", "unknown host", "no password", "wrong password", "no scripts", "no keys", "database"),
        *("private CA", "plain to TLS", "no certificate", "HTTP", "Redis 5", "full", "replica", "cluster"),
    ],
)
async def test_a_redis_that_takes_no_job_is_told_with_its_cause(
    setup: Setup, says: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with setup() as url:
        redis = (await look(url, monkeypatch))["redis"]
    assert not redis.ok
    assert re.search(says, redis.detail), redis
    assert hint in redis.hint
    assert "canary" not in f"{redis}"


@pytest.mark.parametrize(
    ("setup", "name", "ok", "says"),
    [
        (partial(serving, "--maxmemory-policy", "allkeys-lru"), "eviction", False, "allkeys-lru"),
        (partial(serving, "--maxmemory-policy", "volatile-lru"), "eviction", False, "volatile-lru"),
        (partial(serving, "--appendonly", "no"), "persistence", False, "appendonly no"),
        (partial(serving, "--appendonly", "no", "--save", "60 1"), "persistence", False, "appendonly no"),
        (partial(serving, "--appendfsync", "no"), "persistence", False, "appendfsync no"),
        (partial(serving, "--appendfsync", "everysec"), "persistence", True, "appendfsync everysec"),
        (partial(serving, "--cluster-enabled", "yes"), "mode", False, "Cluster"),
        (nearly_full, "memory", False, "refuses new jobs when it is full"),
        (partial(serving, *ACL, "-info"), "safety", True, "it is unknown whether"),
        (partial(serving, *ACL, "-config"), "persistence", True, "does not allow this user to read appendfsync"),
        (serving, "safety", True, "keeps every accepted job"),
        (partial(behind_tls, "rediss", trusted=True), "safety", True, "keeps every accepted job"),
        (
            partial(behind_tls, "rediss", trusted=True, wants_client=True, known=True),
            "safety",
            True,
            "keeps every accepted job",
        ),
    ],
    ids=[
        *("allkeys-lru", "volatile-lru", "no AOF", "snapshots", "fsync no", "everysec", "cluster", "nearly full"),
        *("no INFO", "no CONFIG", "well", "TLS", "client certificate"),
    ],
)
async def test_a_redis_that_may_lose_jobs_is_told(
    setup: Setup, name: str, ok: bool, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with setup() as url:
        findings = await look(url, monkeypatch)
    found = findings[f"redis {name}"]
    assert (found.ok, says in found.detail, bool(found.hint)) == (ok, True, says != "keeps every accepted job"), found


def log_of(stack: Stack, *command: str, **environment: str) -> tuple[int, str]:
    """Run a part of Darkroom that ends by itself, and read what it said."""
    given = os.environ | stack.environment | environment
    done = subprocess.run(
        [sys.executable, "-m", *command, str(stack.config)], env=given, capture_output=True, text=True, timeout=30
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("setup", "cause"),
    [
        (partial(serving, "--requirepass", "s", login=":canary@"), "rejects the user or the password"),
        (NO_SCRIPTS, "does not give this user the rights that Darkroom needs"),
        (REDIS_5, "does not know a command that Darkroom needs"),
        (partial(serving, "--maxmemory-policy", "allkeys-lru"), "throws accepted jobs away"),
        (partial(serving, "--cluster-enabled", "yes"), "is a Redis Cluster, which Darkroom does not support"),
    ],
    ids=["password", "scripts", "Redis 5", "eviction", "cluster"],
)
async def test_worker_gateway_and_doctor_tell_the_same_cause(
    stack: Stack, setup: Setup, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with setup() as url:
        stack.environment["DARKROOM_REDIS_URL"] = url
        code, said = await asyncio.to_thread(log_of, stack, "worker")
        assert (code, cause in said, "Traceback" in said, "canary" in said) == (2, True, False, False), said
        gateway = await stack.start_gateway()
        async with httpx.AsyncClient(base_url=gateway) as http:
            ready = await http.get("/readyz?verbose")
        await stack.says("gateway", re.escape(cause))
        assert ready.status_code == 503
        assert cause in str(ready.json()["checks"])
        findings = await look(url, monkeypatch)
    assert cause in str([finding.detail for finding in findings.values() if not finding.ok])
    assert findings.get("worker") is None or findings["worker"].detail == "0 running"


async def test_a_worker_starts_on_an_unsafe_redis_when_told_to_and_warns(stack: Stack) -> None:
    async with Redis.from_url(stack.redis.url) as redis:
        await redis.config_set("maxmemory-policy", "volatile-lru")
        await redis.config_set("appendonly", "no")
    code, said = await asyncio.to_thread(log_of, stack, "worker")
    assert (code, "DARKROOM_ALLOW_UNSAFE_REDIS=true" in said) == (2, True)
    await stack.start_worker(DARKROOM_ALLOW_UNSAFE_REDIS="true")
    for words in ("WARNING worker.process.startup_checks: Redis throws accepted jobs away", "appendonly no"):
        await stack.says("worker", words)
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
        assert (await darkroom.wait(job.id, timeout_s=20)).state is JobState.SUCCEEDED


async def test_a_worker_on_a_safe_redis_says_nothing_of_it(stack: Stack) -> None:
    await stack.start_worker()
    async with stack.client() as darkroom:
        job = await darkroom.submit(prompt="a fox")
        await stack.says("worker", f"job {job.id} succeeded")  # which comes after all that it has to say of Redis
    assert "Redis" not in stack.logs()


async def test_a_full_redis_is_told_in_its_own_words_on_every_face(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await stack.start_gateway()
    auth = {"Authorization": f"Bearer {stack.token()}"}
    async with Redis.from_url(stack.redis.url) as redis:
        await redis.config_set("maxmemory", 1)
    async with httpx.AsyncClient(base_url=gateway, headers=auth) as http:
        ours = await http.post("/v1/jobs", json={"prompt": "a fox"})
        openai = await http.post("/v1/images/generations", json={"prompt": "a fox"})
        ready = await http.get("/readyz?verbose")
    says = "Redis has used all the memory that it may use (maxmemory)"
    assert (ours.status_code, ours.json()["code"], says in ours.json()["detail"]) == (503, "queue_full", True)
    assert ours.headers["retry-after"] == "30"
    assert (openai.status_code, says in openai.json()["error"]["message"]) == (503, True)
    assert says.removeprefix("Redis ") in ready.json()["checks"]["redis"]["detail"]
    command = await asyncio.to_thread(
        subprocess.run,
        [str(Path(sys.executable).parent / "darkroom"), "submit", "a fox"],
        env=os.environ | stack.environment | {"DARKROOM_CONFIG": str(stack.config)},
        capture_output=True,
        text=True,
    )
    assert (command.returncode, says in command.stderr, "OOM" in command.stderr) == (69, True, False)
    findings = await look(stack.redis.url, monkeypatch, gateway)
    assert says.removeprefix("Redis ") in findings["gateway"].detail
    assert "Redis refuses" not in stack.logs("gateway")


async def test_a_gateway_without_the_workers_disk_is_told_and_deletes_nothing(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stack.start_worker()
    assert (stack.folder / "media" / MARKER).stat().st_mode & 0o077 == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text(stack.config.read_text())
    auth = {"Authorization": f"Bearer {stack.token()}"}
    everything = {"Authorization": f"Bearer {stack.token('all', user='ann', rights=list(Right))}"}
    tokens = str(stack.settings().tokens_path)
    stack.config, here = elsewhere / "config.json", stack.config
    gateway = await stack.start_gateway(DARKROOM_TOKENS=tokens)
    async with httpx.AsyncClient(base_url=gateway, headers=auth) as http:
        ready = await http.get("/readyz?verbose")
        job = (await http.post("/v1/jobs", json={"prompt": "a fox"}, headers={"Prefer": "wait=20"})).json()
        answers = [
            await http.get(job["images"][0]["url"]),
            await http.get(job["images"][0]["url"] + "/sidecar"),
            await http.get(job["images"][0]["signed_url"]),
            await http.delete(job["status_url"]),
        ]
        edit = {"prompt": "an edit", "reference_images": [job["images"][0]["id"]]}
        answers += [await http.post("/v1/jobs", json=edit, headers=headers) for headers in (auth, everything)]
        left = await http.get(job["status_url"])
    assert (ready.status_code, ready.json()["checks"]["media"]["ok"]) == (503, False)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "media_elsewhere")] * 6
    assert left.status_code == 200
    assert f"the media directory {elsewhere}/media is not the workers'" in stack.logs("gateway")
    assert (
        "not the directory that the workers write to" in (await look_from(stack, monkeypatch))["media directory"].detail
    )
    stack.config = here
    gateway = await stack.start_gateway()
    async with httpx.AsyncClient(base_url=gateway, headers=auth) as http:
        assert (await http.get("/readyz")).status_code == 200
        assert (await http.delete(f"/v1/jobs/{job['id']}")).status_code == 204
        assert (await http.get(f"/v1/jobs/{job['id']}")).status_code == 404


async def test_a_gateway_that_was_there_before_the_workers_is_told_of_their_disk(stack: Stack, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "config.json").write_text(stack.config.read_text())
    stack.config, here = elsewhere / "config.json", stack.config
    await stack.start_gateway()
    stack.config = here
    await stack.start_worker()
    logger = "ERROR producer.api.services.surroundings"
    await stack.says("gateway", re.escape(f"{logger}: the media directory {elsewhere}/media is not"))


async def look_from(stack: Stack, monkeypatch: pytest.MonkeyPatch, gateway: str | None = None) -> dict[str, Finding]:
    """Let the doctor look at a whole Darkroom."""
    monkeypatch.setenv("DARKROOM_REDIS_URL", stack.redis.url)
    return {finding.name: finding for finding in await examine(stack.config, gateway_url=gateway)}


async def test_a_whole_darkroom_is_well_and_another_ones_gateway_is_not_taken_for_its_own(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stack.start_worker()
    gateway = await stack.start_gateway()
    well = await look_from(stack, monkeypatch, gateway)
    assert all(finding.ok for finding in well.values()), well
    assert re.search(r"media, [\d.]+ [GM]B free", well["media directory"].detail)
    async with serving() as url:
        async with Redis.from_url(url) as redis:
            await redis.hset("darkroom:installation", "id", "another")
        other = (await look(url, monkeypatch, gateway))["gateway"]
    assert (other.ok, "another installation, with another Redis" in other.detail, other.hint) == (
        False,
        True,
        "Set DARKROOM_PORT.",
    )


async def test_another_secret_than_the_workers_is_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await stack.start_worker(DARKROOM_SECRET="a" * 32)
    monkeypatch.setenv("DARKROOM_SECRET", "b" * 32)
    found = (await look_from(stack, monkeypatch))["secret"]
    assert (found.ok, "DARKROOM_SECRET" in found.hint) == (False, True)
    gateway = await stack.start_gateway(DARKROOM_SECRET="b" * 32)
    async with httpx.AsyncClient(base_url=gateway) as http:
        ready = (await http.get("/readyz?verbose")).json()
    assert (ready["ready"], ready["checks"]["secret"]["ok"]) == (True, False)


async def test_open_circuit_breakers_are_told_by_log_and_doctor(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await stack.start_worker()
    await stack.start_worker()
    well = await look_from(stack, monkeypatch)
    assert (well["circuit breaker"].ok, well["circuit breaker"].detail) == (True, "none is open")
    stack.simulator.script([{"kind": "status", "status": 401, "times": "always"}])
    async with stack.client("ann-canary") as darkroom:
        jobs = [await darkroom.submit(prompt="a canary") for _ in range(6)]
        for job in jobs:
            assert (await darkroom.wait(job.id, timeout_s=20)).state is JobState.FAILED
    found = (await look_from(stack, monkeypatch))["circuit breaker"]
    assert not found.ok
    assert re.fullmatch(
        r"calls to openrouter with this key fail \(provider_auth, .+\): none is made for \d+ s more", found.detail
    )
    assert "apiKey" in found.hint
    [line] = [line for line in stack.logs().splitlines() if "circuit breaker" in line]
    assert "WARNING worker.policy.breaker_log: circuit breaker opened: calls to openrouter with this key fail" in line
    assert re.search(r"\(provider_auth\); none is made for \d+ s, .* job_id=[0-9a-f-]{36}$", line)
    assert "canary" not in stack.logs() + f"{found}"


async def test_a_user_of_redis_who_may_not_see_circuit_breakers_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(*ACL, "resetkeys", "~darkroom:[^b]*", "~darkroom:bells*") as url:
        found = (await look(url, monkeypatch))["circuit breaker"]
    assert (found.ok, "unknown" in found.detail) == (True, True), found


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    media = tmp_path / ".nanobot/media"
    media.mkdir(parents=True)
    fill = "mount -t tmpfs -o size=2m tmpfs $0 && head -c 1500k /dev/zero > $0/fill"
    doctor = str(Path(sys.executable).parent / "darkroom")
    command = [*mounting(), "sh", "-c", f'{fill} && exec "$@"', str(media), doctor, "doctor"]
    given = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "DARKROOM_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run(command, env=given, capture_output=True, text=True)
    assert re.search("wrong media directory: .* has no room left: its disk is full", done.stdout), done


def test_a_media_directory_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / ".nanobot").mkdir()
    (tmp_path / ".nanobot/media").write_text("no directory")
    doctor = str(Path(sys.executable).parent / "darkroom")
    given = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "DARKROOM_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run([doctor, "doctor"], env=given, capture_output=True, text=True)
    assert re.search("wrong media directory: .* cannot be written to", done.stdout), done


async def test_a_wrong_clock_and_no_worker_are_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    monkeypatch.setattr("producer.doctor.redis.time.time", lambda: right() + 90)
    findings = await look_from(stack, monkeypatch)
    assert (findings["clock"].ok, findings["clock"].detail[:5], findings["clock"].hint) == (
        False,
        "-90.0",
        "Set it with NTP.",
    )
    assert (findings["worker"].ok, "darkroom worker" in findings["worker"].hint) == (False, True)


@pytest.mark.parametrize(
    ("config", "name", "says"),
    [
        ("{", "config", "is not valid JSON"),
        (
            '{"providers": {"openrouter": {"apiKey": "${NOT_THERE}"}}}',
            "key of openrouter",
            "environment variable NOT_THERE is not set",
        ),
        ('{"tools": {"imageGeneration": {"provider": "nobody"}}}', "config", "use openrouter or aihubmix"),
    ],
    ids=["JSON", "variable", "provider"],
)
async def test_a_wrong_configuration_is_told(
    tmp_path: Path, config: str, name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", "redis://127.0.0.1:1/0")
    (tmp_path / "config.json").write_text(config)
    found = [finding for finding in await examine(tmp_path / "config.json") if says in finding.detail]
    assert [(finding.ok, finding.name) for finding in found] == [(False, name)]


async def test_what_was_restored_under_another_path_is_shown_edited_and_deleted(stack: Stack, tmp_path: Path) -> None:
    worker = await stack.start_worker()
    auth = {"Authorization": f"Bearer {stack.token()}", "Prefer": "wait=20"}
    body = {"prompt": "a fox", "conversation": "c"}
    async with httpx.AsyncClient(base_url=await stack.start_gateway(), headers=auth, timeout=30) as http:
        fox = (await http.post("/v1/jobs", json=body)).json()
        hare = (await http.post("/v1/jobs", json=body | {"conversation": "d"})).json()
    stack.end(worker, *stack.gateways)
    restored = tmp_path / "restored"
    restored.mkdir()
    for name in ("config.json", "media", "darkroom"):
        (stack.folder / name).rename(restored / name)
    stack.config = restored / "config.json"
    await stack.start_worker()
    async with httpx.AsyncClient(base_url=await stack.start_gateway(), headers=auth, timeout=30) as http:
        edit = await http.post("/v1/jobs", json=body | {"reference_images": ["latest"]})
        assert (edit.status_code, edit.json().get("state")) == (200, "succeeded"), edit.text
        assert (await http.get(f"/v1/artifacts/{fox['images'][0]['id']}")).status_code == 200
        assert len([*(restored / "media").rglob("img_*")]) == 6
        for job in (fox, hare, edit.json()):
            assert (await http.delete(f"/v1/jobs/{job['id']}")).status_code == 204
    assert [*(restored / "media").rglob("img_*")] == []
