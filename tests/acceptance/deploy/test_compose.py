"""docker-compose.yml without Docker: what it promises is read, and what it starts is run as processes.

Only what a container would provide is changed for that: host names, ports, data directory, paths of the image.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml
from dotenv import dotenv_values
from redis.backoff import NoBackoff
from redis.retry import Retry

from contract.jobs.job import Job, JobState
from contract.provider_specs import LONGEST_TIMEOUT_S, SPECS
from contract.settings.environment import Environment
from contract.settings.loader import DRAIN_MARGIN_S, load_settings
from producer.api.server.uvicorn_server import DRAIN_S
from producer.client.client import Darkroom
from producer.stack.ports import free_port
from tests.support.factories.images import picture
from tests.support.lacking import redis_program
from worker.process.graceful_shutdown import LAST_S

ROOT = Path(__file__).parents[3]
COMPOSE, EXAMPLE, DOCKERFILE = (
    (ROOT / name).read_text() for name in ("docker-compose.yml", ".env.example", "deploy/Dockerfile")
)
PROMPT = "a canary in a coal mine"
SECRETS = {
    "REDIS_PASSWORD": "canary1redis",
    "GATEWAY_REDIS_PASSWORD": "canary7gateway",
    "FLOWER_REDIS_PASSWORD": "canary2flower",
    "FLOWER_BASIC_AUTH": "ann:canary3login",
    "DARKROOM_SECRET": "canary6-the-secret-of-this-installation",
    **{spec.key_variable: f"canary4{spec.name}" for spec in SPECS.values() if spec.needs_key},
}
WITHOUT_DEFAULT = (
    *(
        "attempt_timeout_seconds",
        "body_memory_mb",
        "drain_seconds",
        "fallbacks",
        "hosts",
        "max_concurrency",
        "models",
        "origins",
        "public_url",
    ),
    "webhook_networks",
)
SERVICES = ("redis", "worker", "gateway", "flower")
_INNERMOST = re.compile(r"\$\{(\w+)(?::([-?])([^${}]*))?\}")

Service = dict[str, Any]


def resolved(value: Any, variables: Mapping[str, str | None]) -> Any:
    """Fill in ${VAR}, ${VAR:-default} and ${VAR:?message} as compose does."""
    if isinstance(value, dict):
        return {key: resolved(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(match: re.Match[str]) -> str:
        name, rule, rest = match.groups()
        if rule == "?" and not variables.get(name):
            raise LookupError(rest)
        return variables.get(name) or rest or ""

    text = value.replace("$$", "\0")
    while text != (text := _INNERMOST.sub(fill, text)):
        pass
    return text.replace("\0", "$")


def example() -> dict[str, str | None]:
    """Read .env.example as a .env file."""
    return dotenv_values(stream=StringIO(EXAMPLE))


def services(**variables: str) -> dict[str, Service]:
    """Read all services, with .env.example filled in as its comments say."""
    known = {**example(), "HOME": "/home/ann", **SECRETS, **variables}
    return {name: resolved(service, known) for name, service in yaml.safe_load(COMPOSE)["services"].items()}


@pytest.mark.parametrize("name", SERVICES)
def test_container_is_shut_in(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["restart"] == "unless-stopped"
    assert int(service["user"].split(":")[0]) > 0
    assert service["ulimits"] == {"core": 0}
    assert {"mem_limit", "pids_limit"} <= service.keys()
    assert all("noexec" in place and "nosuid" in place for place in service["tmpfs"])
    assert not service.keys() & {"cap_add", "devices", "network_mode", "pid", "privileged", "env_file", "secrets"}
    assert "docker.sock" not in json.dumps(service)
    assert not service["image"].endswith(":latest")


def test_the_gateway_is_published_on_loopback_and_so_is_flower_on_demand() -> None:
    found = services()
    assert {name: service["ports"] for name, service in found.items() if "ports" in service} == {
        "gateway": ["127.0.0.1:8790:8790"],
        "flower": ["127.0.0.1:5555:5555"],
    }
    assert found["gateway"]["environment"]["DARKROOM_PORT"] == "8790"
    assert {name for name, service in found.items() if "profiles" in service} == {"flower"}
    assert found["flower"]["profiles"] == ["ops"]
    assert found["redis"]["expose"] == ["6379"]


def test_only_the_worker_reaches_the_internet() -> None:
    networks = yaml.safe_load(COMPOSE)["networks"]
    assert networks["backend"] == {"internal": True}
    for name in ("entrance", "dashboard"):
        assert networks[name]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert {name: service["networks"] for name, service in services().items()} == {
        "redis": ["backend"],
        "worker": ["backend", "egress"],
        "gateway": ["backend", "entrance"],
        "flower": ["backend", "dashboard"],
    }


@pytest.mark.parametrize(
    ("secret", "readers"),
    [
        ("REDIS_PASSWORD", {"redis", "worker"}),
        ("GATEWAY_REDIS_PASSWORD", {"redis", "gateway"}),
        ("FLOWER_REDIS_PASSWORD", {"redis", "flower"}),
        ("FLOWER_BASIC_AUTH", {"flower"}),
        ("DARKROOM_SECRET", {"worker", "gateway"}),
        *((spec.key_variable, {"worker"}) for spec in SPECS.values() if spec.needs_key),
    ],
)
def test_a_secret_reaches_only_who_needs_it_and_no_command_line(secret: str, readers: set[str]) -> None:
    found = services()
    value = SECRETS[secret]
    assert {name for name, service in found.items() if value in json.dumps(service["environment"])} == readers
    assert not any(value in json.dumps({**service, "environment": {}}) for service in found.values())
    assert example()[secret] == "", "there is no password that everybody knows"


@pytest.mark.parametrize("password", ["REDIS_PASSWORD", "GATEWAY_REDIS_PASSWORD", "FLOWER_REDIS_PASSWORD"])
def test_nothing_starts_without_passwords(password: str) -> None:
    with pytest.raises(LookupError, match=f"set {password} in .env"):
        services(**{password: ""})


def test_redis_keeps_and_reads_back_everything() -> None:
    configuration = services()["redis"]["command"][2].splitlines()
    assert {"appendonly yes", "appendfsync always", "maxmemory-policy noeviction"} <= set(configuration)
    # Redis 7.0 replays transactions as the default user; the server that the tests find may be an older one.
    assert "user default off resetpass ~* &* +@all" in configuration
    assert services()["redis"]["volumes"] == ["redis-data:/data"]


def test_rights_in_redis_can_be_read() -> None:
    assert max(map(len, COMPOSE.splitlines())) <= 130


def test_waits_for_redis_and_stops_slower_than_a_worker_drains() -> None:
    found = services()
    for name in ("worker", "gateway", "flower"):
        assert found[name]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert all(service["healthcheck"]["start_period"] for service in found.values())
    assert int(found["worker"]["stop_grace_period"].removesuffix("s")) > LONGEST_TIMEOUT_S + DRAIN_MARGIN_S + LAST_S
    assert int(found["gateway"]["stop_grace_period"].removesuffix("s")) > DRAIN_S
    assert int(found["worker"]["pids_limit"]) > Environment().concurrency + 50


@pytest.mark.parametrize("name", ["worker", "gateway"])
def test_nanobots_directory_is_seen_where_nanobot_sees_it(name: str) -> None:
    for variables, seen in (({}, "/home/ann/.nanobot"), ({"NANOBOT_PATH": "/nano"}, "/nano")):
        service = services(**variables)[name]
        assert {(place["source"], place["target"], place.get("read_only", False)) for place in service["volumes"]} == {
            ("/home/ann/.nanobot/config.json", f"{seen}/config.json", True),
            ("/home/ann/.nanobot/media", f"{seen}/media", False),
            ("/home/ann/.nanobot/darkroom", f"{seen}/darkroom", False),
        }
        assert service["environment"]["DARKROOM_CONFIG"] == f"{seen}/config.json"
        assert not any(place["bind"]["create_host_path"] for place in service["volumes"]), "root would own it"


def test_env_example_is_complete_and_right() -> None:
    shown = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{(\w+)[:}]", re.sub(r"#.*", "", COMPOSE)))
    assert shown.keys() == used - {"HOME"}
    defaults = dict(re.findall(r"\$\{(\w+):-([^${}]+)\}", COMPOSE))
    assert defaults == {name: shown[name] for name in defaults}


def test_every_setting_is_in_env_example_with_its_default_and_reaches_who_obeys_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {f"DARKROOM_{name.upper()}" for name in Environment.model_fields}
    found = services()
    given = {name: found[name]["environment"].keys() & settings for name in ("worker", "gateway")}
    elsewhere = {"DARKROOM_TOKENS", "DARKROOM_PLUGIN"}  # in darkroom/; for nanobot
    assert given["worker"] | given["gateway"] == settings - elsewhere
    fixed = {"DARKROOM_REDIS_URL", "DARKROOM_KEYS_ELSEWHERE", "DARKROOM_HOST", "DARKROOM_PORT"}
    for name, shown in re.findall(r"^(?:# )?(DARKROOM_\w+)=(.*)$", EXAMPLE, re.MULTILINE):
        monkeypatch.setenv(name, shown.strip("'"))
    example = Environment().model_dump()
    assert {name for name in example if example[name] != Environment.model_fields[name].default} == set(WITHOUT_DEFAULT)
    assert settings - os.environ.keys() == fixed | elsewhere


def test_dockerfile_copies_what_exists_and_ends_without_root_and_tools() -> None:
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert kept == set(copied), ".dockerignore lets in what is copied, and nothing else"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(shipped) - set(copied) == {"tests/simulator/simulator"}  # which is copied with its folder
    assert "tests/simulator" in copied
    assert {"worker", "gateway", "flower"} <= project["project"]["optional-dependencies"].keys()
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (\d+):\d+$", final, re.MULTILINE)[1] == "10001"  # type: ignore[index]
    assert not re.search(r"\b(apt|apt-get|gcc|pip)\b", final)
    assert "HEALTHCHECK" in final


@dataclass
class Containers:
    """The services of the compose file, as processes on loopback."""

    folder: Path
    variables: dict[str, str]
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("redis", "gateway", "flower")}
    )
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the services, and provide the directories and programs that an image has."""
        self.services = services(**self.variables)
        (self.folder / "data").mkdir()
        programs = self.folder / "bin"
        programs.mkdir()
        server = redis_program()
        (programs / "redis-server").symlink_to(server)
        (programs / "redis-cli").symlink_to(shutil.which("redis-cli") or server.with_name("redis-cli"))
        self.path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])

    def start(self, name: str) -> None:
        """Start a service and wait until its health check is content."""
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [self._here(part) for part in self.services[name]["command"]],
            env=self.environment(name),
            cwd=self.folder,
            stdout=log,
            stderr=log,
        )
        log.close()
        eventually(lambda: self.is_healthy(name), f"{name} is healthy")

    def stop(self, name: str, signum: signal.Signals = signal.SIGTERM) -> int:
        """End a service and tell its exit code."""
        self.processes[name].send_signal(signum)
        try:
            return self.processes[name].wait(10)
        except subprocess.TimeoutExpired:
            self.processes[name].kill()
            return self.processes[name].wait()

    def is_healthy(self, name: str) -> bool:
        """Run a service's health check as Docker would."""
        kind, *command = map(self._here, self.services[name]["healthcheck"]["test"])
        shell = ["sh", "-c"] if kind == "CMD-SHELL" else []
        return subprocess.run([*shell, *command], env=self.environment(name), capture_output=True).returncode == 0

    def environment(self, name: str) -> dict[str, str]:
        """Give a service the compose file's environment and no other."""
        given = {key: self._here(value) for key, value in self.services[name]["environment"].items()}
        for variable, service in (("FLOWER_PORT", "flower"), ("DARKROOM_PORT", "gateway")):
            if variable in given:
                given[variable] = str(self.ports[service])
        return {"PATH": self.path, "PYTHONPATH": str(ROOT), "HOME": str(self.folder), "USER": "darkroom", **given}

    def run(self, name: str, *command: str) -> str:
        """Run a command as `docker compose run` would, beside what a service is."""
        done = subprocess.run(command, env=self.environment(name), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def gateway(self, token: str) -> httpx.Client:
        """Open the gateway."""
        base, headers = f"http://127.0.0.1:{self.ports['gateway']}", {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=30)

    def redis(self, user: str | None, password: str | None) -> redis.Redis:
        """Open Redis as one of its users."""
        return redis.Redis(
            port=self.ports["redis"],
            username=user,
            password=password,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),
        )

    def flower(self, login: str | None = SECRETS["FLOWER_BASIC_AUTH"]) -> httpx.Client:
        """Open Flower, with a login or without."""
        auth = None if login is None else tuple(login.split(":"))
        base = f"http://127.0.0.1:{self.ports['flower']}"
        return httpx.Client(base_url=base, auth=auth, trust_env=False, timeout=10)  # type: ignore[arg-type]

    def _here(self, text: str) -> str:
        for there, here in {
            "@redis:6379": f"@127.0.0.1:{self.ports['redis']}",
            "port 6379": f"bind 127.0.0.1\nport {self.ports['redis']}",
            "dir /data": f"dir {self.folder}/data",
            "redis-cli": f"redis-cli -p {self.ports['redis']}",
            "0.0.0.0": "127.0.0.1",
        }.items():
            text = text.replace(there, here)
        return text


