"""How much of something that all owners share one of them may have: half of what the others leave.

So there is always room for one more owner, and a small reserve is for those who come when all is taken.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class FairShare:
    """Places that owners take, one at a time."""

    most: int  # of all owners; an eighth of it is the reserve
    most_each: int
    least_each: int  # that an owner has even when others have taken the rest, as long as there is a reserve
    taken: Counter[str] = field(default_factory=Counter)

    def may_take(self, owner: str) -> bool:
        """Tell whether an owner's own share has room for one more."""
        own = self.taken[owner]
        left = self.most - self.most // 8 - (self.taken.total() - own)
        return own < max(self.least_each, min(self.most_each, left // 2))

    @property
    def is_full(self) -> bool:
        """Tell whether all owners together have taken everything."""
        return self.taken.total() >= self.most

    def take(self, owner: str) -> None:
        """Count one more for an owner."""
        self.taken[owner] += 1

    def give_back(self, owner: str) -> None:
        """Count one less for an owner."""
        self.taken[owner] -= 1
        if not self.taken[owner]:
            del self.taken[owner]
