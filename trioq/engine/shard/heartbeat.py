"""Tells the server, and with it every reaper, that this engine lives.

The beat runs beside the event loop, on a connection of its own, so that a handler that
blocks the loop for a while doesn't cost the lease. But it beats only while the loop makes
progress at all: an engine that is stuck for longer than ``loop_stall`` loses its lease,
and the log names the line that blocks.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import attrs
import trio

from trioq.core.calls import Beat, Gone
from trioq.core.events import LoopStalled, Report
from trioq.core.pacemaker import Pacemaker
from trioq.engine.bridge import Caller
from trioq.engine.claim import Claimer, Running
from trioq.engine.stalls import where
from trioq.errors import StoreBusy, StoreUnreachable
from trioq.lines import say

#: How often the loop shows that it turns; but four times for each beat will do.
TICK_S = 0.25


class Beating(Claimer, Protocol):
    """The boot that is beaten for: the dispatcher."""

    pacemaker: Pacemaker

    def beat_answered(self, reply: Beat | Gone) -> None:
        """What a sign of life was answered; called in the loop."""


@attrs.define(kw_only=True)
class Heartbeat:
    """Beats for one boot.

    Args:
      clock: The pacemaker's clock: a monotonic one, in seconds.
      runs: Told when the lease has ended.
    """

    boot: Beating
    caller: Caller
    clock: Callable[[], float]
    loop_stall_s: float
    runs: Running
    report: Report
    tick_s: float = TICK_S
    _turned: float = attrs.field(default=0.0, init=False)
    _stalled: LoopStalled | None = attrs.field(default=None, init=False)
    """What the thread has seen, to be reported by the loop once it turns again."""
    _loop_thread: int = attrs.field(factory=threading.get_ident, init=False)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beat from the beginning of this block to its end.

        Cancellation: doesn't end the beats. Jobs that are cancelled too may need a while, and
        nobody else may take them before they have ended.
        """
        beats = trio.CancelScope(shield=True)
        async with trio.open_nursery() as lease:
            lease.start_soon(self._beat_in, beats)
            try:
                yield
            finally:
                beats.cancel()

    async def _beat_in(self, scope: trio.CancelScope) -> None:
        token = trio.lowlevel.current_trio_token()
        self._turned = self.clock()
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._turn)
                await self.caller.drive(lambda: self._beat(token))

    async def _turn(self) -> None:
        while True:
            self._turned = self.clock()
            if self._stalled is not None:
                self.report(self._stalled)
                self._stalled = None
            await trio.sleep(self._watch_lease())

    def _watch_lease(self) -> float:
        """End what must not go on without a lease. Returns the seconds until the next look."""
        end = self.boot.pacemaker.lease_end
        left_s = 0.0 if end is None else end - self.clock()
        if left_s > 0:
            # To the moment: between it and another engine's claim there is but a margin.
            return min(left_s, self.tick_s)
        self.runs.lease_ended(self.boot)
        return self.tick_s

    def _beat(self, token: trio.lowlevel.TrioToken) -> float:
        """One look: beat if it is time. Returns the seconds until the next. Blocks."""
        now = self.clock()
        pacemaker = self.boot.pacemaker
        wait_s = pacemaker.due(now)
        if wait_s > 0:
            return wait_s
        stalled_s = now - self._turned
        if stalled_s > self.loop_stall_s:
            if self._stalled is None:
                self._stalled = LoopStalled(stalled_s, where(self._loop_thread))
                print_stall(self._stalled)
            return TICK_S
        pacemaker.sent(now)
        try:
            reply = self.caller.store.beat(self.boot.boot)
        except (StoreUnreachable, StoreBusy):
            pacemaker.answered(self.clock(), ok=False)
        else:
            if isinstance(reply, Gone):
                # At once, beside the loop: what is about to start there must not.
                pacemaker.gone()
            else:
                pacemaker.answered(self.clock(), ok=True)
            token.run_sync_soon(self.boot.beat_answered, reply)
        return pacemaker.due(self.clock())


def print_stall(event: LoopStalled) -> None:
    """The loop can't write its own log line while it is blocked, so this thread does.

    It doesn't wait for a reader either: it has to beat.
    """
    say(
        f"trioq: the event loop has been blocked for {event.for_s:.0f} s at {event.where};"
        " the lease isn't renewed until it turns again"
    )
