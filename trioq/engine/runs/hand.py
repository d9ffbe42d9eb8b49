"""A hand of jobs for one thread, which runs one after the other.

The loop puts jobs in, also while the thread is at it, and takes back what the thread hasn't begun.
The thread stops at the first job that isn't simply done: it raised, it took too long, what it
returned has to be looked at. That one goes on where every run goes on. The loop's side of all
this is :mod:`trioq.engine.runs.hands`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container, Iterable
from contextvars import Context

import attrs
import trio

from trioq.core.breaker import Permit
from trioq.core.current import running_job
from trioq.core.wants import want_of
from trioq.engine.claim import Claimer, Held, Token
from trioq.engine.forks import end_if_copy
from trioq.engine.handlers.begun import Broken, InThread, Returned
from trioq.engine.handlers.returned import PLAIN, is_finished
from trioq.engine.handlers.threads import ThreadPlace, event_of, left_behind
from trioq.engine.runs.done import Done
from trioq.engine.runs.plan import Planned, PlannedJob
from trioq.errors import RecordUnreadable

#: How often the thread tells the loop what is done, while it goes on.
SLICE_S = 0.002


@attrs.define(eq=False)
class Hand:
    """One thread's, for a slice of time.

    Args:
      by: Who has claimed all that is in it.
      jobs: What it begins with.
      place: The thread's, under the limit.
      context: What each job's own context is made from.
      clock: Trio's.
      token: To wake the loop by.
      began: Now.
    """

    by: Claimer
    jobs: deque[Planned]
    place: ThreadPlace
    context: Context
    clock: Callable[[], float]
    token: trio.lowlevel.TrioToken
    began: float
    """When the job in the thread began; before the first, when the thread was asked for."""
    job: PlannedJob | None = attrs.field(default=None, init=False)
    """What the thread runs, or stopped at."""
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the thread has stopped, or couldn't be started."""
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)
    _tell_at: float = attrs.field(init=False)
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around the wait for the thread. Cancelled, ``check_cancelled`` says so in there."""
    _rest: Broken | Returned | None = attrs.field(default=None, init=False)
    """How the job ended that the thread stopped at."""
    _ended: trio.Event | None = attrs.field(default=None, init=False)
    """Set when that job has ended after it was told to."""
    _generation: int = attrs.field(default=0, init=False)
    """Of that job's breaker, when it began."""
    _done: list[Done] = attrs.field(factory=list[Done], init=False)
    _is_closed: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Two threads agree by it on who has which job, and whether the one that runs is done."""

    def __attrs_post_init__(self) -> None:
        self._tell_at = self.began + SLICE_S

    # -- in the loop -----------------------------------------------------------------------

    async def live(self) -> None:
        """Have a thread work until it stops.

        Cancellation: the thread is left alone with what it runs.
        """
        try:
            with self._scope:
                await self.place.run(self.work)
        except (OSError, RuntimeError, MemoryError) as error:
            if want_of(error) is None:
                raise
        finally:
            self.over.set()
            self._news.set()

    async def news(self, within_s: float) -> None:
        """Wait until there is something to look at, which one job so long would be."""
        now = self.clock()
        since = self.began if self.began + within_s > now else now
        with trio.move_on_at(since + within_s):
            await self._news.wait()
            self._news = trio.Event()

    def is_in_it_for(self, so_long_s: float) -> bool:
        """Whether the thread has been in the middle of one job so long."""
        with self._lock:
            return self.job is not None and self.clock() - self.began >= so_long_s

    def add(self, jobs: Iterable[Planned]) -> bool:
        """Put more into it; False: the thread takes no more."""
        with self._lock:
            if not self._is_closed:
                self.jobs.extend(jobs)
            return not self._is_closed

    def take_back(self) -> list[Held]:
        """Take out what the thread hasn't begun, in order."""
        with self._lock:
            jobs = [planned.held for planned in self.jobs]
            self.jobs.clear()
            return jobs

    def take_out(self, claims: Container[Token]) -> list[Held]:
        """Take out those of these claims that the thread hasn't begun."""
        with self._lock:
            there = [planned.held for planned in self.jobs]
            left = [p for p in self.jobs if (p.held.uid, p.held.step) not in claims]
            self.jobs.clear()
            self.jobs.extend(left)
            return [held for held in there if (held.uid, held.step) in claims]

    def close(self) -> None:
        """Have the thread begin no more, nor say of what it runs that it's simply done."""
        with self._lock:
            self._is_closed = True

    def done(self) -> list[Done]:
        """What is simply done since this was asked last, in order."""
        with self._lock:
            done, self._done = self._done, []
            return done

    @property
    def permit(self) -> Permit:
        """By which the job was begun that is in the thread."""
        return Permit(self._generation)

    @property
    def rest(self) -> InThread:
        """What is left of the job in the thread."""
        return InThread(self.over, self._cancel, self._leave, lambda: self._rest)

    def _cancel(self, why: str | None) -> trio.Event:
        ended = trio.Event()
        with self._lock:
            self._ended = ended
            has_ended = self._rest is not None
        if has_ended:
            ended.set()
        self._scope.cancel(why)
        return ended

    def _leave(self) -> bool:
        with self._lock:
            if self._rest is None:
                left_behind.add(self)
            return self._rest is None

    @property
    def name(self) -> str:
        """The handler's that runs."""
        return "" if self.job is None else self.job.plan.name

    def __len__(self) -> int:
        return len(self.jobs)

    # -- in the thread ---------------------------------------------------------------------

    def work(self) -> None:
        """Run one job after the other."""
        now = self.clock()
        while (job := self._next(now)) is not None:
            now = self._run(job, now)

    def _next(self, now: float) -> PlannedJob | None:
        """Begin the next job."""
        while True:
            try:
                planned = self.jobs[0]
            except IndexError:
                planned = None
            job = None if planned is None else _read(planned)
            with self._lock:
                if self._is_closed:
                    return None
                if (self.jobs[0] if self.jobs else None) is not planned:
                    continue  # what was there is taken back, or there is one after all
                # Nothing that takes long stands between these questions and the handler. A success
                # may be what opens a breaker of which others have failed, so it needs more care.
                if job is None or not job.plan.breaker.is_calm or not self.by.may_start():
                    self._is_closed = True
                    return None
                self.jobs.popleft()
                self.job, self.began = job, now
                self._generation = job.plan.breaker.generation
                return job

    def _run(self, job: PlannedJob, began: float) -> float:
        """Returns when it ended."""
        handler, context = job.plan.handler, self.context.copy()
        context.run(running_job.set, job)
        error: BaseException | None = None
        result = None
        try:
            result = handler.called(job, job.payload, context)
        except BaseException as raised:
            error = raised
        finally:
            end_if_copy()
        now = self.clock()
        is_result = error is None and (
            id(type(result)) in PLAIN or context.run(is_finished, result)
        )
        kept = job.plan.kept(result) if is_result else None
        with self._lock:
            if is_result and not self._is_closed and now - began < job.plan.timeout_s:
                self._done.append((job.held, job.header, now - began, now, None, kept))
                self.job = None
                if now >= self._tell_at:
                    self._tell_at = now + SLICE_S
                    self.token.run_sync_soon(self._tell)
                return now if kept is None else self.clock()
            self._is_closed = True
            left = result if kept is None else kept
            self._rest = Returned(left, context) if error is None else Broken(error)
            left_behind.discard(self)
        if self._ended is not None:
            event_of(self.token, self._ended)
        handler.tempo.ran(now - began)
        return now

    def _tell(self) -> None:
        """In the loop."""
        self._news.set()


def _read(planned: Planned) -> PlannedJob | None:
    try:
        content = planned.content()
    except (RecordUnreadable, MemoryError):
        return None  # where more care is taken, that is told
    return PlannedJob(planned.held, planned.header, content)
