"""What an engine can say of a claim to end it: one value class for each verb.

A verb is five small pieces: its class here, its function in :mod:`trioq.core.model.settle`,
its fragment in ``store/lua/step/settle``, its moves in :mod:`trioq.core.lifecycle`, and what
the engine tells of it (:mod:`trioq.core.events`). A test holds them together.
"""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from trioq.core.job import Uid
from trioq.core.outcome import DeadReason
from trioq.core.values import value

Field = str | int | bytes


@value
class Ack:
    """The job succeeded."""

    verb: ClassVar = "ack"
    returns: ClassVar = False
    """Whether the job goes back to a queue: the step has to name that one."""
    in_lines: ClassVar = True
    """Whether a request says what it says of all of them in one text, with a line for each."""
    uid: Uid
    step: int
    """The step that claimed it; with the boot, that is the claim's token."""
    summary: bytes = b""
    """What ``done`` keeps of it, one line; empty keeps nothing."""

    def fields(self) -> tuple[Field, ...]:
        """What a request says of it besides uid and step, in each of these classes."""
        return (self.summary,)


@value
class Deliver:
    """The job succeeded, and what it returned is kept for a time."""

    verb: ClassVar = "deliver"
    returns: ClassVar = False
    in_lines: ClassVar = False
    uid: Uid
    step: int
    keep_ms: int
    word: Literal["done", "too_large", "unfit"]
    value: bytes
    """JSON; or why it isn't there."""
    summary: bytes = b""

    def fields(self) -> tuple[Field, ...]:
        return self.summary, self.keep_ms, self.word, self.value


@value
class RetryAt:
    """The job is scheduled again."""

    verb: ClassVar = "retry"
    returns: ClassVar = True
    in_lines: ClassVar = False
    uid: Uid
    step: int
    delay_ms: int
    attempts: int
    """Failed attempts, this one included if it counts."""
    line: bytes = b""
    """For the history; empty if there is nothing to tell (a snooze)."""

    def fields(self) -> tuple[Field, ...]:
        return self.delay_ms, self.attempts, self.line


@value
class DeadLetter:
    """The job is dead."""

    verb: ClassVar = "dead"
    returns: ClassVar = False
    in_lines: ClassVar = False
    uid: Uid
    step: int
    attempts: int
    reason: DeadReason
    line: bytes

    def fields(self) -> tuple[Field, ...]:
        return self.attempts, self.reason, self.line


@value
class Release:
    """The job is given back, to the head of its queue; the attempt doesn't count."""

    verb: ClassVar = "release"
    returns: ClassVar = True
    in_lines: ClassVar = False
    uid: Uid
    step: int
    rests: str = ""
    """What its claim took, and of which nobody shall start for a while; empty: nothing."""
    rest_ms: int = 0
    takes: tuple[str, ...] = ()
    """What the job takes of limits from now on, where nobody had worked that out; none: what is
    known holds."""

    def fields(self) -> tuple[Field, ...]:
        return self.rests, self.rest_ms, "\n".join(self.takes)


@value
class Park:
    """The job waits behind a closed door: this engine may not run its name now."""

    verb: ClassVar = "park"
    returns: ClassVar = True
    in_lines: ClassVar = False
    uid: Uid
    step: int
    queue: str
    name: str

    def fields(self) -> tuple[Field, ...]:
        return (f"{self.queue}:{self.name}",)


@value
class Cancel:
    """The job is cancelled: its handler was stopped, or was told to."""

    verb: ClassVar = "cancel"
    returns: ClassVar = False
    in_lines: ClassVar = False
    uid: Uid
    step: int
    summary: bytes = b""
    """Who didn't want it any more, and why: what ``done`` keeps of it."""
    keep_ms: int = 0
    """For how long those who ask are told so; 0: as long as any other's end."""

    def fields(self) -> tuple[Field, ...]:
        return self.keep_ms, self.summary


Settlement = Ack | Deliver | RetryAt | DeadLetter | Release | Park | Cancel

SETTLEMENTS: tuple[type[Settlement], ...] = get_args(Settlement)
"""In the order in which a step settles: where two speak of one claim, the earlier counts."""
