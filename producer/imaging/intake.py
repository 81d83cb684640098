"""An image that a caller sent as a reference: looked at in the sandbox, cleaned, and kept for its owner."""

from __future__ import annotations

from typing import Any, Protocol

from contract.artifacts.references import DecodedImage
from producer.imaging.sandbox import ImageSandbox, Picture
from producer.imaging.turns import Asker


class OwnerImages(Protocol):
    """The images of one owner."""

    async def keep(self, image: DecodedImage, *, is_sent_along: bool = False) -> str:
        """Keep an image that was looked at, for the request it `is_sent_along` with or for later ones; answer its id.

        Raises Refused, Unavailable.
        """


async def keep_upload(
    sandbox: ImageSandbox, images: OwnerImages, picture: Picture, *, asker: Asker, is_sent_along: bool = False
) -> dict[str, Any]:
    """Look at an image, make a reference of it, and keep it; answer what is kept. Raises Refused, Unavailable."""
    async with sandbox.adopted(picture, asker) as image:
        name = await images.keep(image, is_sent_along=is_sent_along)
    return {
        "id": name,
        "mime": image.mime,
        "width": image.width,
        "height": image.height,
        "bytes": len(image.data),
        "sha256": name.rpartition("_")[2],
    }
