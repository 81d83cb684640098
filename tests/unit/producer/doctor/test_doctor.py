"""What the doctor says of a gateway and its tokens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from producer.doctor.doctor import Finding, examine
from producer.tokens import Tokens
from tests.support.network.loopback import answering

READY = b'{"ready": true, "checks": {"redis": {"ok": true}, "workers": {"ok": false, "detail": "0 running"}}}'
OTHER = b'{"ready": true, "checks": {}, "version": "0.0.9 (contract 1)"}'
WAITING = b'{"ready": false, "checks": {"redis": {"ok": false, "detail": "does not answer"}}}'


@pytest.fixture(autouse=True)
def without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_REDIS_URL", "redis://127.0.0.1:1/0")


async def found(name: str, url: str | None = None) -> Finding:
    """Let the doctor look, and pick one finding."""
    [finding] = [finding for finding in await examine(None, gateway_url=url) if finding.name == name]
    return finding


@pytest.mark.parametrize(
    ("body", "ok", "words"),
    [
        (READY, True, "answers at {}, workers 0 running"),
        (OTHER, True, "answers at {}, its version is 0.0.9 (contract 1)"),
        (WAITING, False, "answers at {}, redis does not answer"),
        (b"<html>another program</html>", False, "something else answers at {}"),
        (b"[]", False, "something else answers at {}"),
    ],
)
async def test_a_gateway_is_asked_whether_it_could_take_a_job(
    body: bytes, ok: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(body) as port:
        monkeypatch.setenv("DARKROOM_PORT", str(port))
        place = f"127.0.0.1:{port}"
        finding = await found("gateway", f"http://{place}")
    assert (finding.ok, finding.detail) == (ok, words.format(place))


async def test_a_gateway_at_another_port_than_clients_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_PORT", "8790")
    with answering(READY) as port:
        finding = await found("gateway", f"http://127.0.0.1:{port}")
    assert finding.ok
    assert f"answers at 127.0.0.1:{port} and not at port 8790, which was taken when it started" in finding.detail


async def test_a_gateway_may_be_absent_but_not_one_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("DARKROOM_PORT", str(port))
    monkeypatch.setenv("DARKROOM_HOST", "0.0.0.0")
    assert (await found("gateway")).ok
    gone = await found("gateway", f"http://127.0.0.1:{port}")
    assert (gone.ok, "logs/gateway.log" in gone.hint) == (False, True)


async def test_tokens_that_others_can_read_are_told(home: Path) -> None:
    path = home / ".nanobot/darkroom/tokens.json"
    assert (await found("tokens")).ok
    Tokens(path).create("ann")
    assert (await found("tokens")).detail == "1 valid"
    path.chmod(0o644)
    spoilt = await found("tokens")
    assert (spoilt.ok, "chmod 600" in spoilt.detail) == (False, True)


async def test_what_is_not_there_yet_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_KEYS_ELSEWHERE", "true")
    assert "there is no" in (await found("config")).detail
    assert "`darkroom config init`" in (await found("config")).detail
    monkeypatch.delenv("DARKROOM_KEYS_ELSEWHERE")
    assert "`darkroom config init`" in (await found("config")).hint
    assert "does not exist yet" in (await found("media directory")).detail


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_key_that_only_a_running_stack_has_is_not_missed(home: Path, elsewhere: bool) -> None:
    config = home / "config.json"
    config.write_text('{"providers": {"openrouter": {"apiKey": "${OPENROUTER_API_KEY}"}}}')
    findings = {finding.name: finding for finding in await examine(config, keys_elsewhere=elsewhere)}
    assert (findings["config"].ok, findings["key of openrouter"].ok) == (True, elsewhere)
