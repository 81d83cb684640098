"""Every fenced block of README and docs is run as it stands, or read where it is nothing to run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from contract.errors.exceptions import ConfigInvalid
from contract.jobs.job import TERMINAL, JobState
from contract.provider_specs import SPECS
from contract.settings.loader import load_settings
from producer.stack.redis_server import find_redis_server
from tests.support.lacking import lacking
from tests.support.nanobot.venv import ENVIRONMENT, Venv, Venvs
from tests.support.pages.block import BY_LANGUAGE, ROOT, TABLE, Block, How, blocks, parse
from tests.support.pages.internet import ENTER, lacks

TOOLS = ("bash", "curl", "jq", "node", "npm")
VARIABLES = {"OPENROUTER_API_KEY": "canary-1", "AIHUBMIX_API_KEY": "canary-2", "DARKROOM_TOKEN": "dk_canary"}
READ_BY_NANOBOT = """
import json, pathlib, sys
from nanobot.config.loader import load_config, resolve_config_env_vars
for path in sys.argv[1:]:
    print(json.dumps(resolve_config_env_vars(load_config(pathlib.Path(path))).model_dump(mode="json", by_alias=True)))
"""
NOT_CLONED = (".*", "__pycache__", "dist")


def of(how: How) -> list[Block]:
    """List the blocks that are treated so."""
    return [block for block in blocks() if block.how is how]


def named(how: How) -> pytest.MarkDecorator:
    """Run a test with each of the blocks that are treated so."""
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in of(how)])


@dataclass(frozen=True)
class Fetched:
    """What the pages tell to install, which needs the registries."""

    nanobot: Venv  # with the plugin
    node_modules: Path


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory, venvs: Venvs) -> Fetched:
    """Run the blocks that install something, in a clone, in the environment of a nanobot."""
    missing = [f"no {tool}" for tool in TOOLS if not shutil.which(tool)]
    problem = (missing or [lacks() or ("" if find_redis_server() else "no Redis server")])[0]
    if problem:
        lacking(problem)
    clone = tmp_path_factory.mktemp("clone") / "darkroom"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_CLONED))
    nanobot = venvs.with_pip()
    environment = {**ENVIRONMENT, "PATH": f"{nanobot.python.parent}:{_plain_path()}"}
    for block in of(How.FETCHES):
        command = ("bash", "-euo", "pipefail", "-c", block.text)
        done = subprocess.run(
            command, cwd=clone, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{block.name}: {done.stdout}{done.stderr}"
    return Fetched(nanobot, clone / "node_modules")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with TemporaryDirectory(prefix="dr-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.real_redis
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "walk",
    [
        "walk_stack.py::test_all_pages[up --demo]",
        "walk_stack.py::test_all_pages[up]",
        "walk_nanobot.py::test_nanobot",
    ],
)
def test_who_does_what_the_pages_say_has_what_they_promise(
    fetched: Fetched, venvs: Venvs, short: Path, walk: str
) -> None:
    options = ("-q", "-p", "no:cacheprovider", f"--basetemp={short / 'pages'}")
    pytest_ = (sys.executable, "-m", "pytest", *options, f"tests/acceptance/docs/{walk}")
    environment = {
        **ENVIRONMENT,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/simulator'}",
        "PAGES_PATH": _plain_path(),
        "PAGES_NODE_MODULES": str(fetched.node_modules),
        "PAGES_NANOBOT_WITH": str(fetched.nanobot.folder),
        "PAGES_NANOBOT_WITHOUT": str(venvs.get().folder),
    }
    command = (*ENTER, sys.executable, "-m", "tests.support.pages.internet", *pytest_)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_no_block_is_without_a_way_and_no_row_without_a_block() -> None:
    found = blocks()
    assert [block.name for block in found if block.how is None] == []
    assert set(TABLE) - {block.row for block in found} == set()
    assert {*BY_LANGUAGE.values(), *TABLE.values(), How.SERVICE} == {*How}


def test_a_new_block_is_seen_however_it_is_fenced() -> None:
    page = "# A\n```rust\nx\n```\n## B\n- one\n\n  ~~~~\n  ```\n  ~~~~\n```sh\ndarkroom up\n```\n"
    found = list(parse("docs/new.md", page))
    assert [(block.heading, block.language, block.how) for block in found] == [
        *(("A", "rust", None), ("B", "", None), ("B", "sh", How.SERVICE)),
    ]
    with pytest.raises(AssertionError, match="no end"):
        list(parse("docs/new.md", "```sh\nls\n"))


@named(How.CONFIG)
def test_darkroom_takes_a_configuration_as_it_is_written(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _config(block, tmp_path)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    image = json.loads(block.text)["tools"].get("imageGeneration", {})
    if image.get("provider") in ("modelscope", "openai", "custom"):  # the page: Darkroom needs a config.json of its own
        with pytest.raises(ConfigInvalid) as caught:
            load_settings(path)
        assert [problem.path for problem in caught.value.problems] == ["tools.imageGeneration.provider"]
        return
    settings = load_settings(path, needs_keys=bool(image))
    told = settings.image.model_dump()
    assert {name: told[re.sub("([A-Z])", r"_\1", name).lower()] for name in image} == image
    if image and SPECS[settings.image.provider].needs_key:
        assert settings.provider(settings.image.provider).key in VARIABLES.values()


@pytest.mark.timeout(400)  # nanobot may have to be fetched
def test_nanobot_takes_each_configuration_as_it_is_written(venvs: Venvs, tmp_path: Path) -> None:
    found = of(How.CONFIG)
    paths = [str(_config(block, tmp_path / str(block.line))) for block in found]
    told = subprocess.run(
        [venvs.get().python, "-c", READ_BY_NANOBOT, *paths],
        env={**ENVIRONMENT, **VARIABLES, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout
    for block, line in zip(found, told.splitlines(), strict=True):
        _assert_holds(json.loads(line), json.loads(block.text), block.name)


@named(How.CI)
def test_ci_runs_what_a_newcomer_is_told_to_run_first(block: Block) -> None:
    ci = (ROOT / ".ci/run").read_text().splitlines()
    assert [line for line in block.text.splitlines() if line not in ci] == []


@named(How.DOCKER)
def test_docker_is_asked_for_what_docker_compose_yml_has(block: Block) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    assert [command[:3] for command in commands] == [["docker", "compose", verb] for verb in ("build", "run", "up")]
    assert any("build" in service for service in services.values())
    _, run, up = [command[3:] for command in commands]
    at = run.index("gateway")
    assert ({*run[:at], *up}, "gateway" in services) == ({"--rm", "--no-deps", "-d", "--wait"}, True)
    assert all("healthcheck" in service for service in services.values()), "--wait looks at it"
    program = Path(sys.executable).with_name(run[at + 1])
    told = subprocess.run([program, *run[at + 2 :]], capture_output=True, text=True, check=True).stdout
    assert told.startswith("dk_")


@named(How.STATES)
def test_the_diagram_has_the_states_of_a_job_and_no_way_out_of_the_last(block: Block) -> None:
    ways = re.findall(r"^ +(\S+) --> (\S+): \w$", block.text, re.MULTILINE)
    assert {state for way in ways for state in way} == {"[*]", *JobState}
    assert {begin for begin, _ in ways} == {"[*]", *JobState} - TERMINAL


@named(How.REPORT)
def test_a_report_names_the_seed_that_repeats_it(block: Block) -> None:
    assert re.match(r"(full|recovery|outages|control) campaign, seed \d+, \d+ s\n", block.text)


@named(How.DRAWN)
def test_a_drawing_holds_no_command(block: Block) -> None:
    assert not re.search(r"^ *(\$|darkroom|curl|pip|make)\b", block.text, re.MULTILINE)


def _config(block: Block, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "config.json"
    path.write_text(block.text)
    return path


def _assert_holds(real: Any, written: Any, where: str) -> None:
    """See that all that is written was read, with variables filled in."""
    if isinstance(written, Mapping):
        for name, value in written.items():
            assert name in real, f"{where}: {name}"
            _assert_holds(real[name], value, f"{where}: {name}")
    elif isinstance(written, str):
        assert real == re.sub(r"\$\{(\w+)\}", lambda match: VARIABLES[match[1]], written), where
    else:
        assert real == written, where


def _plain_path() -> str:
    """Tell the PATH of a fresh login, without the environment that runs the tests."""
    own = str(Path(sys.prefix) / "bin")
    return os.pathsep.join(place for place in os.environ["PATH"].split(os.pathsep) if place != own)
