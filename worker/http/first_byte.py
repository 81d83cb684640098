"""Whether any byte of an answer has come, which httpcore does not tell: half an answer looks to it like none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FirstByteDetector:
    """Follows one request by httpcore's trace, and notes the first byte that is read from its streams."""

    has_come = False

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Take an event of the trace; the reader of each stream that it opens is replaced by one that notes bytes."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream: Any = info["return_value"]
            read = stream.read

            async def noted(*args: Any, **options: Any) -> bytes:
                data: bytes = await read(*args, **options)
                self.has_come = self.has_come or bool(data)
                return data

            stream.read = noted
