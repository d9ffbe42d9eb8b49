"""A schedule moves on from the tick that was seen to be its next: once, whoever makes it.

Nobody leads. Each engine that sees a tick come asks the server to move the schedule on *from that
tick*, and to enqueue its job in the same write; the first one does, and all others find that it
has moved. So a tick needs neither a lock nor a time to live (docket and BullMQ key the job by its
tick; the comparison is that of a compare-and-set).
"""

from __future__ import annotations

from typing import Literal

import attrs

from trioq.core.job import Uid
from trioq.core.values import value

Outcome = Literal[
    "fired",
    "known",  # its job had been enqueued before: the schedule was put back in time
    "missed",  # nobody was there for it in time
    "overlap",  # an earlier run hadn't ended
    "paused",
]
"""What became of a tick."""

#: Of so many ticks of a schedule is kept what became of them.
MARKS_MAX = 20


@value
class Mark:
    """One tick that has come, and what became of it."""

    tick_ms: int
    outcome: Outcome
    late_ms: int = 0
    """How much later than its tick that was decided."""
    uid: Uid = ""
    """Of its job; of an overlap, of the run that hadn't ended."""

    @property
    def stored(self) -> str:
        """As it is kept."""
        return f"{self.tick_ms} {self.outcome} {self.late_ms} {self.uid}".rstrip()


@value
class Tick:
    """From which tick a schedule moves on to which."""

    schedule: str
    row: bytes
    """What it was seen to say: where it says something else by now, other ticks may come next."""
    seen_ms: int
    """The tick that was seen to be the next."""
    next_ms: int | None
    """None: there is none after it."""
    marks: tuple[Mark, ...]
    """What becomes of the ticks up to there, the earliest first; of the last one it is ``fired``
    if it brings a job. At most ``MARKS_MAX``."""
    alive_max: int | None = None
    """So many of its runs may not have ended for another to come; None: any number."""


@attrs.frozen
class Clock:
    """When schedules come next, by the server's clock."""

    now_ms: int
    ticks: tuple[tuple[str, int], ...]
    """Schedule and tick, the earliest first."""


@attrs.frozen
class Known:
    """What is known of a schedule."""

    row: bytes
    """Empty: there is none."""
    paused: bytes = b""
    """As :mod:`trioq.core.formats.pause` has it; empty: it isn't paused."""
    runs: tuple[Uid, ...] = ()
    """Its last runs, the newest first."""
    next_ms: int | None = None
    """Its next tick, which was looked at after these."""


@attrs.frozen
class Ticked:
    """What became of the move.

    ``moved``: the schedule isn't where it was seen, or says something else; ``alive``: too many of
    its runs haven't ended. Both have changed nothing.
    """

    word: Literal["ok", "known", "moved", "alive"]
    uid: Uid = ""
    """Whose run hasn't ended, or who has the caller's id."""
