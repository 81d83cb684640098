"""A client's own signing secret is kept sealed."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract.settings.installation_secret import InstallationSecret
from contract.webhook import seal, unseal

SECRET = InstallationSecret(Path("/nowhere"), SecretStr("canary" * 6))


def test_h57_a_sealed_secret_is_read_with_the_same_key_only() -> None:
    secret = "whsec_" + base64.b64encode(b"canary" * 5).decode()
    sealed = seal(secret, SECRET)
    assert secret[6:] not in sealed
    assert sealed != seal(secret, SECRET)
    assert unseal(sealed, SECRET) == secret
    other = InstallationSecret(Path("/nowhere"), SecretStr("other" * 8))
    for text, key in ((sealed, other), (sealed[:-4] + "AAAA", SECRET), ("", SECRET), ("x", SECRET)):
        with pytest.raises(ValueError, match="another DARKROOM_SECRET"):
            unseal(text, key)
