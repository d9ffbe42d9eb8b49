"""Long lists, a part at a time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

#: Rows of a page.
MOST = 100


@attrs.frozen
class Paged(Generic[T]):
    """A part of a list."""

    shown: list[T]
    start: int
    """So many are before it."""
    total: int

    @classmethod
    def of(cls, all_: Sequence[T], start: str | None, most: int = MOST) -> Paged[T]:
        """The part that begins where a query says; what is no number begins at the first."""
        first = (
            int(start) if start and start.isascii() and start.isdigit() and len(start) < 9 else 0
        )
        first = first if first < len(all_) else 0
        return cls(list(all_[first : first + most]), first, len(all_))

    @property
    def before(self) -> int | None:
        """Where the part before it begins; None: there is none."""
        return max(0, self.start - MOST) if self.start else None

    @property
    def after(self) -> int | None:
        """Where the next one begins."""
        end = self.start + len(self.shown)
        return end if end < self.total else None
