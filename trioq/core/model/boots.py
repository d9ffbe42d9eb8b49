"""What is known of the engines that run, and what they hold."""

from __future__ import annotations

import attrs

from trioq.core.calls import BootId, Unwanted
from trioq.core.job import Uid


@attrs.frozen
class Hold:
    """A claim: which step made it, as which of that step's claims, and from where."""

    step: int
    i: int
    queue: str
    suspect: bool


@attrs.frozen
class Asked:
    """Somebody wants a claim to end."""

    nth: int
    """As which of all that the boot was sent; 0: it isn't told, and runs on, but
    never again if a job that lives has its id."""
    step: int
    """The claim's."""
    unwanted: Unwanted


@attrs.define
class Registration:
    """An engine's boot."""

    info: bytes
    last: int = 0
    """The number of its last step."""
    refused: frozenset[Uid] = frozenset()
    """What that step would have settled without holding it."""
    cancelled: frozenset[Uid] = frozenset()
    """What that step would have put back, and cancelled."""
    asked: int = 0
    """How many asks it was ever sent."""
    asks: dict[Uid, Asked] = attrs.field(factory=dict[Uid, Asked])
    beats: int = 0
    held: dict[Uid, Hold] = attrs.field(factory=dict[Uid, Hold])

    @property
    def signs(self) -> int:
        """How many signs of life there were: its beats, and its steps."""
        return self.beats + self.last

    def in_order(self) -> list[tuple[Uid, Hold]]:
        """What it holds, in the order in which it was claimed."""
        return sorted(self.held.items(), key=lambda item: (item[1].step, item[1].i))

    def ask_for(self, unwanted: Unwanted, *, quietly: bool = False) -> None:
        """Ask for a claim's end, unless somebody has asked before, and not only quietly.

        Args:
          quietly: It may run to its end.
        """
        before = self.asks.get(unwanted.uid)
        if before is None or (before.nth == 0 and not quietly):
            self.asked += 1
            step = self.held[unwanted.uid].step
            self.asks[unwanted.uid] = Asked(0 if quietly else self.asked, step, unwanted)

    def answered(self, uid: Uid, hold: Hold) -> Asked | None:
        """A claim ends, and what was asked of it. None: nothing was."""
        asked = self.asks.pop(uid, None)
        return asked if asked is not None and asked.step == hold.step else None


def bell_of(boot: BootId) -> str:
    """The name of an engine's own bell, among those of queues."""
    return f"@{boot}"
