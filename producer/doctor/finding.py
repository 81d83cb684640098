"""What the doctor says of one thing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `hint` says what to do when it is not `ok`, or what could be better."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
