"""GIF: a screen, and blocks of images and extensions, whose data come in chunks of at most 255 bytes."""

from __future__ import annotations

import re
import struct

from contract.untrusted.imaging.container import Bytes, Container

_PICTURE, _EXTENSION, _END = 0x2C, 0x21, 0x3B
# What stays of extensions: time and transparency of the next frame, and how often all are repeated.
_CONTROL = re.compile(rb"\x21\xf9\x04....", re.DOTALL)
_LOOP = re.compile(rb"\x21\xff\x0b(?:NETSCAPE2\.0|ANIMEXTS1\.0)\x03\x01..", re.DOTALL)


class Gif(Container):
    """A GIF, taken apart."""

    def _read(self) -> None:
        if not self._data.startswith((b"GIF87a", b"GIF89a")):
            raise ValueError("no signature")
        self.width, self.height, flags = struct.unpack_from("<6xHHB", self._data)
        if not self.width or not self.height:
            raise ValueError("no pixels")
        at = 13 + _table(flags)
        self._kept.append(self._view[:at])
        while (kind := self._data[at]) != _END:
            self._count()
            if kind == _PICTURE:
                end = self._picture(at)
            elif kind == _EXTENSION:
                end = self._pieces(at + 2)
                self._keep_extension(at)
            else:
                raise ValueError("unknown block")
            at = end
        self._kept.append(self._view[at : at + 1])

    def _picture(self, at: int) -> int:
        """Keep an image block, and return where it ends."""
        left, top, width, height, flags = struct.unpack_from("<xHHHHB", self._data, at)
        # Decoders make the screen larger for a picture that goes beyond it.
        self.width, self.height = max(self.width, left + width), max(self.height, top + height)
        self.frames += 1
        end = self._pieces(at + 11 + _table(flags))
        self._kept.append(self._view[at:end])
        return end

    def _pieces(self, at: int) -> int:
        """Tell where a row of pieces ends."""
        while size := self._data[at]:
            self._count()
            at += 1 + size
        return at + 1

    def _keep_extension(self, at: int) -> None:
        if found := _CONTROL.match(self._data, at) or _LOOP.match(self._data, at):
            self._kept.append(found[0] + b"\0")  # without pieces that no reader needs
        elif self._data[at + 1] == 0xF9:
            raise ValueError("odd control")  # decoders do not agree about it

    def _written(self, exif: bytes) -> list[Bytes]:
        if exif:
            raise ValueError("a GIF has no place for EXIF")
        return self._kept


def _table(flags: int) -> int:
    """Tell the bytes of the colour table that these flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
