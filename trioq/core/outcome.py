"""How an attempt ended, as values.

A worker produces an outcome; :mod:`trioq.core.retry` decides from it what becomes
of the job; the next step carries that decision to the server.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from trioq.core.values import value

DeadReason = Literal[
    "failures",  # max_attempts attempts have failed
    "gave_up",  # the handler, or a command's exit code, said that it's no use
    "bad_payload",  # the payload doesn't fit the handler's annotations
    "bad_handler",  # the handler isn't one that can run: it returned a generator, say
    "undecodable",  # the record isn't one that this version can read
    "unknown_name",  # no engine knew the name for unknown_name_after
    "worker_lost",  # it killed its engine max_reaps times
    "dropped",  # its queue was full, and it was the oldest there
]


ErrorKind = Literal[
    "exception",  # the handler raised
    "timeout",  # it took too long
    "command",  # the program ended badly, or can't be started
    "runner",  # the handler's process ended under it, or can't be started
    "retry_later",  # the handler raised RetryLater
]


@value
class Error:
    """What went wrong in one attempt, as it is kept in the job's history."""

    type: str
    """The exception's qualified name, or ``exit 3``, or ``timeout``."""
    message: str
    """At most 1 kB, valid UTF-8."""
    traceback: str = ""
    """At most 8 kB, the tail."""
    kind: ErrorKind = "exception"
    """For who counts them; the history doesn't keep it."""


@value
class Succeeded:
    """The handler returned."""

    result: Any = None


@value
class Failed:
    """The handler raised, or took too long. Counts as an attempt."""

    error: Error
    delay_s: float | None = None
    """What :class:`~trioq.errors.RetryLater` asked for; None: the backoff decides."""
    permanent: DeadReason | None = None
    """Set where another attempt is no use; the job is then dead with this reason."""
    args: tuple[Any, ...] | None = None
    """The error's arguments, as JSON has them; None where nobody makes it anew from them."""
    counts: bool = True
    """Whether it speaks against what the handler depends on, and not against this job."""
    exception: Any = attrs.field(default=None, eq=False, repr=False)
    """What it raised, where its app wants to hear of that; None: it's nothing, or elsewhere."""


@value
class Snoozed:
    """The handler asked to be run later. Doesn't count."""

    delay_s: float
    limit: str = ""
    """The limit that has had enough, and rests for all; empty: it isn't one."""
    key: str | None = None
    """For which of its values, as JSON; None: it doesn't say."""


@value
class Interrupted:
    """The engine stopped, or lost its lease, before the handler was through. Doesn't count."""


@value
class Starved:
    """The engine had nothing left to start the handler with, so it wasn't. Doesn't count."""

    want: str
    """What there was none of: descriptors, processes, threads or memory."""


@value
class Unfit:
    """The payload doesn't fit the handler here, but may fit another engine's. Doesn't count."""

    door: str
    """What the door is called behind which its job waits for that one."""


LateReason = Literal[
    "deadline",  # its deadline had passed before its handler began, or came while it ran
    "expired",  # its handler hadn't begun before it expired
]


@value
class TooLate:
    """The job was to be done, or begun, by a time that has passed. Doesn't count."""

    why: LateReason


Outcome = Succeeded | Failed | Snoozed | Interrupted | Starved | Unfit | TooLate
