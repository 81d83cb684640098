"""The commands about the HTTP gateway's tokens: create, list, revoke."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from contract.errors.exceptions import DarkroomError
from contract.settings.loader import load_settings
from producer.cli import terminal
from producer.cli.completion import token_names
from producer.cli.options import AsJson
from producer.cli.runner import adopt_running_stack, fail
from producer.tokens import DEFAULT_RIGHTS, Right, Token, Tokens

DAY_S = 86_400
USUAL_RIGHTS = ",".join(sorted(DEFAULT_RIGHTS))

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the token.")]
ToRevoke = Annotated[str, typer.Argument(metavar="NAME", help="The name of the token.", autocompletion=token_names)]
User = Annotated[
    str | None, typer.Option(help="The user whose jobs it gives access to; by default the name of the token.")
]
Rights = Annotated[str, typer.Option(help=f"Rights, separated by commas: {', '.join(Right)}.")]
Days = Annotated[int | None, typer.Option(help="Days until it expires; by default it never does.", min=1, max=36_500)]

tokens_app = typer.Typer(help="Create, list and revoke access tokens of the HTTP gateway.", no_args_is_help=True)


@tokens_app.command()
def create(
    name: Name,
    user: User = None,
    rights: Rights = USUAL_RIGHTS,
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Create a token and print it. It is shown only once."""
    allowed = _rights(rights)
    with _tokens() as tokens:
        text = tokens.create(name, user, allowed, None if days is None else days * DAY_S)
        made = next(token for token in tokens.list() if token.name == name)
    if as_json:
        sys.stdout.write(json.dumps({"token": text, **_shown(made)}, indent=2) + "\n")
    else:
        sys.stdout.write(text + "\n")
        terminal.err.print("Save it now: it is not shown again.")


@tokens_app.command(name="list")
def list_tokens(as_json: AsJson = False) -> None:
    """List the tokens, without their secret texts."""
    with _tokens() as tokens:
        found = tokens.list()
    if as_json:
        sys.stdout.write(json.dumps([_shown(token) for token in found], indent=2) + "\n")
        return
    table = Table("name", "user", "rights", "created", "expires", box=None, pad_edge=False)
    for token in found:
        expires = "never" if token.expires_at is None else _day(token.expires_at)
        if token.is_expired:
            expires = f"[red]{expires}[/red]"
        table.add_row(
            escape(token.name), escape(token.user), ",".join(sorted(token.rights)), _day(token.created_at), expires
        )
    terminal.out.print(table)


@tokens_app.command()
def revoke(name: ToRevoke) -> None:
    """Revoke a token. Running gateways notice within a second."""
    with _tokens() as tokens:
        tokens.revoke(name)
    terminal.err.print("Revoked.")


@contextmanager
def _tokens() -> Iterator[Tokens]:
    """Open the tokens of this configuration; a problem with them ends the command."""
    adopt_running_stack()
    try:
        yield Tokens(load_settings(needs_keys=False).tokens_path)
    except DarkroomError as error:
        fail(error)


def _rights(text: str) -> frozenset[Right]:
    try:
        return frozenset(Right(name.strip()) for name in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"only {', '.join(Right)} are supported.", param_hint="--rights") from error


def _shown(token: Token) -> dict[str, object]:
    return token.model_dump(mode="json", exclude={"sha256"})


def _day(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d}"
