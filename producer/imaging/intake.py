"""An image that a caller sent as a reference: looked at in the sandbox, cleaned, and kept for its owner."""

from __future__ import annotations

from typing import Any, Protocol

from contract.artifacts.references import DecodedImage
from producer.imaging.sandbox import ImageSandbox, Picture
from producer.imaging.turns import Asker


class OwnerImages(Protocol):
    """The images of one owner."""

    async def keep(self, image: DecodedImage) -> str:
        """Keep an image that was looked at; answer its id, `up_…`. Raises Refused, Unavailable."""


async def keep_upload(sandbox: ImageSandbox, images: OwnerImages, picture: Picture, *, asker: Asker) -> dict[str, Any]:
    """Look at an image, clean it, and keep it; answer what it is. Raises Refused, Unavailable."""
    async with sandbox.cleaned(picture, asker) as cleaned:
        name = await images.keep(DecodedImage(cleaned.data, cleaned.mime, cleaned.width, cleaned.height))
    return {
        "id": name,
        "mime": cleaned.mime,
        "width": cleaned.width,
        "height": cleaned.height,
        "bytes": len(cleaned.data),
        "sha256": name.rpartition("_")[2],
    }
