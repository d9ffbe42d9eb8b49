"""Gets the steps of a boot answered, and its end: asks again until the server answers.

A step is sent again unchanged, as often as that takes, so it may be executed long before its answer
is here. Only the first time does it wait for a bell.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from trioq.core.calls import Gone, Step, StepReply
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.shard.bell import Bell
from trioq.engine.shard.boot import Boot

Take = Callable[[StepReply | Gone, float, float, bool], None]
"""Takes a step's answer, when it was sent for the last time by the clock of the lease, how long
that took (0 for one that has waited for a bell), and whether the one that follows it is sent
already. Never waits."""


class Exchange:
    """One boot's.

    Args:
      caller: The lane for steps; nobody else uses it.
      waker: On a lane of its own: ends the waits for bells.
      clock: The lease's, in seconds; in any thread.
    """

    def __init__(
        self, caller: Caller, waker: Caller, *, outage: Outage, clock: Callable[[], float]
    ) -> None:
        self.bell = Bell(caller, waker)
        self._caller = caller
        self._outage = outage
        self._clock = clock

    async def answered(
        self, boot: Boot, take: Take, *, bell_s: float = 0.0, follow: Callable[[], None]
    ) -> None:
        """Have the boot's step in flight answered; if it waits for a bell, and another is to follow
        when that is over, this one too.

        Args:
          take: Called with the answer in the moment in which that is in the loop, and not in the
              turn in which we go on: what is claimed can't get lost in between, and doesn't wait.
          bell_s: How long it may wait for a bell, in seconds, if it is sent for the first time.
          follow: Called before such a wait is ended: may make the boot's step that follows.

        Raises:
          TrioqBug: The server has had another step by this number.
          StoreRefused: Redis said no.

        Cancellation: the step stays in flight. It may have been executed, or may be.
        """
        assert boot.in_flight is not None

        async def send() -> None:
            if (step := boot.in_flight) is None:
                return  # its boot is lost
            boot.sends += 1
            sent_at, started = self._clock(), trio.current_time()
            if bell_s and boot.sends == 1:
                await self._at_bell(boot, step, take, bell_s, follow)
            else:
                reply = await self._caller.step(step)
                take(reply, sent_at, trio.current_time() - started, False)

        await self._outage.until_answered("step", send)

    async def _at_bell(
        self, boot: Boot, step: Step, take: Take, bell_s: float, follow: Callable[[], None]
    ) -> None:
        sent_at = self._clock()
        followed_at: float | None = None

        def following() -> Step | None:
            """In the thread, which sends at once what this returns."""
            nonlocal followed_at
            if (next_step := boot.following) is not None:
                followed_at = self._clock()
            return next_step

        def answered(reply: StepReply | Gone, is_followed: bool) -> None:
            if is_followed or followed_at is None:
                if not is_followed:
                    boot.withdraw()  # it came too late, or the boot is gone
                take(reply, sent_at, 0.0, is_followed)
            else:
                take(reply, followed_at, self._clock() - followed_at, False)

        try:
            await self.bell.step(step, bell_s, answered, following, ends=follow)
        finally:
            boot.withdraw()

    def prepare(self, step: Step) -> None:
        """It will be sent soon: do what can be done now."""
        self._caller.prepare(step)

    async def sign_off(self, boot: str) -> None:
        """Tell the server that this boot has ended.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: it may have heard it, or may yet.
        """
        await self._outage.until_answered(
            "step", lambda: self._caller.call(self._caller.store.sign_off, boot)
        )
