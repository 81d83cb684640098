"""Signed links: for clients that cannot send headers, such as an <img>.

A link says until when it is valid, and its signature covers that, the image and its size. Those made within one
period are the same, so that a browser's cache knows an image again.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlencode

from contract.errors.exceptions import Refused
from producer.error_catalogue import LINK_EXPIRED


class SignedLinks:
    """Makes and checks signed links to images."""

    def __init__(self, key: bytes, *, valid_s: int) -> None:
        self._key = key
        self._valid_s = valid_s

    def sign(self, artifact: str, *, thumbnail: int | None = None) -> str:
        """Write a link that is valid for one period at least, and for two at most."""
        expires = (int(time.time()) // self._valid_s + 2) * self._valid_s
        query: dict[str, str | int] = {} if thumbnail is None else {"thumbnail": thumbnail}
        query |= {"expires": expires, "signature": self._signature(artifact, thumbnail, expires)}
        return f"/v1/artifacts/{artifact}?{urlencode(query)}"

    def check(self, artifact: str, *, thumbnail: int | None, expires: int, signature: str) -> None:
        """Let a link pass that was signed here and is still valid. Raises Refused (`link_expired`)."""
        wanted = self._signature(artifact, thumbnail, expires)
        if not hmac.compare_digest(wanted.encode(), signature.encode()) or expires <= time.time():
            raise Refused(LINK_EXPIRED)

    def _signature(self, artifact: str, thumbnail: int | None, expires: int) -> str:
        text = f"{artifact}\n{thumbnail or ''}\n{expires}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
