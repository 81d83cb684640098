"""Paints a landscape: a sky that brightens towards the horizon, a sun or moon, hills, perhaps a lake."""

import hashlib
import math
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Colour = tuple[int, int, int]

# Masks of small pictures are drawn larger and shrunk, so that edges are smooth.
SMOOTHING_LIMIT_PX = 3_000_000


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Names the five colours of a scene."""

    zenith: Colour
    horizon: Colour
    light: Colour
    far: Colour
    near: Colour

    @property
    def is_night(self) -> bool:
        """Say whether the sky is dark enough for stars."""
        return sum(self.zenith) < 180


def _palette(*codes: int) -> Palette:
    zenith, horizon, light, far, near = ((code >> 16, code >> 8 & 255, code & 255) for code in codes)
    return Palette(zenith=zenith, horizon=horizon, light=light, far=far, near=near)


PALETTES = [
    _palette(0x2B3A67, 0xF6A57A, 0xFFE9C4, 0xB0707A, 0x1F2440),  # dusk
    _palette(0x0B1030, 0x3F5C9A, 0xF4F1DE, 0x35508A, 0x060A1E),  # moonlight
    _palette(0x4A90C2, 0xF3E9D2, 0xFFF8E1, 0x8FB7B3, 0x24505A),  # noon
    _palette(0x6D3B5E, 0xFFB199, 0xFFF0D9, 0xC8707F, 0x3A1B3A),  # rose dawn
    _palette(0x2F5D50, 0xE6DDB4, 0xFFF6D6, 0x8CA878, 0x152E2A),  # misty forest
    _palette(0xC2703D, 0xFBE3B0, 0xFFFBEA, 0xD99A5B, 0x5B2A1A),  # desert
    _palette(0x08202C, 0x2FA38C, 0xE8FFF3, 0x1F6F6B, 0x04121A),  # northern light
    _palette(0x7A8FB8, 0xF2D7E0, 0xFFFFFF, 0xA79BC4, 0x3C3A66),  # winter
    _palette(0x14345E, 0xFFD07B, 0xFFF3CF, 0x4D7EA8, 0x0B1D33),  # sea
]


def palette_for(prompt: str) -> Palette:
    """Choose the prompt's palette."""
    return PALETTES[hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[0] % len(PALETTES)]


def paint(palette: Palette, width: int, height: int, random: Random) -> Image.Image:
    """Paint a scene; the same seed gives the same one."""
    size = (width, height)
    image = _sky(palette, size)
    if palette.is_night:
        _stars(image, palette, random)
    skyline = height * random.uniform(0.5, 0.6)
    centre = (width * random.uniform(0.2, 0.8), skyline - height * random.uniform(0.12, 0.3))
    radius = min(size) * random.uniform(0.06, 0.1)
    image = _shine(image, palette, centre, radius)
    _hills(image, palette, skyline, random)
    _birds(image, palette, random)
    return image


def _hills(image: Image.Image, palette: Palette, skyline: float, random: Random) -> None:
    width, height = image.size
    layers = random.randint(4, 6)
    lake_before = random.choice([None, None, layers - 2])
    ruggedness = random.choice([0.8, 1.0, 1.35])
    for layer in range(layers):
        if layer == lake_before:
            _lake(image, palette, round(height * 0.7))
        depth = layer / (layers - 1)
        colour = _mix(_mix(palette.far, palette.horizon, 0.35), palette.near, depth**0.8)
        top = skyline + (height * 0.92 - skyline) * depth**1.15
        ridge = _ridge(width, top, height * (0.085 - 0.03 * depth) * ruggedness, random)
        _fill_below(image, colour, ridge)
        _mist(image, palette, top, height * 0.16, 0.5 * (1 - depth))


