"""Every error that trioq raises, by whose fault it is.

    TrioqError                 catch this to catch everything below
    |-- ConfigError            the configuration is wrong: all faults, each with its path
    |-- EnqueueError           this job can't be queued; nothing was written
    |   |-- PayloadRejected    too large, or not a JSON object
    |   |-- QueueUnknown       the configuration has no such queue
    |   |-- QueueFull          the queue's max_length is reached
    |   |-- IdTaken            another job has the id, and that was to be an error
    |   `-- IdMismatch         another job has the id, and can't become this one
    |-- EnqueueUnknown         no answer: the jobs may or may not be queued
    |-- NoResult               this job has no result to give
    |   |-- JobDied            it is dead: why, and what its last attempt raised
    |   |-- JobCancelled       it was cancelled: by whom, and why
    |   |-- NoResultKept       it is done, and nobody asked that its result be kept
    |   |-- ResultExpired      it is done, and its result was kept for as long as was asked
    |   |-- ResultTooLarge     it is done, and what it returned is larger than max_result
    |   |-- ResultUnfit        it is done, and what it returned isn't JSON, or not of its type
    |   `-- JobUnknown         there is no such job, or it has ended and nothing was kept
    |-- WaitTimeout            it hasn't ended within the time; also a TimeoutError
    |-- RecordUnreadable       what is stored isn't a job that this version can read
    |-- LifespanError          what handlers share can't be made, or has ended while they run
    |-- StoreError
    |   |-- StoreUnreachable   no answer from Redis: trying again may help
    |   |   `-- StoreClosed    the program itself has closed the connection: open another
    |   |-- StoreBusy          "not now" (loading, full, read-only): trying again may help
    |   `-- StoreRefused       Redis said no (password, permission, wrong type): trying again won't
    |-- NotInstalled           a package of an extra is missing; also an ImportError
    `-- TrioqBug               an invariant is broken; please report, with the message

Raised by handlers, to say how their job goes on:

    JobControl
    |-- RetryLater(delay_s)    again in a while; counts as a failed attempt
    |-- Snooze(delay_s)        again in a while; doesn't count
    |-- RateLimited(…)         its limit lets nobody start for a while; doesn't count
    `-- GiveUp(reason)         dead, without further attempts
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal


class TrioqError(Exception):
    """The root of all errors that trioq raises."""


class ConfigError(TrioqError):
    """The configuration is wrong.

    ``faults`` has one line for each fault, every one with its path and with what
    would be right, so that a user mends them all at once.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class EnqueueError(TrioqError):
    """This job can't be queued. Nothing was written."""


class PayloadRejected(EnqueueError):
    """The payload is too large, or isn't a JSON object."""


class QueueUnknown(EnqueueError):
    """The configuration has no queue of this name."""


class QueueFull(EnqueueError):
    """The queue has reached its ``max_length``. Enqueue later, or raise the limit.

    Args:
      queue: Which.
      length: How many jobs wait in it, ready or scheduled.
      max_length: How many may.
      jobs: How many were to be enqueued at once; more than ``max_length`` never fit.
      waited_s: How long there was no room; None: nobody waited for any.
    """

    def __init__(
        self,
        queue: str,
        length: int = 0,
        max_length: int = 0,
        jobs: int = 1,
        waited_s: float | None = None,
    ) -> None:
        self.queue = queue
        self.length = length
        self.max_length = max_length
        self.jobs = jobs
        self.waited_s = waited_s
        super().__init__(queue, length, max_length, jobs, waited_s)

    def __str__(self) -> str:
        if not self.max_length:
            return f"queue {self.queue!r} is full"
        if self.jobs > self.max_length:
            return (
                f"queue {self.queue!r} takes at most {self.max_length:,} job(s): {self.jobs:,} at"
                " once never fit; enqueue fewer at a time, or raise its max_length"
            )
        room = max(0, self.max_length - self.length)
        said = (
            f"queue {self.queue!r} is full: {self.length:,} of at most {self.max_length:,} job(s)"
            f" wait in it, room for {room:,} more job(s)"
        )
        return said if self.waited_s is None else f"{said}; none came in {self.waited_s:g} s"


class IdTaken(EnqueueError):
    """Another job has the id, and ``on_conflict="raise"``.

    Args:
      id: The caller's.
      handle: Of the job that has it.
    """

    def __init__(self, id: str, handle: Any) -> None:
        self.id = id
        self.handle = handle
        super().__init__(id, handle)

    def __str__(self) -> str:
        return f"the id {self.id!r} is job {self.handle.uid}, {self.handle.existing}"


class IdMismatch(EnqueueError):
    """Another job has the id, and can't become this one. A job keeps its handler and its queue,
    and one that waits its fair key.

    Args:
      id: The caller's.
      uid: Of the job that has it.
      differs: What differs.
      theirs: What that job has; of a fair key nothing is told.
      ours: What this one has.
    """

    def __init__(
        self,
        id: str,
        uid: str,
        differs: Literal["name", "queue", "fair_key"],
        theirs: str = "",
        ours: str = "",
    ) -> None:
        self.id = id
        self.uid = uid
        self.differs = differs
        self.theirs = theirs
        self.ours = ours
        super().__init__(id, uid, differs, theirs, ours)

    def __str__(self) -> str:
        said = f"the id {self.id!r} is job {self.uid}"
        if self.differs == "name":
            said += f" of the handler {self.theirs!r}, which can't become one of {self.ours!r}"
            return f"{said}: give this one another id"
        if self.differs == "queue":
            said += f" in the queue {self.theirs!r}, which can't move to {self.ours!r}"
            return f"{said}: enqueue into {self.theirs!r}, or give this one another id"
        return (
            f"{said}, which waits for its turn with another fair key or weight: give both the same,"
            " or this one another id"
        )


