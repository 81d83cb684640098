"""The rows of a PNG, deflated: counted, and packed anew where their end is missing or wrong."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from contract.untrusted.imaging.container import Bytes

_INPUT_BYTES, _OUTPUT_BYTES = 2**14, 2**20


def is_whole(pieces: Iterable[Bytes], *, size: int, spare: int) -> bool:
    """Tell whether pieces hold just so many bytes and an end.

    Raises ValueError for fewer bytes, and for more than there are to spare.
    """
    stream, there = zlib.decompressobj(), 0
    for inflated in _inflated(stream, pieces):
        there += len(inflated)
        if there > size + spare:
            break
    if not size <= there <= size + spare:
        raise ValueError("not the promised rows")
    return stream.eof and there == size


def packed_anew(pieces: Iterable[Bytes], *, size: int) -> bytes:
    """Deflate the first bytes that pieces hold once more."""
    packer, left = zlib.compressobj(), size
    packed = []
    for inflated in _inflated(zlib.decompressobj(), pieces):
        packed.append(packer.compress(inflated[:left]))
        left -= len(inflated)
        if left <= 0:
            break
    return b"".join([*packed, packer.flush()])


def _inflated(stream: zlib._Decompress, pieces: Iterable[Bytes]) -> Iterator[bytes]:
    """Inflate pieces little by little. Raises ValueError."""
    try:
        for piece in pieces:
            # What is left over is copied each time, so it had better be small.
            for at in range(0, len(piece), _INPUT_BYTES):
                rest = bytes(piece[at : at + _INPUT_BYTES])
                while rest and not stream.eof:
                    yield stream.decompress(rest, _OUTPUT_BYTES)
                    rest = stream.unconsumed_tail
    except zlib.error as error:
        raise ValueError("broken rows") from error
