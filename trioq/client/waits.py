"""Who waits for the ends of which jobs, and what the server is to be asked for them.

A wake-up can't be lost: a job is registered before it is looked at, by one request; the server
then tells this client of its end; and what hasn't ended is looked at again every few seconds, for
what was told while nobody listened. However many wait, there is one connection that listens, and
one request asks for many.

Plain decisions, without a clock, a lock or a connection: one at a time uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import attrs

from trioq.core.calls import WAIT_MAX, End
from trioq.core.job import Uid

#: What waits is looked at again after so long.
CHECK_S = 5.0

#: What waits for room in a queue: the server waits for it no longer than for three of these.
ROOM_CHECK_S = 1.0

#: What is told to who has waited for long enough.
STILL = "it hasn't ended yet, and goes on; `trioq explain` tells what it waits for"


@attrs.define(eq=False)
class Waiter:
    """One who waits, for one job or many."""

    wake: Callable[[], None]
    """Makes it look again. May be called at any time and in vain."""
    over: deque[Wait] = attrs.field(factory=deque["Wait"])
    """Those of its waits that are over, and that it hasn't looked at yet."""

    @property
    def is_through(self) -> bool:
        """Whether it has something else to do than to wait."""
        return bool(self.over)


@attrs.define(eq=False)
class Wait:
    """One wait for the end of a job."""

    by: Waiter
    place: int
    """Which of its waits this is."""
    end: End | Exception | None = None

    def ended(self, end: End | Exception) -> None:
        """Say how the job ended, or why nobody can tell."""
        self.end = end
        self.by.over.append(self)
        self.by.wake()


@attrs.define(eq=False)
class Awaited:
    """A job that somebody waits for."""

    uid: Uid
    id: str | None
    """The caller's, if whoever waits knows that it has one."""
    waits: list[Wait] = attrs.field(factory=list[Wait])
    is_for_room: bool = False
    """Whether it isn't enqueued yet: somebody waits for room in its queue."""
    check_at: float = 0.0


@attrs.define
class Waits:
    """All waits of one client."""

    _jobs: dict[Uid, Awaited] = attrs.field(factory=dict[Uid, Awaited], init=False)
    _unasked: dict[Awaited, None] = attrs.field(factory=dict[Awaited, None], init=False)
    """Those that the server hasn't been asked for since it would tell us of them."""
    _asked: dict[Awaited, None] = attrs.field(factory=dict[Awaited, None], init=False)
    """Those of which it tells us, in the order in which they are to be looked at again."""
    _in_line: dict[Awaited, None] = attrs.field(factory=dict[Awaited, None], init=False)
    """Likewise, of those that are for room."""
    _here: dict[Waiter, None] = attrs.field(factory=dict[Waiter, None], init=False)
    """Those who wait at this moment."""

    def __len__(self) -> int:
        """How many jobs somebody waits for."""
        return len(self._jobs)

    def add(self, uid: Uid, id: str | None, wait: Wait, *, is_for_room: bool = False) -> None:
        """Somebody begins to wait."""
        job = self._jobs.get(uid)
        if job is None:
            job = self._jobs[uid] = Awaited(uid, id, is_for_room=is_for_room)
            self._unasked[job] = None
        job.id = job.id or id
        job.waits.append(wait)

    def leave(self, uid: Uid, wait: Wait) -> None:
        """Somebody waits no longer."""
        job = self._jobs.get(uid)
        if job is not None and wait in job.waits:
            job.waits.remove(wait)
            if not job.waits:
                self._forget(job)

    def next(self, now: float) -> list[Awaited]:
        """What to ask the server for; all of it is to be handed to :meth:`answered`."""
        due = list(self._unasked)[:WAIT_MAX]
        for asked in (self._in_line, self._asked):
            for job in asked:
                if len(due) == WAIT_MAX or job.check_at > now:
                    break
                due.append(job)
        return due

    def next_at(self) -> float:
        """When there is something to ask; infinite: when there is somebody new."""
        if self._unasked:
            return 0.0
        first = (next(iter(asked), None) for asked in (self._in_line, self._asked))
        return min((job.check_at for job in first if job is not None), default=float("inf"))

    def answered(self, jobs: Sequence[Awaited], ends: Sequence[End], now: float) -> None:
        """What the server said of these."""
        for job, end in zip(jobs, ends, strict=True):
            if self._jobs.get(job.uid) is not job:
                continue  # it was told of meanwhile; another may wait for it again
            self._unasked.pop(job, None)
            self._asked.pop(job, None)
            self._in_line.pop(job, None)
            if end.state == "live" and job.is_for_room:
                job.check_at = now + ROOM_CHECK_S
                self._in_line[job] = None
            elif end.state == "live":
                job.check_at = now + CHECK_S
                self._asked[job] = None
            elif end.state == "later":
                self._unasked[job] = None
            else:
                self._end(job, end)

    def told(self, uid: Uid, end: End) -> None:
        """The server says of its own that a job has ended."""
        job = self._jobs.get(uid)
        if job is None:
            return
        if end.state == "later":  # with more than can be told like this
            self._asked.pop(job, None)
            self._unasked[job] = None
        else:
            self._end(job, end)

    def unheard(self) -> None:
        """Nobody listened for a while: whatever was told then wasn't heard."""
        self._unasked |= self._asked | self._in_line
        self._asked.clear()
        self._in_line.clear()

    def comes(self, waiter: Waiter) -> None:
        """It waits, from now on; who has waits and does something else can't be woken."""
        self._here[waiter] = None

    def goes(self, waiter: Waiter) -> None:
        """It does something else, and may come again for what is left of its waits."""
        self._here.pop(waiter, None)

    def wake_another(self, *but: Waiter | None) -> None:
        """Whoever did something for all has stopped: another is to look what there is to do.

        Args:
          but: Who has stopped, and who listens, which can't be woken meanwhile.
        """
        for waiter in self._here:
            if waiter not in but:
                waiter.wake()
                return

    def fail(self, error: Exception) -> None:
        """Nobody can be told anything."""
        for job in list(self._jobs.values()):
            self._end(job, error)

    def _end(self, job: Awaited, end: End | Exception) -> None:
        self._forget(job)
        for wait in job.waits:
            wait.ended(end)

    def _forget(self, job: Awaited) -> None:
        del self._jobs[job.uid]
        self._in_line.pop(job, None)
        self._unasked.pop(job, None)
        self._asked.pop(job, None)
