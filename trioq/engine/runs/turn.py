"""How long the workers of an engine may run, before others in the loop may."""

from __future__ import annotations

import attrs

#: Workers with nothing but tiny jobs let others run this often.
SLICE_S = 0.002


@attrs.define
class Turn:
    """What the workers have run since one of them last let others run.

    They share it: those whose handlers have waited for the same moment come back together, and
    with a turn for each of them, all else would wait for as many turns as there are workers.
    """

    number: int = attrs.field(default=0, init=False)
    spent_s: float = attrs.field(default=0.0, init=False)

    @property
    def left_s(self) -> float:
        """What a worker may run yet."""
        return SLICE_S - self.spent_s

    def ended(self, number: int) -> None:
        """Others have run since this one; another worker may have begun the next."""
        if self.number == number:
            self.number += 1
            self.spent_s = 0.0
