"""When the next scheduled job of a server is due, as its answers say."""

from __future__ import annotations

import math

import trio


class Due:
    """Of one boot."""

    def __init__(self) -> None:
        self.at = math.inf
        """By trio's clock; infinity: nothing is scheduled."""
        self._changed = trio.Event()

    def note(self, next_due_ms: int | None) -> None:
        """So many milliseconds from now; None: nothing is scheduled."""
        before = self.at
        self.at = math.inf if next_due_ms is None else trio.current_time() + next_due_ms / 1000
        # Most often nothing is scheduled, and nobody has to be woken to hear it again.
        if before < math.inf or self.at < math.inf:
            self._changed.set()
            self._changed = trio.Event()

    async def changed(self) -> None:
        """Wait until it may be another time."""
        await self._changed.wait()
