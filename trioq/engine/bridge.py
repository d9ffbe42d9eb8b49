"""Where trio meets blocking calls: the only module that hops to a thread for the store.

Each purpose has one connection and one thread at a time. A call has a deadline of its
own, and ends early when its scope is cancelled: either way the socket is shut down,
which wakes the thread, and the thread is waited for. A call that writes is never
abandoned; what became of it is then unknown, and the caller knows what that means.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import outcome
import trio

from trioq.core.calls import Gone, Step, StepReply
from trioq.core.wants import want_of
from trioq.errors import StoreBusy, StoreRefused, StoreUnreachable
from trioq.store.attempt import Attempt
from trioq.store.lane import Lane
from trioq.store.listening import Listening
from trioq.store.protocol import Store
from trioq.store.redis import RedisStore

P = ParamSpec("P")
T = TypeVar("T")


Then = Callable[[StepReply | Gone, bool], None]
"""Uses the answer to a step; whether the one that follows it is sent already."""

Following = Callable[[], Step | None]
"""The step that is to follow the one that was answered, if there is one; called in any thread."""


def nothing() -> None:
    """No step follows."""


#: While a step that settles so many jobs is put into words, the loop stands still for so long. Its
#: thread would get the interpreter much later from a loop that computes, and lose it halfway; and
#: until the server has the step, nothing more is claimed.
MANY = 256
HEAD_START_S = 0.0002


class Caller(Protocol):
    """A store for one purpose, made awaitable."""

    @property
    def store(self) -> Store:
        """What :meth:`call` calls: pass its methods."""

    @property
    def generation(self) -> int:
        """Counts connections: who watches something over time starts anew with each."""

    @property
    def measured(self) -> RedisStore | None:
        """The server, for whoever measures it; None: there is none, or nothing to measure."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of ``store``.

        Raises:
          StoreUnreachable: No answer in time; the call may have been executed, or may be.
          StoreBusy, StoreRefused: It was answered, and not executed.

        Cancellation:
          Ends the call at once; it may have been executed, or may be. An answer that was
          there already is returned.
        """

    async def step(self, step: Step) -> StepReply | Gone:
        """Make a step.

        Raises, and cancellation: as :meth:`call`.
        """

    def prepare(self, step: Step) -> None:
        """A step will be made soon: do what can be done now."""

    @property
    def can_end_waits(self) -> bool:
        """Whether :meth:`end_wait` ends nothing but the wait."""

    async def step_at_bell(
        self, step: Step, timeout_s: float, then: Then, following: Following = nothing
    ) -> None:
        """Make a step when a bell of its queues rings, or else after this time; and another, if
        one is to follow it by then.

        Args:
          then: Called in the loop with each answer, in the moment in which that is there. Whoever
              awaits this goes on a turn later, when others already run what it has brought.
          following: Called once when the server has answered that it knows the boot.

        Raises, and cancellation: as :meth:`call`; and what ``then`` raises.
        """

    def start_end_wait(self, other: Caller) -> Callable[[], bool] | None:
        """Begin to let a step that waits for a bell be made now: a few bytes that are sent at once,
        without a thread, so that nobody waits for one.

        Returns:
          For :meth:`end_wait`, which has to be called with it; None: it can't be begun like this.
        """

    async def end_wait(self, other: Caller, started: Callable[[], bool] | None = None) -> None:
        """Let a step that waits for a bell be made now.

        It may be that it doesn't wait yet, and nothing happens. Where the server can't be asked
        for it the connection is closed: the step is then unanswered.

        Args:
          other: Asks on its own connection.
          started: What :meth:`start_end_wait` returned: it is asked already, and will have
            answered.
        """

    async def drive(self, step: Callable[[], float]) -> None:
        """Call ``step`` again and again, after the seconds it returns, until cancelled.

        It runs outside of the event loop where there are threads, so that it goes on while
        a handler blocks the loop.
        """


Access = Callable[[str], Caller]
"""Opens a store for a purpose: ``step``, ``wake``, ``beat``, ``watch``, ``produce``."""


class LaneCaller:
    """Makes awaitable what uses a lane, each call in a thread.

    Args:
      deadline_s: How long a call may take, connecting included. redis-py's own timeout is
          for each read, so a server that drips would never end a call.
    """

    def __init__(self, lane: Lane, deadline_s: float) -> None:
        self.lane = lane
        self.deadline_s = deadline_s
        self._turn = trio.Lock()

    @property
    def is_free(self) -> bool:
        """Whether it is connected, and nobody uses it."""
        return self.lane.connected and not self._turn.locked()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that uses the lane; see :meth:`Caller.call`."""
        return await self._within(self.deadline_s, lambda: function(*args, **kwargs))

    async def call_by(
        self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Likewise, by this time of trio's clock at the latest."""
        deadline_s = min(self.deadline_s, deadline - trio.current_time())
        return await self._within(deadline_s, lambda: function(*args, **kwargs))

    async def _within(
        self,
        deadline_s: float,
        function: Callable[[], T],
        then: Callable[[T], None] | None = None,
        *,
        head_start_s: float = 0.0,
    ) -> T:
        lane = self.lane
        try:
            self._turn.acquire_nowait()  # without a turn of the loop, where nobody is before us
        except trio.WouldBlock:
            await self._turn.acquire()
        try:
            deadline = trio.current_time() + deadline_s
            if not lane.connected:
                await _connect(lane, deadline)
            lane.arm()
            return await _hop(function, deadline, lane.interrupt, then, head_start_s)
        except RuntimeError as error:
            if (want := want_of(error)) is None:
                raise
            raise StoreUnreachable(f"{lane.name}: no more {want}", sent=False) from error
        finally:
            self._turn.release()


def hearing(ear: Listening, deadline_s: float) -> LaneCaller:
    """Makes awaitable what listens."""
    return LaneCaller(ear.lane, deadline_s)


class ThreadCaller(LaneCaller):
    """Calls a :class:`RedisStore`; see :class:`LaneCaller`."""

    def __init__(self, store: RedisStore, deadline_s: float) -> None:
        super().__init__(store.lane, deadline_s)
        self.store = store

    @property
    def generation(self) -> int:
        return self.store.lane.generation

    @property
    def measured(self) -> RedisStore:
        return self.store

    def prepare(self, step: Step) -> None:
        self.store.prepare(step)

    @property
    def can_end_waits(self) -> bool:
        return self.store.lane.may_know_client

    async def step(self, step: Step) -> StepReply | Gone:
        head_start_s = HEAD_START_S if len(step.settlements) >= MANY else 0.0
        answer = await self._within(
            self.deadline_s,
            lambda: (self.store.step(step), _clock()),
            head_start_s=head_start_s,
        )
        return _aged(answer)

    async def step_at_bell(
        self, step: Step, timeout_s: float, then: Then, following: Following = nothing
    ) -> None:
        deadline_s, until = timeout_s + self.deadline_s, _clock() + timeout_s
        context = trio.lowlevel.current_task().context
        token = trio.lowlevel.current_trio_token()
        used: outcome.Maybe[None] = outcome.Value(None)

        def use_first(answer: tuple[StepReply | Gone, float]) -> None:
            nonlocal used
            used = outcome.capture(context.run, then, _aged(answer), True)

        def use_last(answer: tuple[StepReply | Gone, float]) -> None:
            used.unwrap()
            then(_aged(answer), False)

        def steps() -> tuple[StepReply | Gone, float]:
            reply = self.store.step_at_bell(step, max(0.0, until - _clock()))
            answer = reply, _clock()
            if isinstance(reply, Gone) or (next_step := following()) is None:
                return answer
            # The loop hears of this one first, whatever becomes of the other.
            token.run_sync_soon(use_first, answer)
            return self.store.step(next_step), _clock()

        reply, _ = await self._within(deadline_s, steps, use_last)
        if isinstance(reply, StepReply) and reply.claims:
            # Somebody waits for what it has brought, and nobody for us.
            await trio.lowlevel.cancel_shielded_checkpoint()

    def start_end_wait(self, other: Caller) -> Callable[[], bool] | None:
        client = self.store.lane.client
        if client is None or not isinstance(other, ThreadCaller) or not other.is_free:
            return None
        other.lane.arm()
        try:
            return other.store.start_unblock(client)
        except (StoreUnreachable, StoreBusy):
            return None

    async def end_wait(self, other: Caller, started: Callable[[], bool] | None = None) -> None:
        lane = self.store.lane
        try:
            if started is not None:
                await other.call(started)
            elif (client := lane.client) is not None:
                await other.call(other.store.unblock, client)
            if lane.may_know_client:
                return
        except StoreRefused:
            lane.may_know_client = False
        except (StoreUnreachable, StoreBusy):
            pass
        lane.interrupt()

    async def drive(self, step: Callable[[], float]) -> None:
        stop = threading.Event()

        def loop() -> None:
            delay_s = 0.0
            while not stop.wait(delay_s):
                self.store.lane.arm()
                if stop.is_set():
                    return  # the interrupt may have come before we were armed
                delay_s = step()

        async def stop_when_cancelled() -> None:
            try:
                await trio.sleep_forever()
            finally:
                stop.set()
                self.store.lane.interrupt()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_when_cancelled)
            # A limiter of its own: handlers that use threads can't starve it.
            await trio.to_thread.run_sync(loop, limiter=trio.CapacityLimiter(1))


