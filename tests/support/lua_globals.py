"""Which global names a Lua text touches, told by its own compiler: the bytecode of Lua 5.1, which Redis runs."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lupa.lua51 import LuaRuntime  # type: ignore[import-untyped]

_HEADER = 12  # bytes
_GET_GLOBAL, _SET_GLOBAL = 5, 7
_SIZES = {0: 0, 1: 1, 3: 8}  # bytes of a constant that is no text, by its type


def global_names(text: str) -> set[str]:
    """Compile a text and list the global names that it reads or writes. Raises LuaError: it is no Lua."""
    dump = LuaRuntime(encoding=None).eval(b"function(text) return string.dump(assert(loadstring(text))) end")
    return set(_Reader(dump(text.encode())[_HEADER:]).function())


class _Reader:
    """Reads bytecode from its start to its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def function(self) -> Iterator[str]:
        """Read a function and those within it; answer the global names."""
        self._text()
        self._skip(4 + 4 + 4)  # its lines, and four small numbers
        code = [self._number() for _ in range(self._number())]
        constants = [self._constant() for _ in range(self._number())]
        for instruction in code:
            if instruction & 0x3F in (_GET_GLOBAL, _SET_GLOBAL):
                yield constants[instruction >> 14]
        for _ in range(self._number()):
            yield from self.function()
        self._skip(4 * self._number())  # lines of the code
        for _ in range(self._number()):
            self._text()  # names of locals
            self._skip(4 + 4)
        for _ in range(self._number()):
            self._text()  # names of upvalues

    def _constant(self) -> str:
        kind = self._take(1)[0]
        if kind == 4:
            return self._text()
        self._skip(_SIZES[kind])
        return ""

    def _text(self) -> str:
        (size,) = struct.unpack("<Q", self._take(8))
        return self._take(size)[:-1].decode()

    def _number(self) -> int:
        (number,) = struct.unpack("<I", self._take(4))
        return int(number)

    def _take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        return self._data[start : self._at]

    def _skip(self, size: int) -> None:
        self._at += size
