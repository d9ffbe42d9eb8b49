"""What ``def`` handlers do, and a clock for them.

As :mod:`props.behaviours` has it for ``async def``.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import trio

import trioq
from props.behaviours import Liar, Odd
from props.stage import MARK, Role, Stage, in_a_thread
from trioq.engine.handlers.place import place
from trioq.engine.handlers.threads import Left, left_behind

#: What a handler may take, in seconds. No multiple of it is when the engine looks for stale jobs:
#: of two things at one time, either may be first.
TIMEOUT_S = 0.44


class PatientClock(trio.abc.Clock):
    """Goes to the next deadline as soon as the loop has nothing to do and no thread has.

    A thread that waits for something in the loop has nothing to do, nor has one that waits until
    it's left alone: whoever looks for that may have begun to wait when the time was over already.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.threads: trio.CapacityLimiter | None = None
        self.away = 0
        self._befores: list[set[Left]] = []

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        is_busy = self._is_busy()  # asked first: one that is no more has made it later before
        if deadline <= self.now:
            return 0.0
        if is_busy:
            return 0.001  # and then look whether a thread has made it later
        if deadline < float("inf"):
            self.now = deadline
            return 0.0
        return 1.0

    def _is_busy(self) -> bool:
        """Whether a thread has something to do."""
        if self.threads is None:
            return False
        idle = self.away + sum(left_behind <= before for before in tuple(self._befores))
        return self.threads.borrowed_tokens > idle

    def wait_until_left(self, before: set[Left]) -> None:
        """For threads: until another was left alone than these."""
        self._befores.append(before)
        while left_behind <= before:
            threading.Event().wait(0.0005)
        self._befores.remove(before)

    async def sleep(self, seconds: float) -> None:
        """For threads, by ``trio.from_thread.run``."""
        self.away += 1
        try:
            await trio.sleep(seconds)
        finally:
            self.away -= 1


@attrs.frozen
class Part:
    """One handler's run."""

    n: int
    run: int
    seen: list[Any]
    clock: PatientClock

    def waits(self, seconds: float) -> None:
        trio.from_thread.run(self.clock.sleep, seconds)

    def computes(self, seconds: float) -> None:
        self.clock.now += seconds

    def computes_until_cancelled(self) -> None:
        """For longer than it may, until it's known that it has been left alone.

        One that was before it may have an end of its own yet to come.
        """
        before = set(left_behind)
        self.computes(2 * TIMEOUT_S)
        self.clock.wait_until_left(before)
        trio.from_thread.check_cancelled()


Act = Callable[[Part], Any]
ACTS: dict[str, Act] = {}
ALONE: set[str] = set()
"""Those that see others beside them, or are seen by them: they take the clock's time, or keep a
thread's place beyond their own."""


def act(function: Act) -> Act:
    ACTS[function.__name__] = function
    return function


def alone(function: Act) -> Act:
    ALONE.add(function.__name__)
    return act(function)


def raises(name: str, make: Callable[[Part], BaseException]) -> None:
    def raising(part: Part) -> None:
        raise make(part)

    def waits_and_raises(part: Part) -> None:
        part.waits(0.09)
        raise make(part)

    ACTS[f"raises {name}"] = raising
    ACTS[f"waits, raises {name}"] = waits_and_raises


def returns(name: str, make: Callable[[Part], Any]) -> None:
    def waits_and_returns(part: Part) -> Any:
        part.waits(0.09)
        return make(part)

    ACTS[f"returns {name}"] = make
    ACTS[f"waits, returns {name}"] = waits_and_returns


async def _more(part: Part) -> int:
    part.seen.append("ran to its end")
    await trio.lowlevel.checkpoint()
    part.seen.append((trioq.current_job().payload, MARK.get(None)))
    return 1


async def _more_fails(part: Part) -> None:
    raise KeyError(part.n)


def _generator(part: Part) -> Any:
    part.seen.append("never")
    yield 1


