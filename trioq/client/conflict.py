"""What comes of an enqueue whose id may be another job's. Plain decisions: who sends is elsewhere.

An enqueue is answered with whoever has the id. Whatever is to be done about that is a write of its
own, which holds only if all is as it was seen; where it isn't, it begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Literal

import attrs

from trioq.client.cancel import Wish, whoami
from trioq.client.resend import PATIENCE_S, backoff_s
from trioq.core.call import Expected
from trioq.core.calls import CancelWord, Enqueued, Existing, NewJob, Replaced, Replacing, Taking
from trioq.core.job import Record, Uid
from trioq.core.same import Same
from trioq.core.values import value
from trioq.errors import IdMismatch, StoreBusy

Happened = Literal["queued", "existing", "replaced", "again", "superseded"]
"""What came of an enqueue.

``queued``: a job. ``existing``: nothing, as another job has the id. ``replaced``: the job that has
it waits, and has the new payload and time. ``again``: a job that waits for the end of the one that
ran.
``superseded``: likewise, or as ``replaced``; and the one that ran was asked to end.
"""


@value
class Met:
    """Whom it met, and what came of it."""

    uid: Uid
    happened: Happened
    state: str | None = None
    """Of the job that has the id already; None: the new one has it."""


@value
class Begin:
    """Enqueue it: what there is to know is whether it is new. Answered by :class:`Enqueued`."""


@value
class Look:
    """Read this job's record; None: it is gone."""

    uid: Uid


@value
class Pause:
    """Wait so long."""

    seconds: float


@value
class Stop:
    """Ask a job to end for which the replaced one waits. Answered by what came of it; None: the job
    is gone."""

    uid: Uid
    replaced: Uid
    wish: Wish
    expected: Callable[[str], Expected | None]
    """What is known here of a handler."""


Move = Begin | Look | Pause | Replacing | Stop | Taking
"""What is to be done next. A replacing is answered by :class:`Replaced`; a taking, with which the
job is enqueued, by :class:`Enqueued`."""

Moves = Generator[Move, Any, Met]


def resolve(
    job: NewJob,
    same: Same,
    expected: Callable[[str], Expected | None],
    now: Callable[[], float],
) -> Moves:
    """Enqueue a job as it asks to be where its id is another's.

    Args:
      expected: What is known here of a handler.
      now: Any clock, in seconds.

    Yields:
      What is to be done, to be sent its answer.

    Raises:
      IdMismatch: The job that has the id can't become this one.
      StoreBusy: Whenever it came the id was another's than it had just been.
    """
    ends: float | None = None
    lost = 0
    while True:
        enqueued: Enqueued = yield Begin()
        other = enqueued.existing.get(0)
        if other is None:
            return Met(job.uid, "queued")
        if (met := (yield from _meet(job, same, other, expected))) is not None:
            return met
        # Somebody else was faster: each time that is so, somebody has got on.
        ends = now() + PATIENCE_S if ends is None else ends
        if now() >= ends:
            raise StoreBusy(
                f"the id {job.id!r} was another job's whenever it had been looked at, for"
                f" {PATIENCE_S:g} s; nothing was queued"
            )
        lost += 1
        yield Pause(backoff_s(lost))


def _meet(
    job: NewJob, same: Same, other: Existing, expected: Callable[[str], Expected | None]
) -> Generator[Move, Any, Met | None]:
    """What comes of it; None: all is different by now."""
    there = Met(other.uid, "existing", other.state)
    if other.state == "dead" and same.frees_dead:
        return _taken((yield Taking(other.uid, "dead")), Met(job.uid, "queued"))
    if other.state != "live" or same.mode in ("existing", "raise"):
        return there
    record: Record | None = yield Look(other.uid)
    if record is None:
        return None
    _check_fits(job, record)
    replaced: Replaced = yield Replacing(
        attrs.evolve(job, uid=other.uid), supersedes=same.mode == "supersede"
    )
    match replaced.word:
        case "replaced":
            word: CancelWord | None = None
            if replaced.after is not None:
                word = yield Stop(replaced.after, other.uid, _superseding(other.uid), expected)
            return Met(other.uid, "superseded" if word == "asked" else "replaced", "live")
        case "differs":
            raise IdMismatch(job.id or "", other.uid, "fair_key")
        case "running" if same.mode == "replace":
            return there
        case "running":
            taking = _from_running(job, same, record, replaced, expected(record.name))
            happened: Happened = "superseded" if taking.how == "supersede" else "again"
            return _taken((yield taking), Met(job.uid, happened))
    return None


def _check_fits(job: NewJob, record: Record) -> None:
    """Refuse what can't become the other one's next run."""
    id, uid = job.id or "", record.uid
    if record.name != job.name:
        raise IdMismatch(id, uid, "name", record.name, job.name)
    if record.queue != job.queue:
        raise IdMismatch(id, uid, "queue", record.queue, job.queue)


def _from_running(
    job: NewJob, same: Same, record: Record, claim: Replaced, expected: Expected | None
) -> Taking:
    """What is told of the one that runs, should it end as cancelled."""
    is_superseded = same.mode == "supersede"
    wish = _superseding(job.uid)
    if not is_superseded:
        wish = attrs.evolve(wish, reason=f"its next run is {job.uid}")
    unwanted = wish.of(record, expected)
    return Taking(
        record.uid, "supersede" if is_superseded else "again", claim.boot, claim.step,
        unwanted.keep_ms, unwanted.summary,
    )  # fmt: skip


def _superseding(uid: Uid) -> Wish:
    return Wish(f"superseded by {uid}", whoami(), 0.0)


def _taken(enqueued: Enqueued, met: Met) -> Met | None:
    return None if enqueued.moved else met
