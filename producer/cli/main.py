"""The command `darkroom`: progress on stderr, results on stdout, words and a hint for every error."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from contract.errors.exceptions import ConfigInvalid
from contract.provider_specs import SPECS
from contract.settings.extras import check_extra, lacking, told_lacking
from contract.settings.loader import config_path, load_settings
from contract.settings.running_stack import Running
from producer.cli import terminal
from producer.cli.demo import show_everything
from producer.cli.first_config import DEFAULT_NAME, ProviderName, write_first_config
from producer.cli.job_commands import jobs
from producer.cli.options import AsJson, Owner
from producer.cli.runner import adopt_running_stack, fail, run, with_darkroom
from producer.cli.token_commands import tokens_app
from producer.doctor.doctor import examine
from producer.doctor.nanobot import check_nanobot
from producer.stack.stack import Stack
from producer.tokens import Tokens, default_owner, first_token

app = typer.Typer(
    name="darkroom",
    help="Make images in the background: jobs in Redis, Celery workers, images on disk.",
    epilog='Try it without a key: darkroom up --demo, and in another terminal: darkroom generate "a red fox" --count 2',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

config_app = typer.Typer(help="Write a first configuration, or check the existing one.", no_args_is_help=True)
app.add_typer(jobs)
app.add_typer(config_app, name="config")
app.add_typer(tokens_app, name="token")


def main() -> None:
    """Run the command line; a terminal that cannot show a character gets another one in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="replace")
    app()