def eventually(happens: Callable[[], bool], what: str, *, within_s: float = 20) -> None:
    """Wait until something happens."""
    deadline = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < deadline, f"it never happened that {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("compose")
    nanobot = folder / "home" / ".nanobot"
    for name in ("media", "darkroom"):
        (nanobot / name).mkdir(parents=True)
    port = free_port()
    provider = {"apiKey": "${OPENROUTER_API_KEY}", "apiBase": f"http://127.0.0.1:{port}/api/v1"}
    (nanobot / "config.json").write_text(json.dumps({"providers": {"openrouter": provider}}))
    limits = {"DARKROOM_RATE": "20/second;600/minute", "DARKROOM_BUDGET_USD_PER_DAY": "5"}
    containers = Containers(folder, {"HOME": str(folder / "home"), "DARKROOM_MAX_RUNNING_PER_OWNER": "1", **limits})
    simulator = [sys.executable, "-m", "simulator", "--port", str(port), "--seconds", "0.1"]
    with ExitStack() as stack:
        containers.processes["simulator"] = subprocess.Popen(
            simulator, env={**os.environ, "PYTHONPATH": str(ROOT / "tests/simulator")}, stdout=subprocess.DEVNULL
        )
        stack.callback(lambda: [containers.stop(name) for name in reversed(containers.processes)])
        for name in SERVICES:
            containers.start(name)
        yield containers


