"""Steps that wait for a bell: the server executes one in the moment in which it rings.

The step travels behind a ``BLPOP``, so an idle engine gets the claims with the bell, in one hop
to its thread. It is in flight all that time, like any other. When the engine wants it answered
without a bell, it ends the wait on another connection; the server then goes on with the step.

A bell is a hint, never the truth: a wait ends by itself, and then the step is the poll.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio

from trioq.core.calls import Gone, Step, StepReply
from trioq.engine.bridge import Caller, Following, Then, nothing

#: Who ends a wait that hasn't begun at the server, or whose answer is on its way, looks again after
#: this, and then after twice as long each time, up to the second: a server that is paused begins
#: none for a while.
AGAIN_S, SELDOM_S = 0.002, 0.1

#: The answer to what ended a wait is read so much later, unless the next one is to end before that.
ANSWER_S = 0.005


def _nobody_cares() -> None:
    pass


class Bell:
    """One boot's.

    Args:
      caller: Of the steps.
      other: On another connection: ends the waits of the first.
    """

    def __init__(self, caller: Caller, other: Caller) -> None:
        self._caller = caller
        self._other = other
        self._ends = _nobody_cares
        self._is_waiting = False
        self._ends_at = math.inf
        self._started: Callable[[], bool] | None = None
        """The end of a wait that was asked for in the moment in which it was wanted."""
        self._changed = trio.Event()
        self._over = trio.Event()

    @property
    def is_waiting(self) -> bool:
        """Whether a step waits for a bell, as far as we know."""
        return self._is_waiting

    @property
    def can_end(self) -> bool:
        """Whether a wait can be ended without a new connection."""
        return self._caller.can_end_waits

    async def step(
        self,
        step: Step,
        timeout_s: float,
        then: Then,
        following: Following = nothing,
        *,
        ends: Callable[[], None] = _nobody_cares,
    ) -> None:
        """Make a step, once a bell of its queues rings, or the wait is ended, or after this time.

        Args:
          ends: Called each time before its wait is ended.
          others: As those of :meth:`Caller.step_at_bell`.

        What it raises, and cancellation: likewise.
        """
        self._is_waiting, self._ends_at, self._over = True, math.inf, trio.Event()
        self._ends = ends

        def is_over() -> None:
            self._is_waiting, self._ends_at = False, math.inf
            self._over.set()

        def over(reply: StepReply | Gone, is_followed: bool) -> None:
            is_over()
            then(reply, is_followed)

        try:
            await self._caller.step_at_bell(step, timeout_s, over, following)
        finally:
            is_over()

    async def over(self) -> None:
        """Wait until no step waits for a bell."""
        if self._is_waiting:
            await self._over.wait()

    def end(self, at: float = -math.inf) -> None:
        """See to it that the wait under way, if any, ends at this time, or now."""
        if self._is_waiting and at < self._ends_at:
            self._ends_at = at
            if at == -math.inf and self._started is None:
                self._ends()
                self._started = self._caller.start_end_wait(self._other)
            self._changed.set()

    async def end_waits(self) -> None:
        """End waits when that is asked for, until cancelled."""
        while True:
            if self._started is None:
                self._changed = trio.Event()
                with trio.move_on_at(self._ends_at):
                    await self._changed.wait()
            if self._started is not None:
                await self._end_started()
            # The wait may not have begun at the server yet.
            again_s = AGAIN_S
            while self._ends_at <= trio.current_time():
                self._ends()
                await self._caller.end_wait(self._other)
                with trio.move_on_after(again_s):
                    await self.over()
                again_s = min(2 * again_s, SELDOM_S)

    async def _end_started(self) -> None:
        """Read what the server said to the end of a wait that was asked for at once."""
        with trio.move_on_after(AGAIN_S) as scope:
            await self.over()
            # The step that the wait was ended for goes before an answer that nobody waits for.
            self._changed, scope.deadline = trio.Event(), trio.current_time() + ANSWER_S
            await self._changed.wait()
        started, self._started = self._started, None
        await self._caller.end_wait(self._other, started)
