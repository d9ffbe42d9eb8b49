"""What somebody says who pauses something, as it is sent."""

from __future__ import annotations

from typing import Any

from trioq.core import arguments, valid
from trioq.core.arguments import Seconds
from trioq.core.calls import Pausing
from trioq.core.flow import told_apart
from trioq.core.formats import pause
from trioq.core.limits import take_of
from trioq.errors import PayloadRejected

#: Who it was has so many characters at most.
BY_MAX = 100


def paused(queue: str | None, job: str | None, limit: str | None, key: Any) -> str:
    """What is meant: a queue, the jobs of a name, or those with one value of a limit's key.

    Raises:
      TypeError: It is none of them, or more than one, or no name.
      ValueError: The value can't be one of a key.
    """
    if (limit is None) != (key is None):
        raise TypeError("limit=… and key=… belong together: a limit, and one value of its key")
    if [queue, job, limit].count(None) != 2:
        raise TypeError(
            "say which: a queue; job=…, the name of jobs; or limit=… and key=…, a value of its key"
        )
    if limit is not None:
        return pause.of_take(take_of(limit, told_apart(key)))
    if job is None:
        return str(queue)
    if not isinstance(job, str) or not job:
        raise TypeError(f"job is {valid.shown(job)}: expected the name of jobs")
    return pause.of_name(job)


def pausing(by: str, note: str, lasts: Seconds | None) -> Pausing:
    """How it is paused.

    Raises:
      TypeError, PayloadRejected: A note that is no text, or is too long; a time that is none.
    """
    note = arguments.reason(note)
    if len(note) > pause.NOTE_MAX:
        raise PayloadRejected(
            f"note has {len(note):,} characters: expected at most {pause.NOTE_MAX:,}"
        )
    lasts_s = None if lasts is None else arguments.seconds("lasts", lasts, valid.TIMEOUT_S)
    said = pause.encode(by[:BY_MAX], note)
    return Pausing(said, 0 if lasts_s is None else max(1, round(lasts_s * 1000)))
