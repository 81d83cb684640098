"""Authentication: a bearer token, its rights, and the owner of the jobs it gives access to.

A service token may name the end user, as `X-Darkroom-User` or the way Open WebUI does; jobs are then that user's
within the service. Nobody else can name another owner.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from contract.errors.catalogue.request import TYPE_ERROR
from contract.errors.exceptions import ConfigInvalid, Refused
from producer.api.dependencies import Gateway, Here
from producer.client.owner_client import OwnerClient
from producer.error_catalogue import BAD_REQUEST, FORBIDDEN, TOKENS_UNREADABLE, UNAUTHORIZED, USERS_DIFFER
from producer.tokens import Right, Token, Tokens

USER_HEADERS = ("x-darkroom-user", "x-openwebui-user-id")
MAX_USER = 128

logger = logging.getLogger(__name__)

_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_USER = re.compile(rf"[\x21-\x7e]{{1,{MAX_USER}}}")
_scheme = HTTPBearer(auto_error=False, description="A token of `darkroom token create`.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A token that was found good, and the owner it speaks for."""

    token: Token
    owner: str
    client: OwnerClient
    user: str | None = None  # the end user, if one was named

    def may(self, right: Right) -> bool:
        """Tell whether the token has a right."""
        return right in self.token.rights

    @property
    def may_become_another(self) -> bool:
        """Tell whether the body may still name the end user whose jobs these are."""
        return self.user is None and self.may(Right.USERS)

    async def count(self, gateway: Gateway) -> dict[str, str]:
        """Count a submit; return the headers with the number left.

        Raises Refused (`rate_limited`, `too_busy`, `storage_low`), Unavailable.
        """
        name = f"{self.token.name}\n{self.owner}"
        gateway.rates.recall("submit", name)
        gateway.connections.load_shedder.check(self.owner)
        headers = await gateway.rates.count(name)
        await gateway.connections.disk_floor.check()
        return headers

    async def check_rate(self, gateway: Gateway) -> None:
        """Require that a submit is within the rate, and do not count it. Raises Refused, Unavailable."""
        await gateway.rates.check(f"{self.token.name}\n{self.owner}")

    def as_user(self, user: str | None) -> Caller:
        """Act for an end user, if the token has the right to name one; otherwise the name is ignored.

        Raises Refused for a name that cannot be one, and when another one was named before (`users_differ`).
        """
        if not user or not self.may(Right.USERS) or user == self.user:
            return self
        if self.user is not None:
            raise Refused(USERS_DIFFER).at("user")
        if not _USER.fullmatch(user):
            raise Refused(TYPE_ERROR, field="user", expected=f"1 to {MAX_USER} printable characters")
        owner = f"{self.token.user}/{user}"
        client = self.client.of(owner, names_paths=self.may(Right.PATHS))
        return Caller(token=self.token, owner=owner, client=client, user=user)


async def identify(request: Request, gateway: Here, _: Annotated[object, Depends(_scheme)] = None) -> Caller:
    """Identify the caller, and count the connection among the owner's.

    Raises Refused (`unauthorized`, `bad_request`, `users_differ`, `too_many_connections`, `too_busy`).
    """
    token = _find(gateway.tokens, _credentials(request))
    if token is None:
        raise Refused(UNAUTHORIZED)
    client = OwnerClient(
        gateway.connections,
        owner=token.user,
        names_paths=Right.PATHS in token.rights,
        may_go_on=lambda: _is_known(gateway.tokens, token),
    )
    caller = Caller(token=token, owner=token.user, client=client)
    for user in (user for name in USER_HEADERS for user in request.headers.getlist(name)):
        caller = caller.as_user(user)
    request.state.caller = caller
    request.state.vouch(caller.owner, is_alone=not caller.may(Right.USERS))
    request.state.turn = await gateway.turns.take(caller.owner)
    request.state.bodies = gateway.bodies.of(caller.owner)
    return caller


def _find(tokens: Tokens, text: str) -> Token | None:
    try:
        return tokens.find(text)
    except ConfigInvalid as error:  # somebody has spoilt the file
        logger.error("tokens: %s", error)
        raise Refused(TOKENS_UNREADABLE) from error


def _is_known(tokens: Tokens, token: Token) -> bool:
    try:
        return tokens.knows(token)
    except ConfigInvalid:  # what was let in stays while the file cannot be read
        return True


def _credentials(request: Request) -> str:
    """Read the token from its header; from the address it is never taken."""
    found = request.headers.getlist("authorization")
    if len(found) > 1:
        raise Refused(BAD_REQUEST)
    if found:
        bearer = _BEARER.fullmatch(found[0].strip())
        return bearer[1] if bearer else ""
    return request.headers.get("api-key", "")  # as Azure's clients send it


def needs(right: Right) -> Callable[[Caller], Awaitable[Caller]]:
    """Make a dependency that lets only tokens with a right pass."""

    async def check(caller: Annotated[Caller, Depends(identify)]) -> Caller:
        if not caller.may(right):
            raise Refused(FORBIDDEN, right=right)
        return caller

    return check


Reader = Annotated[Caller, Depends(needs(Right.READ))]
Submitter = Annotated[Caller, Depends(needs(Right.SUBMIT))]
