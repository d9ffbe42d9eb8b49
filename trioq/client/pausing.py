"""What somebody says who pauses something, as it is sent."""

from __future__ import annotations

from trioq.client import arguments
from trioq.client.jobs import Seconds
from trioq.core import valid
from trioq.core.calls import Pausing
from trioq.core.formats import pause
from trioq.errors import PayloadRejected

#: Who it was has so many characters at most.
BY_MAX = 100


def paused(queue: str | None, job: str | None) -> str:
    """What is meant: a queue, or the jobs of a name.

    Raises:
      TypeError: It is neither, or both, or no name.
    """
    if (queue is None) == (job is None):
        raise TypeError("say which: a queue, or job=…, the name of jobs")
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
