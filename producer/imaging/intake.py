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
    """Look at an image, make a reference of it, and keep it; answer what is kept. Raises Refused, Unavailable."""
    async with sandbox.adopted(picture, asker) as image:
        name = await images.keep(image)
    return {
        "id": name,
        "mime": image.mime,
        "width": image.width,
        "height": image.height,
        "bytes": len(image.data),
        "sha256": name.rpartition("_")[2],
    }
