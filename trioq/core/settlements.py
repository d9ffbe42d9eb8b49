"""What an engine can say of a claim to end it, as values: one class for each verb."""

from __future__ import annotations

from trioq.core.job import Uid
from trioq.core.outcome import DeadReason
from trioq.core.values import value


@value
class Ack:
    """The job succeeded."""

    uid: Uid
    n: int
    """The step that claimed it; with the boot, that is the claim's token."""
    summary: bytes = b""
    """What ``done`` keeps of it; empty keeps nothing."""


@value
class RetryAt:
    """The job is scheduled again."""

    uid: Uid
    n: int
    delay_ms: int
    attempts: int
    """Failed attempts, this one included if it counts."""
    line: bytes = b""
    """For the history; empty if there is nothing to tell (a snooze)."""


@value
class DeadLetter:
    """The job is dead."""

    uid: Uid
    n: int
    attempts: int
    reason: DeadReason
    line: bytes


@value
class Release:
    """The job is given back, to the head of its queue; the attempt doesn't count."""

    uid: Uid
    n: int


@value
class Park:
    """The job waits behind a closed door: this engine may not run its name now."""

    uid: Uid
    n: int
    queue: str
    name: str


Settlement = Ack | RetryAt | DeadLetter | Release | Park
