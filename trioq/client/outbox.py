"""Whose jobs go with which write of a sender: what is called group commit elsewhere.

A sender has one write under way. Who comes meanwhile waits, and all who wait go together with
the next one: each is answered for its own jobs alone. Nobody owns a write: when whoever sends
it leaves, with an error of its own, another who waits for its answer sends it again, with the
number that it has.

Plain decisions, without a clock, a lock or a connection. Several threads may ``add`` and leave;
everything else is done by one at a time. Ctrl-C may break any of it off: what was begun is then
done again by the next one, so it is harmless to do twice.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import attrs

from trioq.client.resend import ResendPolicy
from trioq.core.calls import Enqueued, Enqueuer, NewJob
from trioq.core.numbering import Numbering
from trioq.errors import QueueFull, StoreError, StoreRefused, StoreUnreachable

#: Jobs, and bytes, in one request.
BATCH_JOBS = 500
BATCH_BYTES = 1 << 20


def _nobody_sleeps() -> None:
    pass


@attrs.define(eq=False)
class Part:
    """The jobs of one caller: they are queued with one write, all or none."""

    jobs: Sequence[NewJob]
    size: int
    """Bytes."""
    is_alone: bool = False
    """Whether it goes with nobody: what it went with was refused."""
    who: Enqueuer | None = None
    """Who waits in line where there is no room for it. In a write of several nobody does."""
    waited_s: float = 0.0
    """How long its caller has waited for it to be on its way."""
    by: float = math.inf
    """When its caller goes at the latest, whoever sends what by then."""
    has_left: bool = False
    """Whether its caller waits no longer. What isn't under way by then is never sent."""
    wake: Callable[[], None] = _nobody_sleeps
    """Makes its caller look again. May be called at any time and in vain."""
    _enqueued: Enqueued | None = attrs.field(default=None, init=False)
    _error: Exception | None = attrs.field(default=None, init=False)

    @property
    def is_answered(self) -> bool:
        return self._enqueued is not None or self._error is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be done for it any more."""
        return self.has_left or self.is_answered

    def answer(self, outcome: Enqueued | Exception) -> None:
        """Say what became of it."""
        if isinstance(outcome, Exception):
            self._error = outcome
        else:
            self._enqueued = outcome
        self.wake()

    def result(self) -> Enqueued:
        """What became of it; raises its error."""
        if self._error is not None:
            raise self._error
        assert self._enqueued is not None
        return self._enqueued


@attrs.define(eq=False)
class Write:
    """One numbered write: the same jobs each time that it is sent."""

    number: int
    parts: Sequence[Part]
    jobs: Sequence[NewJob]
    policy: ResendPolicy
    started: Callable[[], Enqueued] | None = None
    """Waits for the answer, where it was sent and nobody has."""
    is_new: bool = True
    """Whether nobody has sent it yet."""

    @property
    def who(self) -> Enqueuer | None:
        """Who waits in line where there is no room for them."""
        return self.parts[0].who if len(self.parts) == 1 else None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody waits for its answer."""
        return any(not part.has_left for part in self.parts)


@attrs.define
class Outbox:
    """The parts that wait, and the write that is under way."""

    numbering: Numbering = attrs.field(factory=Numbering)
    patience_s: float | None = None
    """For how long a write is tried; None: as any other."""
    _under_way: Write | None = attrs.field(default=None, init=False)
    _waiting: deque[Part] = attrs.field(factory=deque[Part], init=False)
    was_shared: bool = attrs.field(default=False, init=False)
    """Whether the last write was of several: they may all be back in a moment."""

    def add(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        """Jobs that are to go with one of the next writes; alone, if they have a place in line."""
        part = Part(jobs, size_of(jobs), who is not None and who.nth > 0, who)
        self._waiting.append(part)
        return part

    def next(self, now: float) -> Write | None:
        """What is to be sent now: the write that is under way, else one of those who wait."""
        if self._under_way is None or not self._under_way.is_wanted:
            self._under_way = self._gathered(now)
            while self._waiting and not self._still_waits(self._waiting[0]):
                self._waiting.popleft()
        return self._under_way

    def succeeded(self, enqueued: Enqueued) -> None:
        """The write was answered: tell each what became of its jobs."""
        parts = self._parts
        if len(parts) == 1:
            parts[0].answer(enqueued)
        else:
            for part, its in _shares(parts, enqueued):
                part.answer(its)
        self._under_way = None

    def failed(self, error: Exception, now: float, ends: float = math.inf) -> float | None:
        """The write failed. Seconds until it is to be sent again; None: its end has been told.

        What was refused may be one caller's alone, as where its queue is full: if there were
        several, each goes by itself and has an answer of its own.

        Args:
          ends: When whoever sends it leaves.

        Raises:
          StoreError: That is before it is to be sent again.
        """
        if isinstance(error, StoreError) and self._under_way is not None:
            policy = self._under_way.policy
            try:
                pause_s = policy.pause_s(error, now)
            except StoreError as last:
                error = last
            else:
                if now + pause_s >= ends:
                    raise policy.last(error)
                return pause_s
        parts = self._parts
        if len(parts) > 1 and isinstance(error, QueueFull | StoreRefused):
            for part in reversed(parts):
                part.is_alone = True
                self._waiting.appendleft(part)
        else:
            for part in parts:
                part.answer(error if part is parts[0] else _again(error))
        self._under_way = None
        return None

    def late(self, part: Part) -> StoreUnreachable:
        """What who can't wait any longer is told."""
        return StoreUnreachable("no answer in time", sent=part in self._parts)

    def wake_next(self) -> None:
        """Whoever sent is done with it: somebody who sleeps is to go on."""
        if self._waiting or self._under_way:
            for part in [*self._parts, *self._waiting]:
                # Who has never slept looks before it does, or drafts its next batch, for how long
                # nobody knows.
                sleeps = part.wake is not _nobody_sleeps
                if sleeps and not part.has_left and not part.is_answered:
                    part.wake()
                    return

    @property
    def _parts(self) -> Sequence[Part]:
        under_way = self._under_way
        return () if under_way is None else under_way.parts

    def _still_waits(self, part: Part) -> bool:
        return not (part.has_left or part.is_answered or part in self._parts)

    def _gathered(self, now: float) -> Write | None:
        parts: list[Part] = []
        count = size = 0
        for part in list(self._waiting):
            if part.has_left or part.is_answered:
                continue
            count, size = count + len(part.jobs), size + part.size
            too_much = count > BATCH_JOBS or size > BATCH_BYTES
            if parts and (too_much or part.is_alone or parts[0].is_alone):
                break
            parts.append(part)
        if not parts:
            return None
        self.was_shared = len(parts) > 1
        jobs = parts[0].jobs if len(parts) == 1 else [job for part in parts for job in part.jobs]
        policy = ResendPolicy.of(self.patience_s, now)
        return Write(self.numbering.next()[1], parts, jobs, policy)


def size_of(jobs: Sequence[NewJob]) -> int:
    """Bytes of these."""
    return sum([len(job.stored) + len(job.big) for job in jobs])


def _shares(parts: Sequence[Part], enqueued: Enqueued) -> Iterator[tuple[Part, Enqueued]]:
    """Each part's own of an answer, with its own positions."""
    first = 0
    for part in parts:
        last = first + len(part.jobs)
        existing = {
            place - first: other
            for place, other in enqueued.existing.items()
            if first <= place < last
        }
        yield part, Enqueued(len(part.jobs), existing, frozenset())
        first = last


def _again(error: Exception) -> Exception:
    """The same error for another who is told: each has a traceback of its own."""
    made = copy.copy(error)
    made.__cause__ = error
    return made
