"""GIF: a screen, and blocks of images and extensions, whose data come in chunks of at most 255 bytes."""

from __future__ import annotations

import re
import struct

from contract.untrusted.imaging.container import PADDING, Bytes, Container

_PICTURE, _EXTENSION, _END, _NOTHING = 0x2C, 0x21, 0x3B, 0x00
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
        self._padded_from = len(self._data.rstrip(PADDING))
        self._kept.append(self._view[:at])
        while (kind := self._block(at)) != _END:
            self._count()
            if kind == _PICTURE:
                at = self._picture(at)
            elif kind == _EXTENSION:
                end = self._pieces(at + 2)[1]
                self._keep_extension(at)
                at = end
            else:
                at += 1  # one end of a block too many
        self._kept.append(bytes([_END]))

    def _block(self, at: int) -> int:
        """Tell the kind of the next block; behind a frame, padding up to the end of the file is the end."""
        is_waiting = self._kept[-1][:1] == bytes([_EXTENSION])  # for the frame that the extension is about
        if at >= self._padded_from and self.frames and not is_waiting:
            return _END
        kind = self._data[at]
        if kind not in (_PICTURE, _EXTENSION, _END, _NOTHING):
            raise ValueError("unknown block")
        return kind

    def _picture(self, at: int) -> int:
        """Keep an image block, and return where it ends; an end that is cut is made good."""
        left, top, width, height, flags = struct.unpack_from("<xHHHHB", self._data, at)
        # Decoders make the screen larger for a picture that goes beyond it.
        self.width, self.height = max(self.width, left + width), max(self.height, top + height)
        self.frames += 1
        last, end = self._pieces(at + 11 + _table(flags))
        if end <= len(self._data):
            self._kept.append(self._view[at:end])
            return end
        rest = self._view[last + 1 :]
        self._kept += [self._view[at:last], bytes([len(rest)]), rest, *([b"\0"] if rest else [])]
        return len(self._data)

    def _pieces(self, at: int) -> tuple[int, int]:
        """Tell where the last of a row of pieces begins, and where the row ends: behind the file if it is cut."""
        last = at
        while at < len(self._data):
            last, size = at, self._data[at]
            at += 1 + size
            if not size:
                return last, at
            self._count()
        return (at if at == len(self._data) else last), len(self._data) + 1

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
