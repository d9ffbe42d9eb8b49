"""Turns answers into handles, and errors into what they mean for the jobs that were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TypeVar, get_args

from trioq.core.call import Expected
from trioq.core.calls import EndState, Enqueued, NewJob
from trioq.core.job import Uid
from trioq.errors import (
    EnqueueUnknown,
    IdTaken,
    JobUnknown,
    QueueFull,
    StoreClosed,
    StoreUnreachable,
)

if TYPE_CHECKING:
    from trioq.client.conflict import Met
    from trioq.client.jobs import Drafts
    from trioq.core.same import OnConflict
    from trioq.store.inspect import JobView

H = TypeVar("H")

#: What became of no jobs.
NOTHING = Enqueued(0, {}, frozenset())


def all_taken(jobs: Sequence[NewJob], enqueued: Enqueued) -> Enqueued:
    """What became of these jobs.

    Raises:
      QueueFull: They were refused by an earlier send of this request, whose answer was lost.
    """
    if enqueued.taken < len(jobs):
        raise QueueFull(jobs[0].queue)
    return enqueued


def handles(
    kind: Callable[..., H], client: object, jobs: Sequence[NewJob], enqueued: Enqueued
) -> list[H]:
    """Of these jobs, all of which were taken.

    Args:
      kind: Makes a handle.
    """
    if not enqueued.existing:
        return [
            kind(job.uid, job.id, None, job.name, job.queue, client, job.wants_result)
            for job in jobs
        ]
    made = []
    for i, job in enumerate(jobs):
        if (other := enqueued.existing.get(i)) is None:
            made.append(kind(job.uid, job.id, None, job.name, job.queue, client, job.wants_result))
        else:
            wants = job.wants_result
            made.append(kind(other.uid, job.id, other.state, job.name, "", client, wants))
    return made


def met_by(
    kind: Callable[..., H], client: object, job: NewJob, met: Met, on_conflict: OnConflict
) -> H:
    """Of a job that may have met another one with its id.

    Args:
      kind: Makes a handle.

    Raises:
      IdTaken: It has, and that was to be an error.
    """
    queue = "" if met.happened == "existing" else job.queue
    made = kind(met.uid, job.id, met.state, job.name, queue, client, job.wants_result, met.happened)
    if met.happened == "existing" and on_conflict == "raise":
        raise IdTaken(job.id or "", made)
    return made


def found(
    kind: Callable[..., H],
    client: object,
    asked: str,
    view: JobView | None,
    of: tuple[str, Expected] | None,
    *,
    drafts: Drafts,
) -> H:
    """The handle of a job that was looked for.

    Args:
      kind: Makes a handle.
      of: The name of the handler that it is said to be of, and what that says.
      drafts: Know that from now on.

    Raises:
      JobUnknown: It wasn't found.
      ValueError: It is another handler's.
    """
    if view is None:
        raise no_job(asked)
    name = view.about.name if view.about else ""
    if of is not None:
        if name not in ("", of[0]):
            raise ValueError(f"job {asked!r} is of the handler {name!r}, not of {of[0]!r}")
        name, drafts.expected[of[0]] = of
    wants = True if view.record and view.record.options.result_s is not None else None
    state = view.state if view.state in get_args(EndState) else "live"
    queue = view.about.queue if view.about else ""
    return kind(view.uid, view.callers_id, state, name, queue, client, wants)


@contextmanager
def nothing_sent() -> Iterator[None]:
    """Around a question that comes before anything is written.

    Raises:
      StoreUnreachable: There was no answer; it says that nothing was.
    """
    try:
        yield
    except StoreClosed:
        raise
    except StoreUnreachable as error:
        raise StoreUnreachable(str(error), sent=False) from error


@contextmanager
def written(uid: Uid) -> Iterator[None]:
    """Around what is asked for after this job was written, and belongs to its enqueue.

    Raises:
      EnqueueUnknown: There was no answer to that: all of it is to be done again.
    """
    try:
        yield
    except StoreClosed:
        raise
    except StoreUnreachable as error:
        raise EnqueueUnknown([uid]) from error


def raise_told(error: StoreUnreachable, jobs: Sequence[NewJob]) -> NoReturn:
    """Raise an error of these jobs: where there was no answer, nobody knows whether they are
    queued.

    Raises:
      EnqueueUnknown: They may be.
      StoreUnreachable: They aren't.
    """
    if error.sent:
        raise EnqueueUnknown([job.uid for job in jobs]) from error
    raise error


def no_job(asked: str) -> JobUnknown:
    """That nobody knows a job, by its id or uid."""
    return JobUnknown(f"no job {asked!r}: there never was one, or it ended and is forgotten")
