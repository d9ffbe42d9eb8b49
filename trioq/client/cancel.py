"""What comes of the wish that a job shall end. Plain decisions; who sends it is elsewhere."""

from __future__ import annotations

import getpass
import os
import socket
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Self

from trioq.core import arguments
from trioq.core.arguments import Seconds
from trioq.core.call import Expected
from trioq.core.calls import CancelWord, End, Unwanted
from trioq.core.formats import summary
from trioq.core.job import Record
from trioq.core.values import value
from trioq.core.wall import wall_ms

if TYPE_CHECKING:
    from trioq.store.inspect import JobView

#: Seconds for which the end of a job that runs is waited for, if nothing else is said.
WAIT_S = 5.0

#: Who cancelled something has so many characters at most.
BY_MAX = 100


class CancelOutcome(StrEnum):
    """What came of the wish that a job shall end."""

    was_waiting = "was_waiting"
    """It waited, and won't run."""
    stopped = "stopped"
    """It ran, and was stopped; or it was about to be tried again, which it won't."""
    ignored = "ignored"
    """It ran, and counts as cancelled. Its handler didn't end in time, and was left to itself."""
    finished_first = "finished_first"
    """It is done: it succeeded before it could be stopped."""
    died_first = "died_first"
    """It is dead: it was before, or its last attempt failed before it could be stopped."""
    asked = "asked"
    """It still runs. It stays asked to end, and never runs again once this run is over."""
    unknown = "unknown"
    """There is no such job, or it has ended, and how isn't remembered."""


#: How a job was cancelled that ran, as its summary says it.
_HOW = {"stopped": CancelOutcome.stopped, "ignored": CancelOutcome.ignored}


def outcome(word: CancelWord, state: str | None = None, how: str = "") -> CancelOutcome:
    """What came of it.

    Args:
      word: What the server said to the wish.
      state: How the job ended; None: it hasn't within the time.
      how: What the summary of a cancelled job says of that.
    """
    if word == "cancelled":
        return CancelOutcome.was_waiting
    if word == "dead" or state == "dead":
        return CancelOutcome.died_first
    if state in ("done", "too_large", "unfit"):
        return CancelOutcome.finished_first
    if state == "cancelled":
        # Where nothing is said no handler was stopped: somebody else cancelled what waited, or it
        # had failed, or lost its engine, by the time it could have been.
        unsaid = CancelOutcome.stopped if word == "asked" else CancelOutcome.was_waiting
        return _HOW.get(how, unsaid)
    has_not_ended = word == "asked" and state in (None, "live")
    return CancelOutcome.asked if has_not_ended else CancelOutcome.unknown


def is_told(word: CancelWord, wait_s: float) -> bool:
    """Whether nothing is to be waited for after this word."""
    return word in ("cancelled", "dead") or (word == "asked" and wait_s <= 0)


def ended(word: CancelWord, end: End) -> CancelOutcome:
    """What came of it, by how the job ended after this word."""
    told = summary.decode(end.value) if end.state == "cancelled" else None
    return outcome(word, end.state, told.how if told else "")


def over(end: End, view: JobView | None) -> CancelOutcome:
    """What came of it, where the job was over before.

    Args:
      end: What whoever waits for it is told.
      view: What else is known.
    """
    if view is None:
        return ended("unknown", end)
    return outcome("unknown", view.state, view.summary.how if view.summary else "")


@value
class Wish:
    """That a job shall end."""

    reason: str
    by: str
    wait_s: float
    """For how long its end is waited for."""

    @classmethod
    def checked(cls, reason: str, wait: Seconds | None, by: str | None = None) -> Self:
        """By what somebody hands to ``cancel``.

        Raises:
          TypeError, PayloadRejected: An argument of it can't be.
        """
        wait_s = arguments.patience(wait, "wait")
        return cls(arguments.reason(reason), whoami() if by is None else by, wait_s)

    def of(self, record: Record, expected: Expected | None = None) -> Unwanted:
        """As it is sent, for this job.

        Args:
          expected: What its handler says, if that is known here: whoever may ask for the result
              is told for as long that it was cancelled.
        """
        keep_s = record.options.result_s
        if keep_s is None and expected is not None:
            keep_s = expected.result_s
        kept = summary.encode_cancelled(
            uid=record.uid, name=record.name, queue=record.queue, reason=self.reason,
            by=self.by[:BY_MAX], at_ms=wall_ms(), id=record.id,
        )  # fmt: skip
        return Unwanted(record.uid, record.queue, record.name, kept, round((keep_s or 0) * 1000))


@cache
def whoami() -> str:
    """Who this is, for whoever wonders who has cancelled a job: ``user@host``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user has no name
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"
