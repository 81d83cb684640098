"""Webhooks: where they may lead, what they are signed with, and what they say.

    {"type": "job.succeeded", "timestamp": "…", "data": {the job as `public_json` writes it}}

In the job hash stands the text of a `Webhook`: a client's own secret in it is sealed, and a secret that
nobody gave is derived from its owner's name whenever it is needed. The form is that of Standard Webhooks.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence

from pydantic import ConfigDict

from contract.errors.exceptions import Refused, Transient
from contract.errors.request_catalogue import WEBHOOK_SECRET_INVALID, WEBHOOK_URL_FORBIDDEN
from contract.frozen_model import FrozenModel
from contract.jobs.job import Job
from contract.jobs.public_json import public_json
from contract.settings.installation_secret import InstallationSecret
from contract.untrusted.ssrf import Network, UnsafeUrl, address_of, check_link_within, split

MAX_URL = 2048
MIN_KEY, MAX_KEY = 24, 64  # bytes of a signing secret
RESOLVE_S = 1.0  # for a name, when a job is handed in
PREFIX = "whsec_"


class Webhook(FrozenModel):
    """Where a job's end is told; `sealed` is its client's own secret, or ""."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: str
    host: str
    sealed: str = ""


async def accept(
    url: str | None, client_secret: str | None, *, secret: InstallationSecret, allowed: Sequence[Network]
) -> str:
    """Check what a client wants to be told by; answer the text to keep, "" for nothing. Raises Refused."""
    if url is None and client_secret is None:
        return ""
    url = url or ""  # a secret alone is of no use
    check_url(url, allowed)
    if client_secret is not None:
        check_secret(client_secret)
    await check_reachable(url, allowed)
    sealed = "" if client_secret is None else seal(client_secret, secret)
    return Webhook(url=url, host=split(url).hostname or "", sealed=sealed).model_dump_json()


def check_url(url: str, allowed: Sequence[Network] = ()) -> None:
    """Judge how an address is spelt. Raises Refused (`webhook_url_forbidden`).

    Into `allowed` networks http and any port are fine, too; names may lead there.
    """
    if len(url) > MAX_URL:
        raise _forbidden()
    try:
        check_link_within(split(url), allowed)
    except UnsafeUrl as error:
        raise _forbidden() from error


async def check_reachable(url: str, allowed: Sequence[Network] = ()) -> None:
    """Judge where an address leads now. Raises Refused (`webhook_url_forbidden`).

    What does not resolve passes: a gateway need not have a name server, and workers judge each delivery.
    """
    try:
        await address_of(split(url), within_s=RESOLVE_S, allowed=allowed)
    except UnsafeUrl as error:
        raise _forbidden() from error
    except Transient:
        pass


def check_secret(text: str) -> None:
    """Judge a client's own signing secret. Raises Refused (`webhook_secret_invalid`)."""
    try:
        size = len(base64.b64decode(text.removeprefix(PREFIX).encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError):
        size = 0
    if not (text.startswith(PREFIX) and MIN_KEY <= size <= MAX_KEY):
        raise Refused(WEBHOOK_SECRET_INVALID)


def seal(text: str, secret: InstallationSecret) -> str:
    """Encrypt a client's secret, so that Redis and its files do not know it."""
    from cryptography.fernet import Fernet  # nanobot's own process has none, and brings no secrets

    return Fernet(_key(secret)).encrypt(text.encode()).decode()


def unseal(sealed: str, secret: InstallationSecret) -> str:
    """Decrypt a client's secret. Raises ValueError: it was sealed with another installation's secret."""
    from cryptography.fernet import Fernet, InvalidToken

    try:
        return Fernet(_key(secret)).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise ValueError("it was sealed with another DARKROOM_SECRET") from error


def signing_secret(secret: InstallationSecret, owner: str) -> str:
    """Derive what an owner's webhooks are signed with if their client gave no secret."""
    key = hmac.new(secret.key("webhook-signing"), owner.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(key).decode()


def event(job: Job) -> tuple[str, bytes]:
    """Tell a job's end; the same id and the same bytes each time."""
    data = public_json(job)
    told = {"type": f"job.{job.state}", "timestamp": data["ended_at"], "data": data}
    return f"msg_{job.id}", json.dumps(told, separators=(",", ":")).encode()


def _key(secret: InstallationSecret) -> bytes:
    return base64.urlsafe_b64encode(secret.key("webhooks"))


def _forbidden() -> Refused:
    return Refused(WEBHOOK_URL_FORBIDDEN, max=MAX_URL)
