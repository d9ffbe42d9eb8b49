"""A job that has been enqueued and isn't over, and what goes with it."""

from __future__ import annotations

import attrs

from trioq.core.fair import FairKey
from trioq.core.formats.history import encode_omitted
from trioq.core.formats.ids import PLAIN, Kept
from trioq.core.outcome import DeadReason

#: Of a long history, so many lines are kept from its beginning and from its end.
FIRST_LINES = 5
LAST_LINES = 20


@attrs.define
class Life:
    """A job that has been enqueued and isn't over."""

    stored: bytes
    big: bytes
    id: str | None
    """The caller's."""
    lost_id: bool = False
    """Whether another job has taken that."""
    kept: Kept = PLAIN
    """For how long that is remembered."""
    attempts: int = 0
    """Failed ones, since it was enqueued or revived."""
    reaps: int = 0
    """How many engines died of it, since then."""
    errors: list[bytes] = attrs.field(factory=list[bytes])
    """A line for each failed attempt, all there ever were."""
    reason: DeadReason | None = None
    """Why it is dead; None: it isn't."""
    note: bytes = b""
    """What its handler last said of how far it is."""
    takes: tuple[str, ...] = ()
    """What it takes of limits while it runs."""
    fair: FairKey | None = None
    """Whose turn it is when it is this job's."""
    tag: int | None = None
    """When that is, in its queue's virtual time; None: it was never ready yet."""

    def fail(self, line: bytes) -> None:
        """Remember what went wrong; an empty line tells nothing."""
        if line:
            self.errors.append(line)

    @property
    def history(self) -> bytes:
        """What is kept of the errors: the first, the last, and how many are left out."""
        omitted = len(self.errors) - FIRST_LINES - LAST_LINES
        lines = self.errors
        if omitted > 0:
            lines = [*lines[:FIRST_LINES], encode_omitted(omitted), *lines[-LAST_LINES:]]
        return b"\n".join(lines)
