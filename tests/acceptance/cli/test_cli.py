"""The command line as people use it: one terminal with `darkroom up --demo`, another with the rest."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from rich.cells import cell_len

from tests.support.factories.images import picture
from tests.support.lacking import redis_program
from tests.support.process.shell import DARKROOM, Terminal, open_terminal, processes_of

pytestmark = pytest.mark.real_redis

QUICK = "[slow 0.1]"  # the simulator takes 3 s where a prompt does not say how long


def simulated(terminal: Terminal, method: str, what: str, body: object = None) -> Any:
    """Ask the simulated provider, or tell it something."""
    config = json.loads((terminal.home / ".nanobot/darkroom/demo/config.json").read_text())
    base = httpx.URL(config["providers"]["openrouter"]["apiBase"])
    answer = httpx.request(method, base.join(f"/__sim/{what}"), json=body, trust_env=False)
    return answer.raise_for_status().json()


def ledger(terminal: Terminal) -> list[dict[str, Any]]:
    """List the calls that the simulated provider got."""
    calls: list[dict[str, Any]] = simulated(terminal, "GET", "ledger")["calls"]
    return calls


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """A terminal beside a running demonstration stack with Flower."""
    with open_terminal("--demo", "--flower") as shell:
        yield shell


def test_four_images_of_3_s_each_are_made_side_by_side(terminal: Terminal) -> None:
    done = terminal.run("generate", "a red fox", "--count", "4", "--aspect-ratio", "3:4", "--json")
    job = json.loads(done.stdout)
    assert (done.returncode, job["state"], len(job["images"])) == (0, "succeeded", 4)
    assert list(job) == [
        *("id", "state", "owner", "conversation", "created_at", "started_at", "ended_at", "request", "position"),
        *("progress", "images", "attempts", "degraded", "cost_usd", "error", "warnings"),
    ]
    assert list(job["request"]) == ["prompt", "count", "aspect_ratio", "image_size", "reference_images"]
    for image in job["images"]:
        assert Path(image["path"]).exists()
        assert json.loads(Path(image["sidecar"]).read_text())["job_id"] == job["id"]
    assert "Image 1 is there." in done.stderr
    began = [datetime.fromisoformat(attempt["started_at"]).timestamp() for attempt in job["attempts"]]
    assert (len(began), max(began) - min(began) < 3) == (4, True)
    calls = [call for call in ledger(terminal) if call["job_id"] == job["id"]]
    assert len(calls) == 4
    assert max(call["started_at"] for call in calls) < min(call["started_at"] + call["seconds"] for call in calls)


def test_an_edit_of_the_latest_and_the_views_of_a_job(terminal: Terminal) -> None:
    terminal.run("generate", f"a red fox {QUICK}", "--aspect-ratio", "3:4")
    edit = terminal.run("edit", f"make it warmer {QUICK}")
    assert edit.returncode == 0
    assert Path(edit.stdout.strip()).exists()
    listed = terminal.run("list", "-q").stdout.split()
    status = json.loads(terminal.run("status", listed[0], "--json").stdout)
    assert (status["request"]["reference_images"], status["request"]["aspect_ratio"]) == (["latest"], "3:4")
    assert "succeeded" in terminal.run("status", listed[0]).stdout
    table = terminal.run("list").stdout
    assert all(job_id in table for job_id in listed)
    events = [json.loads(line) for line in terminal.run("watch", listed[0], "--json").stdout.splitlines()]
    assert [event["type"] for event in events] == ["queued", "running", "attempt", "image", "succeeded"]
    jobs = json.loads(terminal.run("list", "--json").stdout)
    assert [job["id"] for job in jobs] == listed


def test_submit_wait_timeout_and_cancel(terminal: Terminal) -> None:
    submitted = terminal.run("submit", "[slow 30] a fox")
    job_id = submitted.stdout.strip()
    assert f"darkroom wait {job_id}" in submitted.stderr
    late = terminal.run("wait", job_id, "--timeout", "0.5")
    assert late.returncode == 124
    assert f"darkroom wait {job_id}" in late.stderr
    assert terminal.run("cancel", job_id).stdout.strip() == "Cancelled."
    assert terminal.run("cancel", job_id).stdout.strip() == "It had already ended: cancelled."
    assert terminal.run("wait", job_id, "-q").returncode == 3


def test_a_time_out_is_told_as_it_happens_and_so_is_what_came_instead(terminal: Terminal) -> None:
    done = terminal.run(
        *("generate", "a pond [2K times out] [slow 0.1]", "--image-size", "2K", "--attempt-timeout", "1")
    )
    assert done.returncode == 0
    assert "Asking openrouter for image 1 at 2K" in done.stderr
    assert "2K timed out after 1 s, trying 1K" in done.stderr
    assert "Delivered at 1K: 2K timed out after 1 s." in done.stderr
    assert Path(done.stdout.strip()).exists()


def test_a_picture_that_is_far_from_the_request_is_told_to_be_so(terminal: Terminal) -> None:
    prompt = "a tiny square for a wide pond"
    step = {"kind": "ok", "seconds": 0.1, "width": 256, "height": 256}
    simulated(terminal, "POST", "script", {"steps": [step], "match": prompt})
    done = terminal.run("generate", prompt, "--image-size", "4K", "--aspect-ratio", "21:9")
    assert done.returncode == 0
    assert "Delivered at 256x256, 1:1: openrouter made 256x256 pixels instead of 4K at 21:9." in done.stderr


def test_a_caller_may_rule_out_fallbacks_and_end_a_job_early(terminal: Terminal) -> None:
    strict = terminal.run(
        *("generate", "a pond [2K times out]", "-s", "2K", "--attempt-timeout", "1", "--fallback", "none", "--json")
    )
    job = json.loads(strict.stdout)
    assert (strict.returncode, job["state"], job["error"]["code"]) == (1, "failed", "provider_timeout")
    assert {attempt["image_size"] for attempt in job["attempts"]} == {"2K"}
    assert job["request"]["fallback"] == "none"
    short = json.loads(terminal.run("generate", "[slow 30] a fox", "--deadline", "2", "--json").stdout)
    assert short["state"] == "expired" or short["error"]["code"] == "provider_timeout"
    assert short["request"]["deadline_seconds"] == 2


def test_ctrl_c_leaves_the_job_and_a_second_one_cancels_it(terminal: Terminal) -> None:
    for presses, code, state in ((1, 130, "running"), (2, 3, "cancelled")):
        process = subprocess.Popen(
            [DARKROOM, "generate", "[slow 30] a fox"], env=terminal.environment, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert any("Asking" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        said = process.stderr.readline()
        assert "The job goes on. Wait for it with: darkroom wait" in said
        if presses == 2:
            assert "Ctrl-C again" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == code
        job_id = said.split()[-1]
        assert json.loads(terminal.run("status", job_id, "--json").stdout)["state"] == state
        terminal.run("cancel", job_id)


def test_a_failed_job_exits_1_and_says_why(terminal: Terminal) -> None:
    refused = terminal.run("generate", "[refuse] x")
    assert refused.returncode == 1
    assert "openrouter refused this prompt or image" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["generate", ""], 2, "the prompt must not be empty"),
        (["generate", "x", "--count", "9"], 2, "count must be between 1 and 4"),
        (["generate", "x", "--count", "many"], 2, "Invalid value"),
        (["generate", "", "--count", "9", "-s", "8K"], 2, "not be empty. Error: count must be between 1 and 4"),
        (["generate", "x", "--aspect-ratio", "16x9"], 2, "aspect_ratio must be one of"),
        (["generate", "x", "--image-size", "8K"], 2, "image_size must be"),
        (["generate", "x", "--fallback", "perhaps"], 2, "fallback must be any, quality, size or none"),
        (["submit", "x", "--attempt-timeout", "0.5"], 2, "attempt_timeout_seconds must be between 1 and 600 seconds"),
        (["edit", "x", "--deadline", "nan"], 2, "deadline_seconds must be between 1 and 600 seconds"),
        (["generate", "x", "-r", "/etc/passwd"], 2, "valid PNG, JPEG, WebP, GIF, AVIF or HEIC"),
        (
            ["generate", "x", "-r", "img_000000000000"],
            2,
            "you have no image with this id. Hint: `darkroom list` shows your jobs",
        ),
        (["generate", "x", "-r", "latest", "--conversation", "empty"], 2, "no image yet"),
        (["generate", "x", "-r", "nowhere/fox.png"], 2, "There is no image file nowhere/fox.png."),
        (["generate", "x", "-r", "https://example.org/fox.png"], 2, "A reference image must be a file path"),
        (["edit", "x", "--conversation", "empty"], 2, "no image yet"),
        (["status", "nope"], 4, "no such job"),
        (["cancel", "00000000-0000-0000-0000-000000000000"], 4, "no such job"),
    ],
)
def test_bad_input_gets_one_sentence_and_the_right_code(
    terminal: Terminal, arguments: list[str], code: int, words: str
) -> None:
    before = terminal.run("list", "-q", "--limit", "500").stdout
    done = terminal.run(*arguments)
    assert done.returncode == code
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert terminal.run("list", "-q", "--limit", "500").stdout == before


def test_the_doctor_finds_all_well(terminal: Terminal) -> None:
    done = terminal.run("doctor", "--json")
    findings = json.loads(done.stdout)
    assert [finding["name"] for finding in findings] == [
        *("config", "key of openrouter", "redis", "redis safety", "worker", "versions", "clock"),
        *("circuit breaker", "media directory", "gateway", "tokens"),
    ]
    assert "answers at 127.0.0.1:" in findings[-2]["detail"]
    assert done.returncode == 0
    assert "demo-key" not in done.stdout


def test_flower_shows_the_job_behind_its_login_and_no_prompt(terminal: Terminal) -> None:
    job = json.loads(terminal.run("generate", f"canary-prompt {QUICK}", "--json").stdout)
    stack = json.loads((terminal.home / ".nanobot/darkroom/stack.json").read_text())
    user, _, password = stack["flower_login"].partition(":")
    assert httpx.get(f"{stack['flower_url']}/api/tasks").status_code == 401
    tasks = httpx.get(f"{stack['flower_url']}/api/tasks", auth=(user, password)).json()
    assert tasks[job["id"]]["state"] == "SUCCESS"
    assert "canary-prompt" not in json.dumps(tasks)


def test_a_second_stack_in_the_same_place_is_refused(terminal: Terminal) -> None:
    done = terminal.run("up", "--demo")
    assert done.returncode == 2
    assert "already running" in done.stderr


def test_a_killed_part_is_started_again(terminal: Terminal) -> None:
    [worker] = [line for line in processes_of(str(terminal.home)) if "-m worker" in line]
    os.kill(int(worker.split()[0]), signal.SIGKILL)
    done = terminal.run("generate", "after the crash", "--timeout", "40", "--json")
    job = json.loads(done.stdout)
    assert job["state"] == "succeeded", job["error"]


def test_a_token_opens_the_gateway_to_the_jobs_of_the_command_line(terminal: Terminal) -> None:
    from_cli = terminal.run("generate", f"a red fox {QUICK}", "-q").stdout.strip()
    with terminal.gateway() as gateway:
        job = gateway.post("/v1/jobs", json={"prompt": f"a hare {QUICK}"}, headers={"Prefer": "wait=20"}).json()
        assert job["state"] == "succeeded", job
        assert gateway.get(job["images"][0]["url"]).content == Path(job["images"][0]["path"]).read_bytes()
        assert gateway.get(f"/v1/jobs/{from_cli}").json()["owner"] == job["owner"]
    assert job["id"] in terminal.run("list", "-q").stdout.split()
    told_elsewhere = [path for path in terminal.home.rglob("*.log") if "dk_" in path.read_text()]
    assert told_elsewhere == []


def test_a_killed_gateway_is_started_again(terminal: Terminal) -> None:
    [process] = [line for line in processes_of(str(terminal.home)) if "-m producer.api" in line]
    os.kill(int(process.split()[0]), signal.SIGKILL)
    with terminal.gateway() as gateway:
        for _ in range(200):
            try:
                assert gateway.get("/readyz").json() == {"ready": True}
                return
            except httpx.TransportError:
                time.sleep(0.1)
    pytest.fail("it did not come back")


def test_a_killed_stack_leaves_nothing_that_its_successor_does_not_end(tmp_path: Path) -> None:
    home = tmp_path / ("a-long-name" * 8)  # its socket cannot lie beside Redis's files
    home.mkdir()
    shell = Terminal(home)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first = shell.up("--demo", DARKROOM_PORT=str(port))
        job_id = shell.run("submit", "[slow 60] a fox").stdout.strip()
        orphans = {line.split()[0] for line in processes_of(str(home)) if "darkroom up" not in line}
        first.process.kill()
        first.process.communicate()
        worker = json.loads((home / ".nanobot/darkroom/logs/worker.pid").read_text())["pid"]
        os.kill(worker, signal.SIGSTOP)  # or it would try the job at a simulator that is gone, until it has failed
        assert orphans <= {line.split()[0] for line in processes_of(str(home))}
        second = shell.up("--demo", DARKROOM_PORT=str(port))
    try:
        for stack in (first, second):
            assert stack.said.count(f"WARNING: Port {port} is taken") == 2, "when it happens, and below the addresses"
            assert f"give them {stack.gateway}, " in stack.said.replace("\n", " ")
        assert second.gateway == first.gateway, "clients that were told of it find it, though the first one was there"
        assert "`darkroom token create NAME` makes one" in second.said
        assert json.loads(shell.run("status", job_id, "--json").stdout)["state"] in ("queued", "running")
        os.kill(worker, signal.SIGCONT)
        shell.run("cancel", job_id)  # then its worker, which was left over, has nothing to wait for
        for _ in range(100):
            if not orphans & {line.split()[0] for line in processes_of(str(home))}:
                break
            time.sleep(0.1)
        else:
            pytest.fail("what the killed stack left is still there")
    finally:
        second.stop()
    assert processes_of(str(home)) == []


def test_without_anything_running_each_command_says_what_to_do(tmp_path: Path) -> None:
    shell = Terminal(tmp_path)
    dead = {"DARKROOM_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = shell.run("list", **dead)
    assert done.returncode == 69
    assert "darkroom up" in done.stderr
    keyless = shell.run("generate", "x", **dead)
    assert keyless.returncode == 2
    assert "Missing API key" in keyless.stderr
    ill = shell.run("doctor", **dead)
    assert ill.returncode == 1
    assert "Start it with `darkroom up`" in ill.stdout


def test_a_gateway_that_everybody_could_use_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("{}")
    (tmp_path / "tokens.json").chmod(0o600)
    shell = Terminal(tmp_path)
    for more, words in (
        ({"DARKROOM_HOST": "0.0.0.0"}, "DARKROOM_HOST: is not loopback, so there must be tokens"),
        ({"DARKROOM_TOKENS": str(tmp_path / "tokens.json")}, "tokens.json: is not a valid file of tokens"),
    ):
        done = shell.run("gateway", DARKROOM_KEYS_ELSEWHERE="true", **more)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert words in done.stderr


def test_config_check_reports_every_problem_at_once(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    image = {"provider": "dall-e", "maxImagesPerTurn": 99, "saveDir": "../x", "defaultImageSize": "9K"}
    config.write_text(json.dumps({"tools": {"imageGeneration": image}}))
    done = Terminal(tmp_path).run("--config", str(config), "config", "check", "--json", DARKROOM_CONCURRENCY="0")
    assert done.returncode == 2
    paths = {problem["path"] for problem in json.loads(done.stdout)["problems"]}
    assert {"tools.imageGeneration.maxImagesPerTurn", "tools.imageGeneration.saveDir"} <= paths
    assert {"tools.imageGeneration.provider", "tools.imageGeneration.defaultImageSize", "DARKROOM_CONCURRENCY"} <= paths


def test_version_and_completion(tmp_path: Path) -> None:
    shell = Terminal(tmp_path)
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", shell.run("--version").stdout)
    completed = shell.run(_DARKROOM_COMPLETE="complete_bash", COMP_WORDS="darkroom ge", COMP_CWORD="1")
    assert completed.stdout.split() == ["generate"]


@pytest.mark.parametrize("is_demo", [True, False], ids=["up --demo", "up"])
def test_the_python_example_of_the_readme_runs_as_it_stands(terminal: Terminal, tmp_path: Path, is_demo: bool) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    [example] = [code for code in re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S) if "load_settings" in code]
    shell, own = terminal, None
    if not is_demo:
        shell = Terminal(tmp_path)
        config = tmp_path / ".nanobot/config.json"
        config.parent.mkdir()
        config.write_text((terminal.home / ".nanobot/darkroom/demo/config.json").read_text())
        own = shell.up()
    try:
        done = subprocess.run(
            [sys.executable, "-c", example], env=shell.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("img_") == 2
        assert str(shell.home) in done.stdout
    finally:
        if own is not None:
            own.stop()


def test_a_provider_that_shall_fail_fails_at_once_and_holds_nobody_up(terminal: Terminal) -> None:
    started = time.monotonic()
    failed = terminal.run("generate", "a pond [fail]")
    assert failed.returncode == 1
    assert terminal.run("generate", f"a hare {QUICK}").returncode == 0
    assert time.monotonic() - started < 30


def test_several_that_fail_at_once_hold_nobody_up(terminal: Terminal) -> None:
    for number in range(4):
        terminal.run("submit", f"a pond [fail] {number}", "-q")
    started = time.monotonic()
    assert terminal.run("generate", f"a hare {QUICK}").returncode == 0
    assert terminal.run("generate", "a pond [fail]").returncode == 1
    assert time.monotonic() - started < 60


def test_logs_outlive_the_next_start(tmp_path: Path) -> None:
    shell = Terminal(tmp_path)
    log = tmp_path / ".nanobot/darkroom/logs/simulator.log"
    log.parent.mkdir(parents=True)
    log.write_text("of yesterday\n")
    shell.up("--demo").stop()
    assert log.read_text().startswith("of yesterday\n")


def test_an_error_comes_with_its_cure(terminal: Terminal) -> None:
    done = terminal.run("edit", "x", "--conversation", "empty")
    assert "Hint: Make one first, or name an image by its id, or by its path" in " ".join(done.stderr.split())


def test_what_goes_to_a_file_holds_no_secret(terminal: Terminal) -> None:
    assert terminal.stack is not None
    stack = json.loads((terminal.home / ".nanobot/darkroom/stack.json").read_text())
    assert stack["flower_login"].partition(":")[2] not in terminal.stack.said
    assert "dk_" not in terminal.stack.said
    assert "#token=" not in terminal.stack.said


def test_an_own_photo_may_lie_anywhere(terminal: Terminal, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(picture())
    assert terminal.run("edit", f"make it warmer {QUICK}", "--reference", str(photo)).returncode == 0


def test_a_picture_of_another_owner_is_a_file_of_this_machine(terminal: Terminal) -> None:
    path = terminal.run("generate", f"a hare {QUICK}", "--owner", "websocket:chat-1").stdout.strip()
    assert terminal.run("edit", f"make it warmer {QUICK}", f"--reference={path}").returncode == 0
    assert terminal.run("edit", "make it warmer", "--reference", Path(path).stem).returncode == 2


def test_a_reference_that_is_not_there_is_named_with_where_it_was_looked_for(
    terminal: Terminal, tmp_path: Path
) -> None:
    (terminal.home / "fox.png").write_bytes(picture())
    done = terminal.run("generate", "x", "--reference=~/fox.png", "--reference", "hare.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no image file hare.png." in done.stderr
    assert str(Path.cwd()) in done.stderr
    assert str(terminal.home / ".nanobot/darkroom/demo/workspace") in done.stderr
    assert terminal.run("generate", f"x {QUICK}", "--reference=~/fox.png").returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no"),
        (None, "up --demo"),
        (None, "darkroom config init"),
        ({"provider": "gemini"}, "DARKROOM_CONFIG"),
    ],
    ids=["no file", "demo", "example", "another provider"],
)
def test_a_first_start_says_what_to_do(tmp_path: Path, content: dict[str, str] | None, words: str) -> None:
    if content is not None:
        (tmp_path / ".nanobot").mkdir()
        (tmp_path / ".nanobot/config.json").write_text(json.dumps({"tools": {"imageGeneration": content}}))
    done = Terminal(tmp_path).run("up")
    assert done.returncode == 2
    assert words in done.stderr.partition("Hint: ")[2]


def test_quality_states_and_retry(terminal: Terminal) -> None:
    job = json.loads(terminal.run("generate", "a fox [refuse]", "--quality", "low", "--json").stdout)
    assert (job["request"]["quality"], job["state"]) == ("low", "failed")
    assert job["id"] in terminal.run("list", "-q", "--state", "failed").stdout.split()
    assert job["id"] not in terminal.run("list", "-q", "--state", "succeeded").stdout.split()
    again = json.loads(terminal.run("retry", job["id"], "--json").stdout)
    assert (again["request"], again["id"] != job["id"]) == (job["request"], True)
    assert terminal.run("generate", "x", "--provider", "nobody").returncode == 2
    assert terminal.run("generate", "x", "--model", "no/such").returncode == 2


@pytest.mark.parametrize("columns", [60, 79, 80, 120])
@pytest.mark.parametrize("prompt", ["a red fox in the snow " * 5, "雪の中の赤い狐 " * 20], ids=["Latin", "wide"])
def test_a_list_fits_the_terminal_and_tells_states(terminal: Terminal, columns: int, prompt: str) -> None:
    job_id = terminal.run("generate", f"{prompt} {QUICK}", "-q").stdout.strip()
    lines = terminal.run("list", "--limit", "5", COLUMNS=str(columns)).stdout.splitlines()
    assert max(map(cell_len, lines)) <= columns
    [line] = [line for line in lines if line.startswith(job_id)]
    assert line.split()[1:3] == ["succeeded", "1/1"]
    assert any(prompt[:3] in line for line in lines)


def test_an_empty_list_says_so_and_prints_nothing(terminal: Terminal) -> None:
    for more, words in (
        ((), "cli:nobody has no jobs."),
        (("--state", "queued"), "cli:nobody has no jobs in this state."),
    ):
        done = terminal.run("list", "--owner", "cli:nobody", *more)
        assert (done.returncode, done.stdout, done.stderr.strip()) == (0, "", words)


def test_a_model_that_is_not_configured_is_told_with_those_that_are(terminal: Terminal) -> None:
    done = terminal.run("generate", "x", "--model", "no/such", DARKROOM_MODELS="zebra/fast")
    assert "Hint: openrouter has openai/gpt-5.4-image-2 and zebra/fast." in done.stderr


def test_an_output_that_has_no_such_character_gets_another_one(terminal: Terminal) -> None:
    terminal.run("submit", "ein Füchslein 🦊", "--owner", "cli:narrow", "-q")
    done = terminal.run("list", "--owner", "cli:narrow", PYTHONIOENCODING="ascii", COLUMNS="120")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ein F?chslein ?" in done.stdout


@pytest.mark.parametrize("command", ["up", "worker", "gateway"])
def test_what_cannot_start_without_a_configuration_says_what_to_do(tmp_path: Path, command: str) -> None:
    done = Terminal(tmp_path).run(command)
    assert done.returncode == 2
    assert "Hint: There is no" in done.stderr
    assert "darkroom config init" in done.stderr


def test_a_second_ctrl_c_stops_a_stack_at_once_that_waits_for_a_call() -> None:
    redis_program()
    with TemporaryDirectory(prefix="dr-") as folder:
        shell = Terminal(Path(folder))
        stack = shell.up("--demo", DARKROOM_PORT="0")
        assert shell.run("submit", "[slow 120] a fox").returncode == 0
        _until(lambda: '"state": "running"' in shell.run("list", "--json").stdout)
        stack.process.send_signal(signal.SIGINT)
        assert stack.process.stderr is not None
        said = stack.process.stderr.readline()
        assert "calls under way may finish, in 210 s at most" in said
        assert "Ctrl-C again stops at once" in said
        stack.process.send_signal(signal.SIGINT)
        stack.process.communicate(timeout=30)
        assert stack.process.returncode == 0
        assert processes_of(folder) == []


def _until(is_so: Callable[[], bool]) -> None:
    """Look until something is so."""
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_cancel_all_ends_every_job_and_pays_for_no_other(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.run("submit", "[slow 60] a fox", "--owner", "cli:many", "-q")
    other = terminal.run("submit", "[slow 60] a hare", "-q").stdout.strip()
    ids = terminal.run("list", "--owner", "cli:many", "-q").stdout.split()
    told = json.loads(terminal.run("cancel", "--all", "--owner", "cli:many", "--json").stdout)
    assert (sorted(told["cancelled"]), told["already_over"]) == (sorted(ids), [])
    states = terminal.run("list", "--owner", "cli:many", "-q", "--state", "cancelled").stdout.split()
    assert sorted(states) == sorted(ids)
    again = terminal.run("cancel", "--all", "--owner", "cli:many")
    assert (again.returncode, again.stdout) == (0, "There is no unfinished job.\n")
    assert terminal.run("cancel", other).stdout == "Cancelled.\n"


@pytest.mark.parametrize(
    ("keys", "code", "says", "state"),
    [
        ("\n", 130, "Nothing was cancelled.", "running"),
        ("\x04", 130, "Nothing was cancelled.", "running"),
        ("\x03", 130, "", "running"),
        ("y\n", 0, "Cancelled 1 job.", "cancelled"),
        ("", 0, "Cancelled 1 job.", "cancelled"),
    ],
    ids=["enter", "end of input", "Ctrl-C", "yes", "--yes"],
)
def test_cancel_all_asks_a_person(terminal: Terminal, keys: str, code: int, says: str, state: str) -> None:
    job_id = terminal.run("submit", "[slow 60] a fox", "-q").stdout.strip()
    _until(lambda: '"state": "running"' in terminal.run("status", job_id, "--json").stdout)
    typed = terminal.type("cancel", "--all", *([] if keys else ["--yes"]))
    if keys:
        typed.until(f"Cancel 1 job of {terminal.owner}, of which 1 runs now? [y/N]")
        typed.press(keys)
    assert (typed.end(), says in typed.said) == (code, True)
    assert "Traceback" not in typed.said
    assert json.loads(terminal.run("status", job_id, "--json").stdout)["state"] == state
    terminal.run("cancel", job_id)


@pytest.mark.parametrize("arguments", [[], ["00000000-0000-4000-8000-000000000000", "--all"]], ids=["none", "both"])
def test_cancel_wants_one_job_or_all(terminal: Terminal, arguments: list[str]) -> None:
    done = terminal.run("cancel", *arguments)
    assert done.returncode == 2
    assert "give one job id, or --all" in done.stderr


def test_a_job_that_ended_failed_is_shown_with_its_cure(terminal: Terminal) -> None:
    job = json.loads(terminal.run("generate", "a pond [fail]", "--json").stdout)
    shown = terminal.run("status", job["id"])
    assert f"Error: {job['error']['detail']}\nHint: " in shown.stderr
