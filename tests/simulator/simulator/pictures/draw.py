"""Makes the pictures: a new scene for a prompt, or a reference seen in the prompt's light.

The prompt's hash gives the palette, the seed gives everything else. Both functions block: use a thread.
"""

import io
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from simulator.pictures.lettering import write_caption, write_prompt
from simulator.pictures.scenery import Palette, frame, paint, palette_for

MAX_REFERENCE_PIXELS = 50_000_000


class UnreadableReference(ValueError):
    """Raised when the bytes of a reference are no image we can open."""


def draw(prompt: str, width: int, height: int, seed: int) -> bytes:
    """Paint a scene with the prompt's words on it and return it as PNG."""
    palette = palette_for(prompt)
    return _finish(paint(palette, width, height, Random(seed)), palette, prompt, seed, 0.76)


def edit(reference: bytes, prompt: str, width: int, height: int, seed: int) -> bytes:
    """Tint the reference with the prompt's palette, put the words on it, and return it as PNG."""
    palette = palette_for(prompt)
    fitted = ImageOps.fit(_open(reference), (width, height))
    tones = ImageOps.colorize(
        ImageOps.grayscale(fitted), palette.near, palette.light, mid=palette.horizon, midpoint=140
    )
    strength = 0.45 + 0.1 * Random(seed).random()
    tinted = ImageEnhance.Contrast(Image.blend(fitted, tones, strength)).enhance(1.08)
    return _finish(tinted, palette, prompt, seed, 0.18)


def enlarge(picture: bytes, width: int, height: int) -> bytes:
    """Bring a picture to a size, in coarse grey squares: that takes little time and few bytes."""
    with Image.open(io.BytesIO(picture)) as small:
        large = small.convert("L").resize((width, height), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    large.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def check_reference(reference: bytes) -> None:
    """Raise UnreadableReference unless the bytes are a whole image."""
    _open(reference)


def _open(reference: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(reference)) as image:
            if image.width * image.height > MAX_REFERENCE_PIXELS:
                raise UnreadableReference("the reference has too many pixels")
            upright = ImageOps.exif_transpose(image)
            return upright.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableReference(str(error)) from error


def _finish(image: Image.Image, palette: Palette, prompt: str, seed: int, height: float) -> bytes:
    written = write_prompt(image, prompt, palette, height)
    framed = frame(written)
    write_caption(framed, f"{image.width} x {image.height}   no. {seed}")
    buffer = io.BytesIO()
    framed.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
