"""Where a request begins and ends: spelt so that every server reads it alike.

h11 tolerates what older specifications allowed. Behind a proxy that reads it in another way, the rest of a request
could pass for somebody else's (request smuggling), so such heads are refused.
"""

from __future__ import annotations

import h11
from h11._receivebuffer import ReceiveBuffer

from contract.errors.kind import ErrorKind
from producer.error_catalogue import BAD_REQUEST, HOST_NOT_ALLOWED

LENGTHS = (b"content-length", b"transfer-encoding")


class StrictBuffer(ReceiveBuffer):
    """What was received and not yet read; heads and trailers come out of it only if they are well spelt."""

    fault: ErrorKind | None = None  # what was wrong with the last one

    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Take the lines of a head or of trailers. Raises LocalProtocolError, which h11 makes the client's."""
        given = bytes(self)
        lines = super().maybe_extract_lines()
        if lines is not None:
            self.fault = fault_of(given[: len(given) - len(self)])
        if self.fault:
            raise h11.LocalProtocolError(self.fault.code)
        return lines


def fault_of(head: bytes) -> ErrorKind | None:
    """Judge the bytes of a head, or of trailers, with their blank line: what is wrong with them, or None."""
    first, *lines = head.split(b"\r\n")
    headers = [line.partition(b":") for line in lines]
    names = [name.lower() for name, _, _ in headers]
    lengths = [value for name, _, value in headers if name.lower() in LENGTHS]
    is_folded = any(line.startswith((b" ", b"\t")) for line in (first, *lines))
    has_bare_ends = b"\n" in head.replace(b"\r\n", b"")
    if is_folded or has_bare_ends or len(lengths) > 1 or b"," in b"".join(lengths):
        return BAD_REQUEST
    if names.count(b"host") > 1 or (first.endswith(b" HTTP/1.1") and b"host" not in names):
        return HOST_NOT_ALLOWED
    return None