@pytest.fixture(scope="module")
def job(containers: Containers) -> Job:
    """One job that has been run, after Flower began to listen."""
    with containers.flower() as flower:
        eventually(lambda: flower.get("/workers", params={"json": 1}).json()["data"] != [], "Flower hears the worker")
    return asyncio.run(make_one(containers))


async def make_one(containers: Containers) -> Job:
    """Hand a job in from nanobot's side, and wait for it."""
    environment = containers.environment("worker")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("OPENROUTER_API_KEY", "DARKROOM_CONFIG", "DARKROOM_REDIS_URL"):
            monkeypatch.setenv(name, environment[name])
        settings = load_settings()
    async with Darkroom(settings, owner="ann") as darkroom:
        job = await darkroom.submit(prompt=PROMPT)
        return await darkroom.wait(job.id, timeout_s=20)


@pytest.mark.real_redis
def test_a_job_is_run_and_its_image_is_in_nanobots_directory(containers: Containers, job: Job) -> None:
    assert job.state is JobState.SUCCEEDED
    media = containers.folder / "home" / ".nanobot" / "media"
    assert [Path(image.path).is_relative_to(media) and Path(image.path).exists() for image in job.images] == [True]


@pytest.mark.real_redis
def test_the_gateway_does_all_it_does_with_its_own_rights_in_redis(containers: Containers, job: Job) -> None:
    token = containers.run("gateway", "darkroom", "token", "create", "ann")
    with containers.gateway(token) as gateway:
        assert gateway.get(f"/v1/jobs/{job.id}").json()["owner"] == "ann"
        upload = gateway.post("/v1/uploads", content=picture(), headers={"Content-Type": "image/png"})
        fields = {"prompt": "a hare", "reference_images": [upload.json()["id"]], "conversation": "c"}
        made = gateway.post("/v1/jobs", json=fields, headers={"Prefer": "wait=20", "Idempotency-Key": "k"}).json()
        assert (made["state"], made["request"]["reference_images"]) == ("succeeded", [upload.json()["id"]]), made
        assert gateway.get(made["images"][0]["url"], params={"thumbnail": 128}).status_code == 200
        assert "event: succeeded" in gateway.get(made["events_url"]).text
        slow = [gateway.post("/v1/jobs", json={"prompt": "[slow 20] a fox"}).json() for _ in range(12)]
        assert [gateway.post(late["cancel_url"]).json()["state"] for late in slow] == ["cancelled"] * 12
        assert gateway.post(f"/v1/jobs/{made['id']}/retry").status_code == 202
        assert gateway.post("/v1/images/generations", json={"prompt": "x", "response_format": "url"}).status_code == 200
        assert gateway.get("/v1/jobs/" + str(uuid.uuid4())).status_code == 404
        assert len(gateway.get("/v1/jobs", params={"conversation": "c"}).json()["jobs"]) == 2
        assert gateway.delete(made["status_url"]).status_code == 204
    assert "Redis refuses" not in (containers.folder / "gateway.log").read_text()


