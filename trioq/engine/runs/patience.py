"""Runs that were asked to end: each has a grace for it, and then it is over without them.

A handler hears that its job is cancelled at its next checkpoint, or where it asks, and has its
grace to clean up. One that hasn't ended by then is *abandoned*: its job is settled as cancelled,
and the handler goes on for as long as it likes. Nothing of what it does then counts. Its worker
stays with it, so that no more handlers run here than there are workers; the engine claims less.
A thread is left behind, as one is whose job took too long.
"""

from __future__ import annotations

import attrs
import trio

from trioq.core.wall import wall_ms
from trioq.engine.appetite import Appetite
from trioq.engine.handlers import Apart, Command
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.ends import Ends
from trioq.engine.runs.rules import Rules
from trioq.engine.runs.run import Run, Runs
from trioq.engine.runs.settle import Teller, cancelled

#: A process that was killed at the end of its grace is gone soon after.
KILLED_S = 1.0


@attrs.frozen(eq=False)
class Patience:
    """One worker's: a :class:`~trioq.engine.runs.run.Patience`."""

    nursery: trio.Nursery
    """Of the worker."""
    grace_s: float
    rules: Rules
    runs: Runs
    breakers: Breakers
    appetite: Appetite
    ends: Ends
    teller: Teller

    def begin(self, run: Run) -> None:
        """Settle it without its handler, if that doesn't end within its grace."""
        self.nursery.start_soon(self._wait_for, run)

    async def _wait_for(self, run: Run) -> None:
        """Isn't cancellable, and takes a bounded time: then a boot that ends can sign off."""
        assert run.given_up is not None
        is_killed = isinstance(run.handler, Command | Apart)
        with trio.move_on_after(self.grace_s + KILLED_S * is_killed, shield=True):
            await run.given_up.wait()
        if not run.given_up.is_set():
            self._give_up(run)

    def _give_up(self, run: Run) -> None:
        assert run.given_up is not None
        now = trio.current_time()
        self.ends.tell()  # they were before this one, which may be told of among them to have begun
        run.took_s = now - run.began
        run.is_told = run.is_abandoned = True
        self.runs.abandon(run)
        self.appetite.away += 1
        self.breakers.record(run.stored.record.name, run.permit, "ignored", now)
        keep = self.rules.result_of(run.handler, run.stored.record)
        end = cancelled(run, "ignored", keep, now_ms=wall_ms())
        self.teller.tell(run.claim, run, end)
        run.given_up.set()

    def ended(self, run: Run) -> None:
        """A run that was given up has ended after all."""
        del self.runs.abandoned[run]
        self.appetite.away -= 1
        if run.span is not None:
            run.span.over()