def _lake(image: Image.Image, palette: Palette, shore: int) -> None:
    depth = image.height - shore
    mirrored = ImageOps.flip(image.crop((0, shore - depth, image.width, shore)))
    calm = mirrored.resize((image.width, max(1, depth // 12))).resize(mirrored.size, Image.Resampling.BICUBIC)
    water = Image.blend(calm, Image.new("RGB", calm.size, palette.near), 0.3)
    image.paste(water, (0, shore))
    line = max(1, image.height // 500)
    ImageDraw.Draw(image, "RGBA").line((0, shore, image.width, shore), fill=(*palette.light, 110), width=line)


def frame(image: Image.Image) -> Image.Image:
    """Darken the corners a little and draw a thin line inside the edge."""
    vignette = Image.radial_gradient("L").point(lambda value: max(0, value - 120) // 2)
    framed = image.copy()
    framed.paste(0, mask=vignette.resize(image.size))
    short = min(image.size)
    inset, line = round(short * 0.025), max(1, round(short * 0.002))
    canvas = ImageDraw.Draw(framed, "RGBA")
    box = (inset, inset, image.width - 1 - inset, image.height - 1 - inset)
    canvas.rectangle(box, outline=(255, 255, 255, 130), width=line)
    return framed


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _sky(palette: Palette, size: tuple[int, int]) -> Image.Image:
    slope = Image.linear_gradient("L").point(lambda value: min(255, round(value * 1.75)))
    return _wide(ImageOps.colorize(slope, palette.zenith, palette.horizon), size)


def _wide(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Bring to a size what is the same in each column."""
    column = image.crop((0, 0, 1, image.height)).resize((1, size[1]), Image.Resampling.BICUBIC)
    return column.resize(size, Image.Resampling.NEAREST)


def _stars(image: Image.Image, palette: Palette, random: Random) -> None:
    canvas = ImageDraw.Draw(image, "RGBA")
    for _ in range(140):
        x, y = random.random() * image.width, random.random() ** 1.4 * image.height * 0.5
        r = min(image.size) * random.choice([0.0006, 0.001, 0.0016])
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=(*palette.light, random.randint(70, 230)))


def _shine(image: Image.Image, palette: Palette, centre: tuple[float, float], radius: float) -> Image.Image:
    x, y = centre
    reach = round(radius * 6)
    halo = Image.radial_gradient("L").point(lambda value: round(max(0, 180 - value) ** 2 / 200))
    box = (round(x) - reach, round(y) - reach)
    image.paste(palette.light, box, halo.resize((2 * reach, 2 * reach)))
    blur = max(1.0, min(image.size) * 0.0012)
    room = math.ceil(1.5 * radius + blur) + 2
    left, top = max(0, math.floor(x) - room), max(0, math.floor(y) - room)
    size = (min(image.width, math.ceil(x) + room) - left, min(image.height, math.ceil(y) + room) - top)
    x, y = x - left, y - top
    disc = _smooth_ellipse(size, (x - radius, y - radius, x + radius, y + radius), blur)
    if palette.is_night:
        shift = radius * 0.45
        shadow = (x - radius + shift, y - radius - shift * 0.4, x + radius + shift, y + radius - shift * 0.4)
        disc = ImageChops.subtract(disc, _smooth_ellipse(size, shadow, blur))
    image.paste(palette.light, (left, top), disc)
    return image


def _ridge(width: int, top: float, swell: float, random: Random) -> list[tuple[float, float]]:
    waves = [
        (random.uniform(0.7, 1.3) * octave, random.uniform(0, math.tau), swell / octave**1.25)
        for octave in (1, 2, 4, 8, 15, 31)
    ]
    steps = max(160, width // 6)
    return [
        (
            width * step / steps,
            top + sum(high * math.sin(math.tau * often * step / steps + at) for often, at, high in waves),
        )
        for step in range(steps + 1)
    ]


def _mist(image: Image.Image, palette: Palette, top: float, depth: float, strength: float) -> None:
    if strength <= 0:
        return
    fade = Image.linear_gradient("L").point(lambda value: round(value * strength))
    band = _wide(fade, (image.width, max(1, round(depth))))
    image.paste(palette.horizon, (0, round(top + depth * 0.15)), band)


def _birds(image: Image.Image, palette: Palette, random: Random) -> None:
    canvas = ImageDraw.Draw(image, "RGBA")
    short = min(image.size)
    x, y = image.width * random.uniform(0.15, 0.75), image.height * random.uniform(0.14, 0.3)
    for _ in range(random.randint(3, 6)):
        span = short * random.uniform(0.008, 0.014)
        at = (x + random.uniform(-0.09, 0.09) * short, y + random.uniform(-0.05, 0.05) * short)
        wings = [(at[0] - span, at[1] - span * 0.5), at, (at[0] + span, at[1] - span * 0.6)]
        canvas.line(wings, fill=(*palette.near, 190), width=max(1, round(short * 0.0025)), joint="curve")


def _fill_below(image: Image.Image, colour: Colour, ridge: list[tuple[float, float]]) -> None:
    """Fill what lies below a line; only the rows that the line crosses need a mask with smooth edges."""
    heights = [y for _, y in ridge]
    top, bottom = max(0, math.floor(min(heights)) - 2), min(image.height, math.ceil(max(heights)) + 2)
    scale = 2 if image.width * image.height < SMOOTHING_LIMIT_PX else 1
    mask = Image.new("L", (image.width * scale, (bottom - top) * scale))
    outline = [*ridge, (image.width, image.height), (0, image.height)]
    ImageDraw.Draw(mask).polygon([(x * scale, (y - top) * scale) for x, y in outline], fill=255)
    image.paste(colour, (0, top), mask.reduce(scale) if scale > 1 else mask)
    image.paste(colour, (0, bottom, image.width, image.height))


def _smooth_ellipse(size: tuple[int, int], box: tuple[float, float, float, float], blur: float) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask.filter(ImageFilter.BoxBlur(blur))