@app.callback(invoke_without_command=True)
def common(
    config: Annotated[Path | None, typer.Option(help="nanobot's config.json.", envvar="DARKROOM_CONFIG")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Find the configuration, and the stack that runs from it."""
    if version:
        terminal.out.print(installed_version("nanobot-darkroom"))
        raise typer.Exit
    if config is not None:
        os.environ["DARKROOM_CONFIG"] = str(config.absolute())


@app.command()
def up(
    demo: Annotated[bool, typer.Option("--demo", help="Use a simulated provider: no key, no cost.")] = False,
    flower: Annotated[bool, typer.Option("--flower", help="Start the Flower dashboard too.")] = False,
) -> None:
    """Start Redis, a worker, the HTTP gateway and, if asked for, Flower. Ctrl-C stops them all."""
    _check("worker", "up")
    if flower:
        _check("flower", "up --flower")
    home = config_path().parent / "darkroom"
    stack = Stack(config_path(), home=home, demo=demo, flower=flower, gateway=not lacking("gateway"), say=_say)
    run(lambda: _stay_up(stack))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="The folder for its images and data.")] = Path("darkroom-demo"),
) -> None:
    """Make and edit a few images with a simulated provider, then stop."""
    _check("worker", "demo")
    run(lambda: show_everything(folder.absolute(), say=_say))


@app.command()
def worker() -> None:
    """Run one worker in this terminal."""
    _check("worker", "worker")
    _read_config()
    _become("worker")


@app.command()
def gateway() -> None:
    """Run only the HTTP gateway: jobs and images for chat gateways, browsers and OpenAI clients."""
    _check("gateway", "gateway")
    _read_config()
    _become("producer.api")


@app.command()
def mcp(owner: Owner = None) -> None:
    """Serve MCP on stdin and stdout, for a chat program that starts this command itself."""
    _check("gateway", "mcp")
    from producer.mcp.stdio import serve  # the SDK comes with the extra

    with_darkroom(owner, serve)


@app.command()
def flower() -> None:
    """Run the Flower dashboard; FLOWER_BASIC_AUTH (user:password) is required."""
    _check("flower", "flower")
    _become("producer.flower")


@config_app.command()
def init(
    provider: Annotated[ProviderName, typer.Option(help="The provider you have a key for.")] = DEFAULT_NAME,
) -> None:
    """Write an example config.json. An existing one is never changed."""
    path, spec = config_path().expanduser().absolute(), SPECS[provider.value]
    try:
        write_first_config(path, spec)
    except FileExistsError as error:
        _say(f"Error: {path} already exists and was not changed.")
        _say("Hint: `darkroom config check` reads it; --config names another file.")
        raise typer.Exit(2) from error
    except OSError as error:
        _say(f"Error: {path} cannot be written: {error.strerror}.")
        _say("Hint: --config names another file.")
        raise typer.Exit(2) from error
    terminal.out.print(str(path), markup=False)
    key = f"export {spec.key_variable}=…, then " if spec.needs_key else ""
    _say(f"Next: {key}`darkroom config check`, then `darkroom up`.")


@config_app.command()
def check(as_json: AsJson = False) -> None:
    """Report every problem of the configuration at once."""
    try:
        settings = load_settings(follows_stack=False)
    except ConfigInvalid as error:
        if not as_json:
            fail(error)
        problems = [asdict(problem) for problem in error.problems]
        terminal.out.print_json(json.dumps({"ok": False, "problems": problems}))
        raise typer.Exit(2) from error
    if as_json:
        terminal.out.print_json(json.dumps({"ok": True, "problems": []}))
    else:
        image = settings.image
        terminal.out.print(f"{settings.config_path} is valid: {image.provider}, {image.model}.", markup=False)


@app.command()
def doctor(
    as_json: AsJson = False,
    nanobot: Annotated[
        Path | None, typer.Option(metavar="PYTHON", help="Also check the nanobot of this Python.")
    ] = None,
) -> None:
    """Check config, keys, Redis, worker, media directory, clock, gateway and tokens. Print how to fix each problem."""
    caller = check_nanobot(nanobot, config_path()) if nanobot else []  # before this process adopts a stack
    running = adopt_running_stack()
    named = os.environ.get("DARKROOM_CONFIG")
    gateway_url = running.gateway_url if running else None
    seen = examine(Path(named) if named else None, gateway_url=gateway_url, keys_elsewhere=running is not None)
    findings = asyncio.run(seen) + caller
    if as_json:
        terminal.out.print_json(json.dumps([asdict(finding) for finding in findings]))
    else:
        terminal.diagnose(findings)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


def _check(extra: str, command: str) -> None:
    """Report which extra a command lacks, before anything is started."""
    try:
        check_extra(extra, part=f"darkroom {command}")
    except ConfigInvalid as error:
        fail(error)


def _read_config() -> None:
    """Report problems of the configuration before a program is started with it."""
    try:
        load_settings()
    except ConfigInvalid as error:
        fail(error)


def _become(module: str) -> None:
    """Replace this process by another program of Darkroom."""
    adopt_running_stack()
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 - no shell, nothing from outside


async def _stay_up(stack: Stack) -> int:
    _say("Starting…")
    try:
        async with stack.run() as running:
            _say(f"Darkroom is up. Config: {running.config}")
            for line in _addresses(running):
                _say(line)
            if stack.warning:  # where it is seen: below what the start has said
                terminal.err.print(stack.warning, style="bold red", markup=False)
            _say('Try: darkroom generate "a red fox" --count 2      Ctrl-C stops everything.')
            await asyncio.Event().wait()
    except asyncio.CancelledError:  # Ctrl-C is how it ends
        return 0
    return 0


def _addresses(running: Running) -> list[str]:
    """List the addresses of gateway and Flower. Secrets are shown on a terminal only: others may read a log."""
    is_private = sys.stderr.isatty()  # FORCE_COLOR makes no terminal of a file
    lines = [f"Gateway: {running.gateway_url or told_lacking('gateway', lacking('gateway'))}"]
    if running.gateway_url:
        tokens = Tokens(load_settings(Path(running.config)).tokens_path)
        token = first_token(tokens, user=default_owner()) if is_private else None
        lines.append(f"Token: {token} (shown this once)" if token else "Token: `darkroom token create NAME` makes one")
    if running.flower_url:
        login = running.flower_login if is_private else "is in darkroom/stack.json next to config.json"
        lines.append(f"Flower: {running.flower_url} (login {login})")
    return lines


def _say(line: str) -> None:
    terminal.err.print(line, markup=False)
