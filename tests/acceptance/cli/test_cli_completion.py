"""What real shells complete after `darkroom`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.process.shell import DARKROOM, Terminal, Typed, open_terminal

pytestmark = pytest.mark.real_redis
SHELLS = {
    "bash": (("bash", "--norc", "--noprofile", "-i"), 'eval "$(_DARKROOM_COMPLETE=source_bash darkroom)"'),
    "zsh": (
        ("zsh", "-f", "-i"),
        'autoload -U compinit; compinit -u -D; eval "$(_DARKROOM_COMPLETE=source_zsh darkroom)"',
    ),
    "fish": (("fish", "--no-config", "-i"), "_DARKROOM_COMPLETE=source_fish darkroom | source"),
}
PATH = f"{DARKROOM.parent}:{os.environ['PATH']}"
CLEAR_LINE = "\x15"


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """A terminal beside a running demonstration stack."""
    with open_terminal("--demo", DARKROOM_PORT="0", DARKROOM_MODELS="zebra/fast,zebra-slow") as shell:
        yield shell


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, terminal: Terminal) -> Iterator[Typed]:
    """A shell that has been told how `darkroom` is completed."""
    command, setup = SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    typed = terminal.open(*command, PATH=PATH, PS1="> ", DARKROOM_MODELS="zebra/fast,zebra-slow")
    typed.press(f"{setup}; echo re''ady\n")
    typed.until("ready")
    yield typed
    typed.close()
    typed.process.wait(timeout=20)


def test_values_are_completed(shell: Typed, terminal: Terminal) -> None:
    made = terminal.run("submit", "[slow 60] a fox", "-q").stdout.strip()
    ended = terminal.run("generate", "$(touch canary) `touch canary` a fox [slow 0.1]", "-q").stdout.strip()
    terminal.run("token", "create", "web-page")
    for begun, whole in (
        ("generate fox --quality me", "medium"),
        ("generate fox --image-size 51", "512"),
        ("generate fox --aspect-ratio 16", "16:9"),
        ("generate fox --fallback no", "none"),
        ("generate fox --provider openr", "openrouter"),
        ("generate fox --model zebra/", "zebra/fast"),
        ("list --state succ", "succeeded"),
        (f"status {made[:8]}", made),
        (f"cancel {made[:8]}", made),
        (f"retry {ended[:8]}", ended),
        ("token revoke web", "web-page"),
        ("config init --provider aihub", "aihubmix"),
    ):
        shell.said = ""
        shell.press(f"darkroom {begun}\t")
        shell.until(whole)
        shell.press(CLEAR_LINE)
    terminal.run("cancel", made)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("generate fox --provider aihubmix --model ", []),
        ("generate fox --model ", ["openai/gpt-5.4-image-2", "zebra/fast", "zebra-slow"]),
        ("--config /nowhere.json generate fox --provider ", []),
        ("--config /nowhere.json status ", []),
    ],
)
def test_what_cannot_be_known_is_not_offered(terminal: Terminal, words: str, offered: list[str]) -> None:
    given = {"COMP_WORDS": f"darkroom {words}", "COMP_CWORD": str(len(words.split()) + 1)}
    done = terminal.run(_DARKROOM_COMPLETE="complete_bash", DARKROOM_MODELS="zebra/fast,zebra-slow", **given)
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_a_dead_queue_is_silent(terminal: Terminal) -> None:
    given = {"COMP_WORDS": "darkroom status ", "COMP_CWORD": "2", "DARKROOM_REDIS_URL": "redis://127.0.0.1:1/0"}
    done = terminal.run(_DARKROOM_COMPLETE="complete_bash", **given)
    assert (done.stdout.strip(), done.stderr) == ("", "")
