"""Many jobs: a part of them in each request, so that none takes long."""

from __future__ import annotations

import time
from typing import Annotated

import attrs

#: Whoever says nothing of a page has as many done as this allows.
REQUEST_S = 2.0
#: More than that of one request nobody asks for.
PAGE_MAX = 1000

Page = Annotated[
    int | None,
    "At most about so many jobs in this request, 1 to 1000; without it, as many as two seconds"
    " allow. While `more` is true, the same request with this one's `after` goes on.",
]
After = Annotated[str, "The `after` of the request before; empty: from the beginning."]
Dry = Annotated[bool, "Only tell what would be done."]


@attrs.define
class Quota:
    """How much one request does."""

    page: int | None
    _ends: float = attrs.field(factory=lambda: time.monotonic() + REQUEST_S, init=False)

    def __attrs_post_init__(self) -> None:
        if self.page is not None and not 1 <= self.page <= PAGE_MAX:
            raise ValueError(f"page is {self.page}: expected a number from 1 to {PAGE_MAX}")

    def is_over(self, count: int) -> bool:
        """Whether that is enough, by number or by time; a slow search ends by time, too."""
        return time.monotonic() >= self._ends or (self.page is not None and count >= self.page)