@pytest.mark.real_redis
def test_the_gateway_reaches_no_more_in_redis_than_it_must(containers: Containers, job: Job) -> None:
    with containers.redis("gateway", SECRETS["GATEWAY_REDIS_PASSWORD"]) as gateway:
        for command in (
            *(["SET", "darkroom:lock:sweeper", "me"], ["HSET", "darkroom:gate:x", "open", "0"]),
            *(["BRPOP", "darkroom:bells", "0"], ["KEYS", "*"], ["SCAN", "0"], ["EVAL", "return 1", "0"]),
            *(["FLUSHALL"], ["CONFIG", "GET", "*"], ["PUBLISH", "darkroom:/0.celery.pidbox", "x"], ["ACL", "LIST"]),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                gateway.execute_command(*command)


def test_a_gateway_does_not_start_for_the_world_without_tokens(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    given = services()["gateway"]["environment"] | {"DARKROOM_CONFIG": str(tmp_path / "config.json")}
    started = subprocess.run(
        [sys.executable, "-m", "producer.api"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (started.returncode, started.stderr.count("\n")) == (2, 1)
    assert "DARKROOM_HOST: is not loopback, so there must be tokens" in started.stderr


@pytest.mark.real_redis
def test_flower_shows_the_job_to_who_has_the_login_only(containers: Containers, job: Job) -> None:
    with containers.flower() as flower:
        eventually(lambda: flower.get("/api/tasks").json().get(job.id, {}).get("state") == "SUCCESS", "it is shown")
    for login in (None, "ann:guess"):
        with containers.flower(login) as stranger:
            for page in ("/", "/tasks", "/api/tasks", "/api/workers", f"/api/task/info/{job.id}"):
                answer = stranger.get(page)
                assert (answer.status_code, job.id in answer.text) == (401, False), page


@pytest.mark.real_redis
def test_flower_only_looks(containers: Containers, job: Job) -> None:
    with containers.flower() as flower:
        worker = next(iter(flower.get("/api/workers", params={"refresh": 1}).json()))
        for page in (f"/api/task/revoke/{job.id}", f"/api/worker/shutdown/{worker}", "/api/task/send-task/darkroom.x"):
            assert flower.post(page, json={"args": []}).status_code == 403, page
    assert containers.is_healthy("worker")


@pytest.mark.real_redis
def test_flower_knows_neither_prompt_nor_secret(containers: Containers, job: Job) -> None:
    with containers.flower() as flower:
        worker = next(iter(flower.get("/api/workers", params={"refresh": 1}).json()))
        pages = ("/", "/workers?json=1", f"/worker/{worker}", "/tasks", f"/task/{job.id}", "/broker", "/metrics")
        answers = ("/api/tasks", f"/api/task/info/{job.id}", "/api/workers", "/api/queues/length", "/api/task/types")
        for page in (*pages, *answers):
            answer = flower.get(page)
            assert answer.status_code == 200, page
            assert "canary" not in answer.text, page
    assert "canary" not in (containers.folder / "flower.log").read_text()


@pytest.mark.real_redis
def test_redis_lets_nobody_in_without_a_password_and_flower_see_no_job(containers: Containers, job: Job) -> None:
    key = f"darkroom:job:{job.id}"
    with containers.redis("darkroom", SECRETS["REDIS_PASSWORD"]) as worker:
        assert PROMPT in json.dumps(worker.hgetall(key)), "this is what must not be seen"
        assert worker.config_get("appendfsync") == {"appendfsync": "always"}
        for forbidden in (["FLUSHALL"], ["CONFIG", "SET", "x", "y"], ["KEYS", "*"], ["EVAL", "return 1", "0"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                worker.execute_command(*forbidden)
    with containers.redis("flower", SECRETS["FLOWER_REDIS_PASSWORD"]) as flower:
        for command in (["HGETALL", key], ["GET", key], ["DEL", key], ["ZRANGEBYSCORE", "darkroom:queued", "0", "1"]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                flower.execute_command(*command)
    for user, password in ((None, None), ("default", ""), ("darkroom", "guess")):
        with containers.redis(user, password) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()


@pytest.mark.real_redis
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_no_secret_is_in_a_command_line(containers: Containers, job: Job) -> None:
    for name in SERVICES:
        command = Path(f"/proc/{containers.processes[name].pid}/cmdline").read_text()
        assert command, name
        assert "canary" not in command, name


@pytest.mark.real_redis
def test_health_checks_notice_what_is_down_and_a_job_survives_the_power_cut(containers: Containers, job: Job) -> None:
    assert [containers.is_healthy(name) for name in SERVICES] == [True] * 4
    assert containers.stop("flower") == 0
    assert not containers.is_healthy("flower")
    assert containers.stop("worker") == 0
    eventually(lambda: not containers.is_healthy("worker"), "the worker's check fails")
    containers.stop("redis", signal.SIGKILL)
    assert not containers.is_healthy("redis")
    assert not containers.is_healthy("gateway")
    containers.start("redis")
    assert containers.is_healthy("gateway")
    assert containers.stop("gateway") == 0
    with containers.redis("darkroom", SECRETS["REDIS_PASSWORD"]) as client:
        assert client.hget(f"darkroom:job:{job.id}", "state") == "succeeded"
