"""What the environment gives: ${VAR} in config.json, DARKROOM_*, darkroom.env, and where the files lie."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from contract.errors.exceptions import ConfigInvalid
from contract.settings.environment_types import Fallback
from contract.settings.loader import load_settings

SECRET = "sk-very-secret-0123456789"


def write(folder: Path, content: object, env: str = "") -> Path:
    """Write a config.json, and a darkroom.env beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(content))
    if env:
        (folder / "darkroom.env").write_text(env)
    return folder / "config.json"


@pytest.fixture
def nanobot(home: Path) -> Path:
    """A home with a good configuration."""
    write(home / ".nanobot", {"providers": {"openrouter": {"apiKey": SECRET}}})
    return home / ".nanobot"


def problems(config: Path | None = None) -> dict[str, str]:
    with pytest.raises(ConfigInvalid) as caught:
        load_settings(config)
    assert SECRET not in str(caught.value)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("${MISSING_KEY}", "environment variable MISSING_KEY is not set"),
        ("${EMPTY_KEY}", "environment variable EMPTY_KEY is not set"),
        ("pre-${MISSING_KEY}-post", "environment variable MISSING_KEY is not set"),
        ("${${GOOD_KEY}}", "no plain ${VARIABLE_NAME}"),
        ("${GOOD_KEY:-fallback}", "no plain ${VARIABLE_NAME}"),
        ("${GOOD_KEY", "no plain ${VARIABLE_NAME}"),
        ("${}", "no plain ${VARIABLE_NAME}"),
        ("${9KEY}", "no plain ${VARIABLE_NAME}"),
        ("$GOOD_KEY", "write ${GOOD_KEY} with braces"),
    ],
    ids=["missing", "empty", "inside", "nested", "default", "open", "nameless", "digit", "braceless"],
)
def test_b77_a_variable_that_cannot_be_filled_in_is_named(
    key: str, says: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOD_KEY", SECRET)
    monkeypatch.setenv("EMPTY_KEY", "")
    write(home / ".nanobot", {"providers": {"openrouter": {"apiKey": key}}})
    assert says in problems()["providers.openrouter.apiKey"]


def test_b77_variables_are_filled_in_at_any_depth_and_never_twice(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "${TWO}")
    monkeypatch.setenv("TWO", SECRET)
    body = {"a": ["x${ONE}y", {"b": "$5 and ${TWO}"}], "c": 1}
    write(home / ".nanobot", {"providers": {"openrouter": {"apiKey": SECRET, "extraBody": body}}})
    found = load_settings().provider("openrouter").extra_body
    assert found == {"a": ["x${TWO}y", {"b": f"$5 and {SECRET}"}], "c": 1}


def test_b77_the_path_of_a_variable_leads_to_the_very_place(home: Path) -> None:
    body = {"stops": ["a", "${MISSING}"]}
    write(home / ".nanobot", {"providers": {"openrouter": {"apiKey": SECRET, "extraBody": body}}})
    assert "MISSING" in problems()["providers.openrouter.extraBody.stops[1]"]


def test_b77_a_provider_that_is_not_used_may_lack_its_variable(home: Path) -> None:
    providers = {"openrouter": {"apiKey": SECRET}, "aihubmix": {"apiKey": "${MISSING}"}}
    write(home / ".nanobot", {"providers": providers})
    assert load_settings().provider_names == ("openrouter",)


def test_a_key_with_a_line_break_at_its_end_loses_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", f" {SECRET}\n")
    write(home / ".nanobot", {"providers": {"openrouter": {"apiKey": "${KEY}"}}})
    key = load_settings().provider("openrouter").api_key
    assert key is not None
    assert key.get_secret_value() == SECRET


KNOBS = {
    "redis_url": None,
    "concurrency": 32,
    "body_memory_mb": None,
    "drain_seconds": None,
    "attempt_timeout_seconds": None,
    "connect_seconds": 5,
    "idle_seconds": 30,
    "deadline_seconds": 600,
    "queue_seconds": 3600,
    "calls_per_image": 9,
    "retry_seconds": 1,
    "fallbacks": None,
    "breaker_seconds": 15,
    "max_concurrency": None,
    "lease_seconds": 15,
    "retention_seconds": 7 * 86_400,
    "max_jobs_per_owner": 500,
    "max_queued": 10_000,
    "least_free_mb": 512,
    "keep_jobs_per_owner": 5000,
    "keep_mb_per_owner": 32,
    "keep_mb": 128,
    "allow_unsafe_redis": False,
    "plugin": True,
    "tool_wait_seconds": 20,
    "keys_elsewhere": False,
    "host": "127.0.0.1",
    "port": 8790,
    "hosts": (),
    "origins": (),
    "public_url": None,
    "models": (),
    "any_model": False,
    "rate": "600/minute",
    "miss_rate": "600/minute",
    "grace_seconds": 20,
    "heartbeat_seconds": 10,
    "linger_seconds": 5,
    "polling_linger_seconds": 60,
    "max_running_per_owner": 0,
    "max_streams_per_owner": 5,
    "max_waits_per_owner": 200,
    "max_connections": 4000,
    "max_uploads_per_owner": 200,
    "max_upload_mb_per_owner": 1024,
    "budget_usd_per_day": 0,
    "price_usd": 0.2,
    "link_seconds": 3600,
    "tokens": None,
    "secret": None,
    "webhook_networks": (),
    "webhook_schedule": (0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000),
}


def test_the_knobs_have_these_defaults(nanobot: Path) -> None:
    env = load_settings().env
    assert {**env.model_dump(), "redis_url": None} == KNOBS
    assert env.redis_url.get_secret_value() == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize(
    ("variables", "drain_s"),
    [
        ({}, 120 + 90),
        ({"FALLBACKS": '[{"provider": "aihubmix", "model": "gpt-image-2-free"}]'}, 300 + 90),
        ({"FALLBACKS": '[{"image_size": "1K", "timeout_seconds": 200}]'}, 200 + 90),
        ({"ATTEMPT_TIMEOUT_SECONDS": "40"}, 40 + 90),
        ({"ATTEMPT_TIMEOUT_SECONDS": "3000"}, 600 + 90),  # no call outlives its job
        ({"ATTEMPT_TIMEOUT_SECONDS": "3000", "DRAIN_SECONDS": "0"}, 0),
    ],
    ids=["default", "other-provider", "own-time", "shorter", "longer-than-a-job", "given"],
)
def test_a_worker_that_stops_waits_as_long_as_a_call_may_last(
    variables: dict[str, str], drain_s: float, nanobot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"DARKROOM_{name}", value)
    assert load_settings(needs_keys=False).drain_s == drain_s


def test_the_environment_goes_before_darkroom_env_and_that_before_the_defaults(
    nanobot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nanobot / "darkroom.env").write_text("DARKROOM_CONCURRENCY=5\nDARKROOM_DRAIN_SECONDS=7\nOTHER=1\n")
    monkeypatch.setenv("DARKROOM_CONCURRENCY", "6")
    monkeypatch.setenv("DARKROOM_LEASE_SECONDS", "")
    env = load_settings().env
    assert (env.concurrency, env.drain_seconds, env.lease_seconds) == (6, 7, 15)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONCURRENCY", "0"),
        ("CONCURRENCY", "1001"),
        ("CONCURRENCY", "many"),
        ("DRAIN_SECONDS", "-1"),
        ("DEADLINE_SECONDS", "0"),
        ("QUEUE_SECONDS", "-5"),
        ("ATTEMPT_TIMEOUT_SECONDS", "0"),
        ("CALLS_PER_IMAGE", "11"),
        ("RETRY_SECONDS", "0"),
        ("CONNECT_SECONDS", "0"),
        ("IDLE_SECONDS", "-1"),
        ("BREAKER_SECONDS", "0"),
        ("MAX_CONCURRENCY", "0"),
        ("MAX_CONCURRENCY", "2.5"),
        ("DEADLINE_SECONDS", "inf"),
        ("DRAIN_SECONDS", "nan"),
        ("LEASE_SECONDS", "0.5"),
        ("RETENTION_SECONDS", "59"),
        ("MAX_JOBS_PER_OWNER", "0"),
        ("MAX_QUEUED", "0"),
        ("KEYS_ELSEWHERE", "perhaps"),
        ("PLUGIN", "perhaps"),
    ],
)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_b78_a_knob_out_of_its_range_is_named(
    name: str, value: str, where: str, nanobot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "file":
        (nanobot / "darkroom.env").write_text(f"DARKROOM_{name}={value}\n")
    else:
        monkeypatch.setenv(f"DARKROOM_{name}", value)
    assert list(problems()) == [f"DARKROOM_{name}"]


def test_fallbacks_are_read_from_json(nanobot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_FALLBACKS", '[{"image_size": "2k"}, {"model": "a/b", "timeout_seconds": 9.5}]')
    assert load_settings().env.fallbacks == (
        Fallback(image_size="2K"),
        Fallback(model="a/b", timeout_seconds=9.5),
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("[{]", "DARKROOM_FALLBACKS"),
        ("[]", "DARKROOM_FALLBACKS"),
        ("{}", "DARKROOM_FALLBACKS"),
        ("7", "DARKROOM_FALLBACKS"),
        ("[7]", "DARKROOM_FALLBACKS.0"),
        ('[{"image_size": "8K"}]', "DARKROOM_FALLBACKS.0.image_size"),
        ('[{}, {"imagesize": "1K"}]', "DARKROOM_FALLBACKS.1.imagesize"),
        ('[{"timeout_seconds": 0}]', "DARKROOM_FALLBACKS.0.timeout_seconds"),
        ('[{"timeout_seconds": 1e999}]', "DARKROOM_FALLBACKS.0.timeout_seconds"),
        ('[{"model": "../../admin"}]', "DARKROOM_FALLBACKS.0.model"),
        ('[{"provider": "midjourney"}]', "DARKROOM_FALLBACKS"),
        ('[{"provider": "aihubmix"}]', "providers.aihubmix.apiKey"),
    ],
    ids=[
        "json",
        "empty",
        "object",
        "number",
        "item",
        "size",
        "field",
        "timeout",
        "endless",
        "model",
        "provider",
        "key",
    ],
)
def test_b78_bad_fallbacks_are_named(value: str, path: str, nanobot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_FALLBACKS", value)
    assert list(problems()) == [path]


def test_secrets_are_in_no_repr(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", f"redis://:{SECRET}@127.0.0.1/0")
    provider = {"apiKey": SECRET, "extraHeaders": {"X-Key": SECRET}, "proxy": f"http://me:{SECRET}@proxy:1"}
    write(home / ".nanobot", {"providers": {"openrouter": provider}})
    settings = load_settings()
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.provider("openrouter"))):
        assert SECRET not in shown


def test_media_and_home_lie_beside_the_config_that_was_named(tmp_path: Path) -> None:
    config = write(
        tmp_path / "elsewhere",
        {"providers": {"openrouter": {"apiKey": SECRET}}},
        env="DARKROOM_CONCURRENCY=3\n",
    )
    settings = load_settings(config)
    assert settings.media == tmp_path / "elsewhere" / "media"
    assert settings.home == tmp_path / "elsewhere" / "darkroom"
    assert settings.env.concurrency == 3


def test_the_argument_goes_before_darkroom_config_and_that_before_home(
    nanobot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good: Mapping[str, object] = {"providers": {"openrouter": {"apiKey": SECRET}}}
    named, argument = write(tmp_path / "named", good), write(tmp_path / "argument", good)
    assert load_settings().config_path == nanobot / "config.json"
    monkeypatch.setenv("DARKROOM_CONFIG", str(named))
    assert load_settings().config_path == named
    assert load_settings(argument).config_path == argument


def test_a_config_that_was_named_must_exist(tmp_path: Path) -> None:
    assert "does not exist" in problems(tmp_path / "absent.json")[str(tmp_path / "absent.json")]


def test_a_config_that_cannot_be_read_as_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    assert "cannot be read" in problems(tmp_path / "latin.json")[str(tmp_path / "latin.json")]
    assert "cannot be read" in problems(tmp_path)[str(tmp_path)]


@pytest.mark.parametrize(
    ("agents", "workspace"),
    [
        (None, ".nanobot/workspace"),
        ({"defaults": {"workspace": "~/work"}}, "work"),
        ({"defaults": {"workspace": "${HOME}/there"}}, "there"),
        ({"defaults": None}, ".nanobot/workspace"),
    ],
    ids=["default", "tilde", "variable", "null"],
)
def test_the_workspace_is_nanobots(agents: object, workspace: str, home: Path) -> None:
    write(home / ".nanobot", {"providers": {"openrouter": {"apiKey": SECRET}}, "agents": agents})
    assert load_settings().workspace == home / workspace


def test_webhook_lists_are_read_from_one_line(nanobot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nanobot / "darkroom.env").write_text("DARKROOM_WEBHOOK_NETWORKS=10.0.0.0/8, fd00::/64\n")
    monkeypatch.setenv("DARKROOM_WEBHOOK_SCHEDULE", "0,5, 0.5")
    env = load_settings().env
    assert [str(network) for network in env.webhook_networks] == ["10.0.0.0/8", "fd00::/64"]
    assert env.webhook_schedule == (0, 5, 0.5)


@pytest.mark.parametrize(
    ("name", "value", "at"),
    [
        ("WEBHOOK_NETWORKS", "10.0.0.0/8,x", "WEBHOOK_NETWORKS.1"),
        ("WEBHOOK_NETWORKS", "10.0.0.1/8", "WEBHOOK_NETWORKS.0"),
        ("WEBHOOK_SCHEDULE", "5,10", "WEBHOOK_SCHEDULE"),
        ("WEBHOOK_SCHEDULE", "0,-1", "WEBHOOK_SCHEDULE.1"),
        ("WEBHOOK_SCHEDULE", "0,inf", "WEBHOOK_SCHEDULE.1"),
        ("WEBHOOK_SCHEDULE", "0,700000", "WEBHOOK_SCHEDULE"),
        ("WEBHOOK_SCHEDULE", "0,,5", "WEBHOOK_SCHEDULE.1"),
        ("WEBHOOK_SCHEDULE", "0" + ",1" * 20, "WEBHOOK_SCHEDULE"),
        ("SECRET", "canary-that-is-too-short", "SECRET"),
    ],
)
def test_a_setting_of_webhooks_that_cannot_be_is_named(
    name: str, value: str, at: str, nanobot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"DARKROOM_{name}", value)
    found = problems()
    assert list(found) == [f"DARKROOM_{at}"]
    assert "canary" not in str(found)
