"""What goes on in a runner: one job after the other, until its engine hangs up.

A job runs here as it would run in the engine, by the same code: what its handler raises, returns
or wishes for means the same, and it has the same deadline. Only a ``def`` handler's thread isn't
left behind when it is cancelled: it is waited for, because who doesn't end in time here is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import Context
from typing import Any

import attrs
import trio

from trioq.core.clients_here import Clients
from trioq.core.events import Report
from trioq.core.job import Headers, Job
from trioq.core.keep import Keep
from trioq.core.outcome import Error, Failed, Interrupted, Outcome, Starved, Succeeded
from trioq.core.waiting import Waiting
from trioq.core.wants import NothingLeft, want_of
from trioq.engine.forks import end_if_copy, no_copies
from trioq.engine.handlers.describe import Raised
from trioq.engine.handlers.function import Function
from trioq.engine.handlers.grace import Grace
from trioq.engine.handlers.invoke import invoke
from trioq.engine.handlers.isolated import Isolated
from trioq.engine.handlers.lifespans import Lifespans
from trioq.engine.handlers.place import Place, place
from trioq.engine.handlers.returned import PLAIN, finished
from trioq.engine.handlers.runners.frames import Frame, Line, frame_of
from trioq.engine.handlers.timebox import Timebox
from trioq.engine.nurseries import plain_errors
from trioq.errors import LifespanError

#: The signals that a runner doesn't heed: its engine says when to end.
UNHEEDED = (signal.SIGINT, signal.SIGTERM)

#: A cancellation this long before a job's own deadline, or later, is the deadline's: two processes
#: don't see the same moment at the same moment.
SOON_S = 0.05

#: How often the engine is told how far a job is.
TELL_S = 1.0

Around = Callable[[Headers], AbstractContextManager[None]]
"""What is to be around a job with these headers."""


def heed_nobody() -> None:
    """Leave signals that go to all processes of a service, say, to the engine.

    With a handler, not ignored: that would be inherited by programs that are started in here.
    """
    for number in UNHEEDED:
        signal.signal(number, lambda number, frame: None)


def die_with(life: int) -> None:
    """Have the system kill this process's group as soon as nobody holds the other end of a pipe.

    So it dies with its engine, also in the middle of a computation that lets no other thread run.
    Where the system can't do that, a handler ends at the next moment that it lets the loop run.
    """
    os.set_inheritable(life, False)
    if not hasattr(fcntl, "F_SETSIG"):
        return
    with contextlib.suppress(OSError):
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def work(
    line: socket.socket,
    handlers: Mapping[str, Function],
    *,
    around: Around,
    clients: Clients,
    lifespans: Lifespans,
    report: Report,
    limits_memory: bool = False,
) -> None:
    """Say what there is, and run jobs until the engine hangs up.

    Args:
      clients: Those that handlers find.
      lifespans: What the handlers share, entered before it is said what there is.
      report: Is told what goes wrong with those.
      limits_memory: Want of memory is a job's own fault here.

    Raises:
      LifespanError: One failed while there were jobs to come.
    """
    inside = {
        name: lifespans.at_home(
            Inside(
                name,
                handler.function,
                raises=handler.raises,
                breaker=handler.breaker,
                runtime=handler.runtime,
                lifespan=handler.lifespan,
                around=handler.around,
                layers=tuple(handler.around.middleware),
            )
        )
        for name, handler in handlers.items()
    }

    async def turn() -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(line))
        await _work(Works(Line(stream), inside, around, limits_memory), lifespans, report, clients)

    trio.run(turn)


async def _work(works: Works, lifespans: Lifespans, report: Report, clients: Clients) -> None:
    there = clients.there(lambda: lifespans.loop.here)
    with no_copies(f"runner {os.getpid()}"), there, plain_errors():
        async with trio.open_nursery() as holding:
            try:
                if await _entered(works, lifespans, holding, report):
                    await works.run()
            finally:
                await lifespans.leave(report)
                # What is left in it ends with the process.
                await lifespans.loop.close(lambda event: None)


async def _entered(
    works: Works, lifespans: Lifespans, holding: trio.Nursery, report: Report
) -> bool:
    """Whether all could be entered; if not, the engine was told."""
    try:
        with plain_errors():
            return await lifespans.enter(holding, trio.Event(), report)
    except LifespanError as error:
        await works.line.send({"refused": str(error), "is_lifespan": True})
        return False


@attrs.frozen(eq=False)
class Inside(Function):
    """A function, in here."""

    async def _call_in_thread(
        self,
        call: Callable[[], Any],
        context: Context,
        threads: trio.CapacityLimiter,
        grace: Grace,
    ) -> Any:
        def caught() -> Any:
            """As a value: trio knows neither all errors nor all results."""
            try:
                return (call(),)
            except BaseException as error:
                return Raised(error)
            finally:
                end_if_copy()

        try:
            ended = await trio.to_thread.run_sync(caught)
        except (OSError, RuntimeError, MemoryError) as error:
            if (want := want_of(error)) is not None:
                raise NothingLeft(want) from None
            raise
        if isinstance(ended, Raised):
            raise ended
        (returned,) = ended
        if id(type(returned)) in PLAIN:
            return returned
        return await Isolated(finished(returned), context)


@attrs.define(eq=False)
class Works:
    """One runner's."""

    line: Line
    handlers: Mapping[str, Inside]
    around: Around
    limits_memory: bool
    _threads: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1))
    _turn: trio.Lock = attrs.field(factory=trio.Lock)
    """Whoever says something says all of it before another does."""
    _job: Job | None = None
    """The last one."""
    _waiting: Waiting | None = None
    """What the engine was told that it waits for."""
    _running: trio.CancelScope | None = None
    _early: Frame | None = None
    """A cancel that came before its job has begun."""
    _deadline: float = math.inf
    """Of what runs."""

    async def run(self) -> None:
        """Until the engine hangs up. If that happens while a job runs, all of it ends at once."""
        await self.line.send({"names": sorted(self.handlers)})
        tell, jobs = trio.open_memory_channel[Frame](1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, tell)
            nursery.start_soon(self._tell_now_and_then)
            async for frame in jobs:
                outcome = await self._outcome(frame)
                _flush()
                await self._tell()
                await self._say(frame_of(outcome))
            nursery.cancel_scope.cancel()

    async def _tell_now_and_then(self) -> None:
        while True:
            await trio.sleep(TELL_S)
            await self._tell()

    async def _tell(self) -> None:
        """Tell what is known of how far the handler is, if that is news."""
        board = None if self._job is None else self._job._board
        if board is not None and (board.has_news or board.waiting != self._waiting):
            self._waiting = board.waiting
            await self._say(board.news())

    async def _say(self, frame: Frame) -> None:
        async with self._turn:
            with contextlib.suppress(trio.BrokenResourceError):
                await self.line.send(frame)

    async def _listen(self, tell: trio.MemorySendChannel[Frame]) -> None:
        with tell:
            while (frame := await self.line.receive()) is not None:
                if "job" in frame:
                    self._early = None  # what came since was for the one before
                    tell.send_nowait(frame)
                elif self._running is None:
                    self._early = frame
                elif trio.current_time() < self._deadline - SOON_S:
                    self._running.cancel(frame["cancel"])
        if self._running is not None:
            _flush()
            os.killpg(os.getpgrp(), signal.SIGKILL)

    async def _outcome(self, frame: Frame) -> Outcome:
        shared = self.handlers[frame["job"]["name"]].shared
        job = self._job = Job(**frame["job"])
        if shared is not None:
            job._share(shared)
        if frame["place"] is not None:
            place.set(Place(*frame["place"]))
        since = trio.current_time() - (time.monotonic() - frame["began"])
        timeout_s = frame["timeout_s"]
        self._deadline = math.inf if timeout_s is None else since + timeout_s
        with trio.CancelScope() as self._running, self.around(job.trace):
            if self._early is not None:
                self._running.cancel(self._early["cancel"])
            outcome = await self._invoked(job, timeout_s, since)
        if self._running.cancelled_caught:
            outcome = Interrupted()
        self._running = None
        if self.limits_memory and isinstance(outcome, Starved):
            told = f"no more {outcome.want}: worker.runner_memory is all that there is"
            outcome = Failed(Error("MemoryError", told))
        if isinstance(outcome, Succeeded) and frame["result_bytes"] is not None:
            return Succeeded(Keep(0, frame["result_bytes"]).kept(outcome.result))
        return outcome

    async def _invoked(self, job: Job, timeout_s: float | None, since: float) -> Outcome:
        handler = self.handlers[job.name]
        with contextlib.closing(Timebox()) as timebox:
            return await invoke(
                handler,
                job,
                timeout_s=timeout_s,
                timebox=timebox,
                threads=self._threads,
                since=since,
                errors=handler.errors,
            )


def _flush() -> None:
    """Nothing that a job has printed waits for the next one."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
