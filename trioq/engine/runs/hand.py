"""A thread that runs one job after the other, from a pile that it may share with others.

The thread stops at the first job that isn't simply done: it raised, it took too long, what it
returned has to be looked at. That one goes on where every run goes on. The loop's side of all
this is :mod:`trioq.engine.runs.hands`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context

import attrs
import trio

from trioq.core.breaker import Permit
from trioq.core.current import running_job
from trioq.core.wants import want_of
from trioq.engine.forks import end_if_copy
from trioq.engine.handlers.begun import Broken, InThread, Returned
from trioq.engine.handlers.returned import PLAIN, is_finished
from trioq.engine.handlers.threads import ThreadPlace, event_of, left_behind
from trioq.engine.runs.pile import Pile
from trioq.engine.runs.plan import Planned, PlannedJob
from trioq.errors import RecordUnreadable

#: How often the thread tells the loop what is done, while it goes on.
SLICE_S = 0.002


@attrs.define(eq=False)
class Hand:
    """One thread's, for a slice of time.

    Args:
      pile: Where it takes jobs from.
      place: The thread's, under the limit.
      context: What each job's own context is made from.
      clock: Trio's.
      token: To wake the loop by.
      began: Now.
    """

    pile: Pile
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
    _is_closed: bool = attrs.field(default=False, init=False)
    _lock: threading.Lock = attrs.field(init=False)
    """The pile's."""

    def __attrs_post_init__(self) -> None:
        self._lock = self.pile.lock
        self._tell_at = self.began + SLICE_S
        with self._lock:
            self.pile.takers += 1

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
            await self.called()

    async def called(self) -> None:
        """Wait until it is over, or somebody calls for a look at it."""
        await self._news.wait()
        self._news = trio.Event()

    def call(self) -> None:
        """Have whoever waits for it look."""
        self._news.set()

    def is_in_it_for(self, so_long_s: float) -> bool:
        """Whether the thread has been in the middle of one job so long, or as long as that may."""
        with self._lock:
            return self.job is not None and (
                self.clock() - self.began >= min(so_long_s, self.job.plan.timeout_s)
            )

    def close(self) -> None:
        """Have the thread begin no more, nor say of what it runs that it's simply done."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.pile.takers -= 1

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

    # -- in the thread ---------------------------------------------------------------------

    def work(self) -> None:
        """Run one job after the other."""
        now = self.clock()
        while (job := self._next(now)) is not None:
            now = self._run(job, now)

    def _next(self, now: float) -> PlannedJob | None:
        """Begin the next job."""
        pile = self.pile
        jobs, may_start = pile.jobs, pile.by.may_start
        while True:
            try:
                planned = jobs[0]
            except IndexError:
                planned = None
            job = None if planned is None else _read(planned)
            with self._lock:
                if self._is_closed:
                    return None
                if (jobs[0] if jobs else None) is not planned:
                    continue  # what was there is taken back, or there is one after all
                # Nothing that takes long stands between these questions and the handler. A success
                # may be what opens a breaker of which others have failed, so it needs more care.
                if job is None or not job.plan.breaker.is_calm or not may_start():
                    self._close()
                    return None
                jobs.popleft()
                self.job, self.began = job, now
                self._generation = job.plan.breaker.generation
                return job

    def _run(self, job: PlannedJob, began: float) -> float:
        """Returns when it ended."""
        pile, handler, context = self.pile, job.plan.handler, self.context.copy()
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
                pile.done.append((job.held, job.header, now - began, now, None, kept, job.board))
                self.job = None
                if not pile.is_shared and now >= self._tell_at:
                    self._tell_at = now + SLICE_S
                    self.token.run_sync_soon(self.call)
                return now if kept is None else self.clock()
            self._close()
            left = result if kept is None else kept
            self._rest = Returned(left, context) if error is None else Broken(error)
            left_behind.discard(self)
        if self._ended is not None:
            event_of(self.token, self._ended)
        handler.tempo.ran(now - began)
        return now


def _read(planned: Planned) -> PlannedJob | None:
    try:
        content = planned.content()
    except (RecordUnreadable, MemoryError):
        return None  # where more care is taken, that is told
    return PlannedJob(planned.held, planned.header, content)
