"""A table of what was measured, and what it should have been."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    what: str
    measured: float
    most: float
    unit: str
    least: bool = False  # whether the target is the least, not the most

    @property
    def is_met(self) -> bool:
        """Tell whether the target was met."""
        return self.measured >= self.most if self.least else self.measured <= self.most

    def __str__(self) -> str:
        sign, mark = ("≥" if self.least else "≤"), ("" if self.is_met else "   MISSED")
        return f"  {self.what:<66} {sign} {self.most:8.6g} {self.unit:<5} {self.measured:10.2f}{mark}"
