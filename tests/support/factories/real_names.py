"""Names of images as people, cameras and systems make them, and how callers spell them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.factories.images import picture

# As the file is called, and as a caller names it.
NAMES = {
    "macOS screenshot": "Screenshot 2026-11-30 at 9.41.07\u202fAM.png",
    "no-break blank": "red\u00a0fox.png",
    "leading blank": " fox.png",
    "trailing blank": "fox.png ",
    "blanks": "a  red   fox.png",
    "quotes": "\"fox\" `and` 'hare'.png",
    "percent": "100%25 %2F.png",
    "emoji": "🦊👨\u200d👩\u200d👧.png",
    "composed": "caf\u00e9.png",
    "decomposed": "nin\u0303o.png",
    "backslash": "red\\ fox.png",
    "Windows path": "C:\\Users\\fox.png",
    "tilde": "~fox.png",
    "dash": "-fox.png",
    "colons": "12:30:05 fox.png",
    "scheme": "data:fox.png",
    "address": "file:fox.png",
    "signs": "fox?#&*[1]{2}$HOME.png",
    "newline": "red\nfox.png",
    "tab": "red\tfox.png",
    "escape": "\x1b[31mfox\x07.png",
    "bell and C1": "fox\x07\x85.png",
    "turned around": "fox\u202egnp.exe.png",
    "line separator": "red\u2028fox.png",
    "long": "é" * 125 + ".png",
    "dots": "...fox.png",
    "hidden": ".fox.png",
    "old encoding": "caf\udce9 \udcff.png",
}
# As a caller names it, and as the file is called.
ALIKE = {
    "plain blank for a narrow one": ("Shot at 9.41 AM.png", "Shot at 9.41\u202fAM.png"),
    "plain blank for a no-break one": ("blue fox.png", "blue\u00a0fox.png"),
    "composed for decomposed": ("r\u00e9sum\u00e9.png", "re\u0301sume\u0301.png"),
    "decomposed for composed": ("u\u0308ber.png", "\u00fcber.png"),
    "folder and file": ("Bilder f\u00fcr Zo\u00eb/\u00e4.png", "Bilder fu\u0308r Zoe\u0308/\u00e4.png"),
}


def spelt(name: str) -> str:
    """Spell a name as JSON can carry it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def lay_out(folder: Path) -> None:
    """Make an image of each name, each with other pixels."""
    for number, name in enumerate([*NAMES.values(), *(name for _, name in ALIKE.values())]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(100 + number))
