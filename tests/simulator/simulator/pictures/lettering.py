"""Sets the prompt's words on a translucent band, and the caption in the corner."""

import unicodedata

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from simulator.pictures.scenery import Palette

MAX_CHARACTERS = 160
MAX_LINES = 4
NO_LATIN = "(words in another script)"  # Pillow's own font knows ASCII only
FONT_SHARES = (0.062, 0.052, 0.044, 0.037, 0.031)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write_prompt(image: Image.Image, prompt: str, palette: Palette, height: float) -> Image.Image:
    """Return the image with the words centred on a band at a share of its height."""
    short = min(image.size)
    font, lines = _fit(prompt, short, round(image.width * 0.8))
    text = "\n".join(lines)
    spacing = round(short * 0.014)
    centre = (image.width / 2, image.height * height)
    measure = ImageDraw.Draw(image)
    left, top, right, bottom = measure.multiline_textbbox(centre, text, font, "mm", spacing, "center")
    pad = short * 0.035
    box = (round(left - 1.6 * pad), round(top - pad), round(right + 1.6 * pad), round(bottom + pad))
    banded = _band(image, box, palette, round(pad))
    canvas = ImageDraw.Draw(banded)
    canvas.multiline_text(centre, text, (255, 255, 255), font, "mm", spacing, "center")
    return banded


def write_caption(image: Image.Image, caption: str) -> None:
    """Write a small line of text in the lower right corner."""
    short = min(image.size)
    font = ImageFont.load_default(max(8.0, short * 0.017))
    at = (image.width - short * 0.042, image.height - short * 0.04)
    ImageDraw.Draw(image, "RGBA").text(at, caption, (255, 255, 255, 200), font, "rs")


def _band(image: Image.Image, box: tuple[int, int, int, int], palette: Palette, radius: int) -> Image.Image:
    blurred = image.crop(box).filter(ImageFilter.BoxBlur(radius / 2))
    shade = Image.blend(blurred, Image.new("RGB", blurred.size, palette.near), 0.55)
    mask = Image.new("L", blurred.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, mask.width - 1, mask.height - 1), radius, fill=255)
    banded = image.copy()
    banded.paste(shade, box, mask)
    outline = ImageDraw.Draw(banded, "RGBA")
    outline.rounded_rectangle(box, radius, outline=(255, 255, 255, 70), width=max(1, radius // 16))
    return banded


def _fit(prompt: str, short: int, width: int) -> tuple[Font, list[str]]:
    words = _plain(prompt)
    if len(words) > MAX_CHARACTERS:
        words = words[: MAX_CHARACTERS - 3].rstrip() + "..."
    for share in FONT_SHARES:
        font = ImageFont.load_default(max(9.0, short * share))
        lines = _wrap(words, font, width)
        if len(lines) <= MAX_LINES and all(font.getlength(line) <= width for line in lines):
            break
    return font, lines[: MAX_LINES + 2]


def _plain(prompt: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode("ascii")
    words = " ".join("".join(each if each.isprintable() else " " for each in ascii_only).split())
    return words or NO_LATIN


def _wrap(text: str, font: Font, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines += _pieces(word, font, width)
    return [line for line in lines if line]


def _pieces(word: str, font: Font, width: int) -> list[str]:
    pieces = [""]
    for character in word:
        if font.getlength(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces
