"""Looking at the pictures that the simulator paints."""

from __future__ import annotations

import base64

import httpx
from PIL import Image, ImageChops, ImageStat

from tests.support.factories.image_files import opened


def picture_at(answer: httpx.Response) -> bytes:
    """Take the first picture of a chat completion."""
    url = answer.json()["choices"][0]["message"]["images"][0]["image_url"]["url"]
    return base64.b64decode(url.removeprefix("data:image/png;base64,"))


def decode(data: bytes) -> Image.Image:
    """Decode a picture to its colours."""
    return opened(data).convert("RGB")


def difference(one: bytes, other: Image.Image) -> float:
    """Tell the mean difference per channel, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(decode(one), other)).mean) / 3
