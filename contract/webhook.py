"""Webhooks: what is kept of them with a job, and what they are signed with.

In the job hash stands the text of a `Webhook`: a client's own secret in it is sealed, and a secret that
is not given is derived from its owner's name whenever it is needed. The form is that of Standard Webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from pydantic import ConfigDict

from contract.frozen_model import FrozenModel
from contract.settings.installation_secret import InstallationSecret

PREFIX = "whsec_"


class Webhook(FrozenModel):
    """The address that is called when a job ends; `sealed` is its client's own secret, or ""."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    url: str
    host: str
    sealed: str = ""


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


def _key(secret: InstallationSecret) -> bytes:
    return base64.urlsafe_b64encode(secret.key("webhooks"))