returns("nothing", lambda part: None)
returns("a number", lambda part: 7)
returns("an object", lambda part: object())
returns("a role", lambda part: Role(part.n))
returns("an exception", lambda part: ValueError("returned"))
returns("a coroutine", _more)
returns("a coroutine that fails", _more_fails)
returns("a generator", _generator)
returns("a function", lambda part: print)

raises("ValueError", lambda part: ValueError(part.n))
raises("OSError", lambda part: OSError(part.n))
raises("RetryLater", lambda part: trioq.RetryLater(2.0))
raises("GiveUp", lambda part: trioq.GiveUp("no use"))
raises("SystemExit", lambda part: SystemExit(3))
raises("KeyboardInterrupt", lambda part: KeyboardInterrupt())
raises("StopIteration", lambda part: StopIteration(part.n))
raises("MemoryError", lambda part: MemoryError())
raises("Odd", lambda part: Odd())
raises("Liar", lambda part: Liar())
raises("a group", lambda part: BaseExceptionGroup("two", [ValueError(1), SystemExit(2)]))
raises("a wrapped one", lambda part: ExceptionGroup("one", [trioq.GiveUp("inside")]))


@act
def snoozes(part: Part) -> None:
    if part.run == 1:
        raise trioq.Snooze(1.5)


@act
def fails_once(part: Part) -> None:
    if part.run == 1:
        raise ValueError("the first time")


@alone
def waits_for_long(part: Part) -> None:
    part.waits(TIMEOUT_S / 2)


@alone
def waits_too_long(part: Part) -> None:
    """The one behind it may wait for the thread's place, and gets it in time."""
    part.waits(1.7 * TIMEOUT_S)


@alone
def waits_too_long_after_work(part: Part) -> None:
    """Its timeout counts from its start."""
    part.computes(TIMEOUT_S * 3 / 4)
    part.waits(TIMEOUT_S / 2)


@alone
def waits_in_time_after_work(part: Part) -> None:
    part.computes(TIMEOUT_S / 4)
    part.waits(TIMEOUT_S / 2)


@alone
def works_for_long(part: Part) -> None:
    """The one behind it begins when it has ended, not when both were handed over."""
    part.computes(TIMEOUT_S * 3 / 4)


@alone
def works_too_long(part: Part) -> None:
    part.computes_until_cancelled()


@alone
def works_too_long_and_returns(part: Part) -> None:
    with contextlib.suppress(trio.Cancelled):
        part.computes_until_cancelled()


@alone
def works_too_long_and_fails(part: Part) -> None:
    try:
        part.computes_until_cancelled()
    except trio.Cancelled:
        raise ValueError("late") from None


@act
def is_told_nothing_of_others_ends(part: Part) -> None:
    trio.from_thread.check_cancelled()
    part.waits(0.09)
    trio.from_thread.check_cancelled()


@act
def marks_its_context(part: Part) -> None:
    part.seen.append(MARK.get(None))
    MARK.set(part.n)


@act
def marks_its_context_and_waits(part: Part) -> None:
    MARK.set(part.n)
    part.waits(0.05)
    part.seen.append(MARK.get(None))


@act
def looks_at_its_context_from_the_loop(part: Part) -> None:
    MARK.set(part.n)
    here = trio.from_thread.run_sync(lambda: (MARK.get(None), trioq.current_job().uid))
    part.seen.append(here)


@act
def asks_for_its_job(part: Part) -> None:
    job = trioq.current_job()
    part.seen.append((job.name, job.queue, job.payload, job.attempt, job.max_attempts, job.id))
    part.seen.append((job.uid in job.token, bool(job.enqueued_ms), dict(job.trace)))
    part.seen.append(trioq.current_job() is job)


@act
def asks_for_its_job_later(part: Part) -> None:
    part.waits(0.09)
    asks_for_its_job(part)


@alone
def asks_where_it_is(part: Part) -> None:
    part.seen.append((place.get().worker, threading.current_thread() is threading.main_thread()))


def stage(clock: PatientClock) -> Stage:
    """Where they are played."""
    return Stage(partial(Part, clock=clock), ACTS, in_a_thread, TIMEOUT_S)