#: In any thread.
_clock = time.perf_counter


def _aged(answer: tuple[StepReply | Gone, float]) -> StepReply | Gone:
    """A step's answer as it is now; it comes with when it was there.

    A thread has to be waited for, and the loop may have had something else to do.
    """
    reply, since = answer
    return reply if isinstance(reply, Gone) else reply.after(_clock() - since)


async def _hop(
    function: Callable[[], T],
    deadline: float,
    interrupt: Callable[[], None],
    then: Callable[[T], None] | None = None,
    head_start_s: float = 0.0,
) -> T:
    """Call a function in a thread and wait for its end, whatever happens.

    Args:
      then: Called in the loop with what it returns, before the turn in which we go on.
      head_start_s: How long the loop stands still meanwhile.

    With its lane it has a thread of its own, so it needs neither the limiter of
    ``trio.to_thread.run_sync`` nor, as ``interrupt`` ends it early, a task beside it that looks
    at the clock. Both would cost turns of a loop that may be busy with jobs.
    """
    task, token = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token()

    def used(result: Any) -> T:
        answer: T = result.unwrap()
        if then is not None:
            task.context.run(then, answer)
        return answer

    def land(result: Any) -> None:
        trio.lowlevel.reschedule(task, outcome.capture(used, result))

    def deliver(result: Any) -> None:
        token.run_sync_soon(land, result)

    def abort(_: object) -> trio.lowlevel.Abort:
        interrupt()
        # The answer may be there in spite of it, and then the caller must have it.
        return trio.lowlevel.Abort.FAILED

    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        with trio.CancelScope(deadline=deadline):
            _start(function, deliver, head_start_s)
            result = await trio.lowlevel.wait_task_rescheduled(abort)
    except Exception:
        await trio.lowlevel.checkpoint_if_cancelled()
        raise
    return cast(T, result)


def _start(function: Callable[[], T], deliver: Callable[[Any], None], head_start_s: float) -> None:
    trio.lowlevel.start_thread_soon(function, deliver)
    if head_start_s:
        time.sleep(head_start_s)


async def _connect(lane: Lane, deadline: float) -> None:
    """Connect, and give up at the deadline or when cancelled.

    A name server that doesn't answer can't be interrupted. Such an attempt is left behind, alone
    of all calls, for it writes nothing; a connection that comes of it after all is closed.
    """
    attempt = Attempt(lane.name)
    try:
        lane.adopt(await _hop(partial(attempt.run, lane.connect), deadline, attempt.abandon))
    except StoreUnreachable:
        if not attempt.is_abandoned:
            raise
        raise StoreUnreachable(f"{lane.name}: no connection in time", sent=False) from None
