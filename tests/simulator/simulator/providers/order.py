"""What a generation call asks for, once the wire format is out of the way."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from simulator.server.connection import JsonObject, Request

MAX_PIXELS = 17_000_000

# OpenRouter's table, in pixels at 1K.
RATIOS = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
    # Its later vocabulary, of which no sizes are told: about a megapixel.
    "9:21": (672, 1536),
    "1:2": (720, 1440),
    "2:1": (1440, 720),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (352, 2816),
    "8:1": (2816, 352),
    "9:19.5": (688, 1488),
    "19.5:9": (1488, 688),
    "9:20": (672, 1504),
    "20:9": (1504, 672),
}
SCALES = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}


class Rejected(Exception):
    """Raised when a call is answered with a 4xx before any work is done."""

    def __init__(self, status: int, message: str, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Order:
    """Describes the pictures one call asks for; sizes are in pixels."""

    id: str
    model: str
    prompt: str
    width: int
    height: int
    image_size: str
    aspect_ratio: str | None = None
    quality: str | None = None
    references: tuple[bytes, ...] = ()
    count: int = 1

    @property
    def tier(self) -> str:
        """Name the tier (512, 1K, 2K, 4K) that the pixel count belongs to."""
        pixels = self.width * self.height
        limits = {"512": 500_000, "1K": 2_500_000, "2K": 8_000_000}
        return next((tier for tier, limit in limits.items() if pixels < limit), "4K")


class Dialect(Protocol):
    """Speaks one provider's wire format; `providers.openrouter` and `providers.aihubmix` are such modules."""

    NAME: str
    FAILURES: dict[str, Callable[["Order"], JsonObject]]  # bodies of named errors
    SHAPES: dict[str, Callable[["Order"], object]]  # odd bodies of a 200

    def read(self, request: Request, order_id: str) -> Order:
        """Parse the request or raise Rejected."""

    def headers(self, order_id: str) -> dict[str, str]:
        """Return the headers of every answer."""

    def answer(self, order: Order, texts: Sequence[str], prefix: str, variant: str) -> JsonObject:
        """Wrap pictures in base64; `prefix` is how their data URLs begin."""

    def answer_links(self, order: Order, links: Sequence[str], variant: str) -> JsonObject:
        """Wrap addresses of pictures."""

    def text_only(self, order: Order, text: str) -> JsonObject:
        """Answer in words, without a picture."""

    def empty(self, order: Order) -> JsonObject:
        """Answer with nothing inside."""

    def failure(self, status: int, message: str, code: str = "") -> JsonObject:
        """Describe an error."""

    def failed_choice(self, order: Order, status: int, message: str) -> JsonObject:
        """Hide an error inside a result."""

    def refusal(self, order: Order) -> JsonObject:
        """Describe a moderation block."""


def pixels_for(image_size: str, aspect_ratio: str) -> tuple[int, int]:
    """Turn a tier and ratio, or an explicit WxH, into pixels."""
    if explicit := re.fullmatch(r"(\d{2,5})x(\d{2,5})", image_size):
        width, height = int(explicit[1]), int(explicit[2])
        if width * height > MAX_PIXELS:
            raise Rejected(400, f"Size {image_size} is too large")
        return width, height
    if image_size not in SCALES:
        raise Rejected(400, f"Invalid image_size: {image_size!r}")
    if aspect_ratio not in RATIOS:
        raise Rejected(400, f"Invalid aspect_ratio: {aspect_ratio!r}")
    scale = SCALES[image_size]
    width, height = RATIOS[aspect_ratio]
    return int(width * scale), int(height * scale)


def decode_data_url(url: object) -> bytes:
    """Return the bytes of a base64 data URL or reject the call."""
    if not isinstance(url, str) or not url.startswith("data:"):
        raise Rejected(400, "Only data URLs are accepted as references", "invalid_image")
    _, marker, payload = url.partition(";base64,")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not marker or not data:
        raise Rejected(400, "The reference image could not be decoded", "invalid_image")
    return data


def as_object(value: object) -> JsonObject:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """Return the value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def base64_text(data: bytes) -> str:
    """Encode bytes as they travel inside JSON."""
    return base64.b64encode(data).decode("ascii")
