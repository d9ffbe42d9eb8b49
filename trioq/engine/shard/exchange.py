"""Gets the steps of a boot answered, and its end: asks again until the server answers.

A step is sent again unchanged, as often as that takes, so it may be executed long before its answer
is here. Only the first time does it wait for a bell.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from trioq.core.calls import Gone, StepReply
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.shard.bell import Bell
from trioq.engine.shard.boot import Boot

Take = Callable[[StepReply | Gone, float, float], None]
"""Takes a step's answer, when it was sent for the last time by the clock of the lease, and how long
that took: 0 for one that has waited for a bell. Never waits."""


class Exchange:
    """One boot's.

    Args:
      caller: The lane for steps; nobody else uses it.
      waker: On a lane of its own: ends the waits for bells.
      clock: The lease's, in seconds.
    """

    def __init__(
        self, caller: Caller, waker: Caller, *, outage: Outage, clock: Callable[[], float]
    ) -> None:
        self.bell = Bell(caller, waker)
        self._caller = caller
        self._outage = outage
        self._clock = clock

    async def answered(self, boot: Boot, take: Take, *, bell_s: float = 0.0) -> None:
        """Have the boot's step in flight answered.

        Args:
          take: Called with the answer in the moment in which that is in the loop, and not in the
              turn in which we go on: what is claimed can't get lost in between, and doesn't wait.
          bell_s: How long it may wait for a bell, in seconds, if it is sent for the first time.

        Raises:
          TrioqBug: The server has had another step by this number.
          StoreRefused: Redis said no.

        Cancellation: the step stays in flight. It may have been executed, or may be.
        """
        step = boot.in_flight
        assert step is not None

        async def send() -> None:
            boot.sends += 1
            sent_at, started = self._clock(), trio.current_time()
            if bell_s and boot.sends == 1:
                await self.bell.step(step, bell_s, lambda reply: take(reply, sent_at, 0.0))
            else:
                reply = await self._caller.step(step)
                take(reply, sent_at, trio.current_time() - started)

        await self._outage.until_answered("step", send)

    async def sign_off(self, boot: str) -> None:
        """Tell the server that this boot has ended.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: it may have heard it, or may yet.
        """
        await self._outage.until_answered(
            "step", lambda: self._caller.call(self._caller.store.sign_off, boot)
        )
