"""Where a webhook may lead, and which secret a client may bring for it: checked when a job is submitted."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from contract.errors.catalogue.request import WEBHOOK_SECRET_INVALID, WEBHOOK_URL_FORBIDDEN
from contract.errors.exceptions import Refused
from contract.settings.installation_secret import InstallationSecret
from contract.untrusted.ssrf import Network, Unresolvable, UnsafeUrl, address_of, check_link_within, split
from contract.webhook import PREFIX, Webhook, seal

MAX_URL = 2048
MIN_KEY, MAX_KEY = 24, 64  # bytes of a signing secret
RESOLVE_S = 1.0  # for a name, when a job is submitted


async def check_webhook(
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
    except Unresolvable:
        pass


def check_secret(text: str) -> None:
    """Judge a client's own signing secret. Raises Refused (`webhook_secret_invalid`)."""
    try:
        size = len(base64.b64decode(text.removeprefix(PREFIX).encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError):
        size = 0
    if not (text.startswith(PREFIX) and MIN_KEY <= size <= MAX_KEY):
        raise Refused(WEBHOOK_SECRET_INVALID)


def _forbidden() -> Refused:
    return Refused(WEBHOOK_URL_FORBIDDEN, max=MAX_URL)
