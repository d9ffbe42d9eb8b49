"""Many jobs that shall end: a page at a time, wherever they are, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Self

import attrs

from trioq.client.cancel import CancelOutcome, Wish, ended, outcome
from trioq.client.sync_sender import SyncSender
from trioq.client.sync_waits import SyncWaits
from trioq.core.calls import End
from trioq.core.job import Uid
from trioq.errors import WaitTimeout
from trioq.store import inspect
from trioq.store.inspect import JobFilter, JobView, Living
from trioq.store.redis import RedisStore


@attrs.frozen
class Cancelled:
    """What became of the wish that a job shall end."""

    id: str
    """As it was asked for; else its caller's id, or its uid."""
    uid: Uid | None
    outcome: CancelOutcome | None
    """None: its record says neither queue nor name, so nothing was changed."""

    @property
    def result(self) -> str:
        """In one word what the job is now: ``cancelled``, ``asked`` (it runs, and was told to
        end), ``done``, ``dead``, ``unknown``, ``unreadable``."""
        return "unreadable" if self.outcome is None else RESULTS[self.outcome]

    @classmethod
    def over(cls, id: str, view: JobView | None) -> Self:
        """What comes of the wish where the job has ended, as far as anybody knows."""
        if view is None:
            return cls(id, None, CancelOutcome.unknown)
        how = view.summary.how if view.summary else ""
        return cls(id, view.uid, outcome("unknown", view.state, how))


RESULTS = {
    CancelOutcome.was_waiting: "cancelled",
    CancelOutcome.stopped: "cancelled",
    CancelOutcome.ignored: "cancelled",
    CancelOutcome.asked: "asked",
    CancelOutcome.finished_first: "done",
    CancelOutcome.died_first: "dead",
    CancelOutcome.unknown: "unknown",
}


@attrs.frozen
class Cancelling:
    """Does it.

    Args:
      waits: How to be told of the ends of jobs; None: there is no way.
    """

    store: RedisStore
    sender: SyncSender
    waits: SyncWaits | None

    def pages(self, wanted: JobFilter, wish: Wish) -> Iterator[list[Cancelled]]:
        """Cancel what waits, ask what runs; see :meth:`.Admin.cancel_many`."""
        asked: set[Uid | None] = set()
        for page in inspect.living_pages(self.store, wanted):
            told = [Cancelled.over(id, view) for id, view in page.others.items()]
            told += self._cancel([job for job in page.jobs if job.uid not in asked], wish)
            asked |= {each.uid for each in told if each.outcome is CancelOutcome.asked}
            yield told

    def outcomes(self, asked: Sequence[Cancelled], wait_s: float) -> Iterator[Cancelled]:
        """What comes of those that were asked, as they end; see :meth:`.Admin.outcomes`."""
        left = dict(enumerate(asked))
        jobs = [(job.uid or "", None) for job in asked]
        ends = self.waits.ends_of(jobs, wait_s) if self.waits and jobs else ()
        with suppress(WaitTimeout):
            for place, end in ends:
                job, told = left.pop(place), ended("asked", end)
                if told is CancelOutcome.unknown:
                    yield self._looked_for(job.id, job.uid or "")
                else:
                    yield attrs.evolve(job, outcome=told)
        yield from left.values()

    def _cancel(self, jobs: Sequence[Living], wish: Wish) -> list[Cancelled]:
        told = [Cancelled(job.id, job.uid, None) for job in jobs if not job.record]
        able = [(job, job.record) for job in jobs if job.record]
        if not able:
            return told
        running = inspect.running(self.store, [job.uid for job, _ in able])
        if self.waits and running:
            # Registered before they are asked: their ends are then kept for long enough.
            waits = [(job.uid, record.id) for job, record in able if job.uid in running]
            self._wait_for(self.waits, waits)
        begun: list[Cancelled] = []
        unwanted = [wish.of(record) for _, record in able]
        words = self.sender.send(
            lambda store, sender, number: store.cancel(sender, number, unwanted)
        )
        for (job, _), word in zip(able, words, strict=True):
            if word == "unknown":  # it has ended before the request arrived: how?
                told.append(self._looked_for(job.id, job.uid))
            elif word == "asked" and job.uid not in running:
                begun.append(Cancelled(job.id, job.uid, CancelOutcome.asked))
            else:
                told.append(Cancelled(job.id, job.uid, outcome(word)))
        return told + self._begun_meanwhile(begun)

    def _begun_meanwhile(self, asked: Sequence[Cancelled]) -> list[Cancelled]:
        """Those that have begun since it was seen what runs. Whichever of them has ended already
        is among the last that have."""
        if self.waits is None or not asked:
            return [*asked]
        jobs = [(job.uid or "", None) for job in asked]
        ends = self._wait_for(self.waits, jobs)
        return [
            self._looked_for(job.id, job.uid or "") if end.state == "unknown" else job
            for job, end in zip(asked, ends, strict=True)
        ]

    def _wait_for(self, waits: SyncWaits, jobs: Sequence[tuple[Uid, str | None]]) -> Sequence[End]:
        """How these have ended; of the others we are told."""
        name = waits.name
        return self.sender.ask(lambda store: store.wait_for(name, jobs))

    def _looked_for(self, id: str, uid: Uid) -> Cancelled:
        # By its own id it may be known for longer, unless another job has that by now.
        for name in dict.fromkeys((uid, id)):
            view = inspect.find(self.store, name)
            if view is not None and view.uid == uid:
                return Cancelled.over(id, view)
        return Cancelled(id, uid, CancelOutcome.unknown)