class EnqueueUnknown(TrioqError):
    """Redis didn't answer, so the jobs may or may not be queued.

    Enqueue again with the same caller's ids: what did arrive is then answered
    with the existing job and isn't queued a second time.
    """

    def __init__(self, uids: Sequence[str]) -> None:
        self.uids = tuple(uids)
        shown = ", ".join(self.uids[:3]) + (", …" if len(self.uids) > 3 else "")
        super().__init__(f"no answer for {len(self.uids)} job(s): {shown}")


class NoResult(TrioqError):
    """This job has no result to give."""

    uid: str = ""
    """Which job; empty where only an id is known."""


class JobDied(NoResult):
    """The job is dead. It may be revived, and have a result then.

    Args:
      reason: Why: ``failures``, ``gave_up``, … (``docs/operations.md``).
      type: The qualified name of what its last attempt raised, or ``exit 3``, or ``timeout``.
      message: What that said.
      traceback: The remote one, as text: its last 8 kB.
    """

    def __init__(self, reason: str, type: str = "", message: str = "", traceback: str = "") -> None:
        self.reason = reason
        self.type = type
        self.message = message
        self.traceback = traceback
        said = f": {type}: {message}" if type else ""
        super().__init__(f"the job is dead ({reason}){said}")


class JobCancelled(NoResult):
    """The job was cancelled.

    Args:
      reason: What was said when it was; ``deadline`` if its own had passed.
      by: Who did it.
    """

    def __init__(self, reason: str = "", by: str = "") -> None:
        self.reason = reason
        self.by = by
        super().__init__("the job was cancelled" + (f": {reason}" if reason else ""))


class NoResultKept(NoResult):
    """The job is done, or cancelled, and nobody asked that its result be kept."""


class ResultExpired(NoResult):
    """The job has ended, and its result was kept for as long as was asked, which is over."""


class ResultTooLarge(NoResult):
    """The job is done, and what it returned is larger than ``max_result``.

    Args:
      size: Bytes that it has as JSON.
      most: Bytes that it might have had.
    """

    def __init__(self, size: int, most: int) -> None:
        self.size = size
        self.most = most
        super().__init__(f"the result has {size} bytes, the limit is {most}")


class ResultUnfit(NoResult):
    """The job is done, and what it returned can't be JSON, or isn't of the declared type."""


class JobUnknown(NoResult):
    """There is no such job: it never was, or it has ended and nothing is remembered of it."""


class WaitTimeout(TrioqError, TimeoutError):
    """The job hasn't ended within the time that one wanted to wait. It goes on."""

    uid: str = ""
    """Which job; empty where one waited for several."""


class RecordUnreadable(TrioqError):
    """What is stored isn't a job that this version of trioq can read."""


class LifespanError(TrioqError):
    """The lifespan of an app failed, so its engine doesn't run: which, and what it raised, which is
    the cause."""

    def __init__(self, told: str, traceback: str = "") -> None:
        self.told = told
        """In one line."""
        self.traceback = traceback
        super().__init__(f"{told}\n{traceback}" if traceback else told)


class StoreError(TrioqError):
    """Something is wrong with Redis or with the way to it."""


class StoreUnreachable(StoreError):
    """No answer from Redis. The call may have been executed, or may be, later.

    ``sent`` is False where there was no connection, so that it surely wasn't.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(message)


class StoreClosed(StoreUnreachable):
    """The connection was closed by the program itself: a client is used after its ``with``."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class StoreBusy(StoreError):
    """Redis answered, and the answer was "not now". Nothing was executed."""


class StoreRefused(StoreError):
    """Redis said no, and will say no again until somebody changes something."""


class NotInstalled(TrioqError, ImportError):
    """A package that an extra brings isn't there: the message says which, and what to type."""


class TrioqBug(TrioqError):
    """An invariant is broken. Please report this, with the message."""


class JobControl(Exception):
    """Raised by a handler to say how its job goes on."""


class RetryLater(JobControl):
    """Run this job again in ``delay_s`` seconds; the attempt counts as failed.

    Without a delay, the job's own backoff decides. ``reason`` is what its history says.
    """

    def __init__(self, delay_s: float | None = None, reason: str = "") -> None:
        self.delay_s = delay_s
        super().__init__(reason or "the handler asked to be run again later")


class Snooze(JobControl):
    """Run this job again in ``delay_s`` seconds; the attempt doesn't count."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        super().__init__(f"snoozed for {delay_s} s")


class RateLimited(JobControl):
    """What this job depends on has had enough: its limit lets no job start for a while, on no
    engine. The job runs again then, in its place; the attempt doesn't count.

    Args:
      retry_after: Seconds.
      limit: The name of a limit that the job takes of. With another, this job waits alone, as
          with :class:`Snooze`.
      key: Of a limit with a key: for which value. Default: the job's own.
    """

    def __init__(
        self,
        retry_after: float,
        *,
        limit: str,
        key: str | int | float | bool | None = None,
    ) -> None:
        self.retry_after = retry_after
        self.limit = limit
        self.key = key
        super().__init__(f"the limit {limit!r} rests for {retry_after} s")


class GiveUp(JobControl):
    """This job can't succeed: dead at once, with this reason."""

    def __init__(self, reason: str = "the handler gave up") -> None:
        super().__init__(reason)
