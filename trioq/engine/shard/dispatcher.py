"""Sends the steps: settlements go out, claims come in, many in one round trip.

One step is in flight; what finishes meanwhile goes with the next. So batches grow by
themselves when there is much to do. When there is little the step waits at the server for a
bell, and a job starts one hop after it. While Redis is away the same step is sent again and
again, unchanged and without waiting, and the outcomes wait.

When there is a step :mod:`trioq.core.pace` says, what it claims
:mod:`trioq.engine.shard.demand`, what it settles :mod:`trioq.engine.shard.boot`; how it gets its
answer :mod:`trioq.engine.shard.exchange`, and what that brings :mod:`trioq.engine.shard.intake`.
Here are the deeds::

    run:   next? ──▶ step ──▶ answered: claims to the backlog ──▶ next?
             │  ──▶ at bell: the same; poke, settle and stop_claiming end its wait
             └────▶ sleep until poked, or until something has ended
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import trio

from trioq.core.board import Board
from trioq.core.calls import Beat, Gone, StepReply
from trioq.core.events import BootLost, Report
from trioq.core.job import Record
from trioq.core.outcome import Failed, Snoozed, Unfit
from trioq.core.pace import LINGER_S, Pace, linger_s
from trioq.core.settlements import Deliver, Settlement
from trioq.engine.backlog import Backlog
from trioq.engine.claim import Held, Running
from trioq.engine.fetch import Fetch
from trioq.engine.shard.boot import Boot
from trioq.engine.shard.demand import Demand
from trioq.engine.shard.exchange import Exchange
from trioq.engine.shard.intake import Intake, Lost
from trioq.engine.shard.notes import Notes
from trioq.engine.shard.payloads import Payloads
from trioq.engine.shard.takes import Takes
from trioq.engine.tracer import Tracer
from trioq.errors import TrioqBug

#: Of the loop: in the first a worker is called, in the next it runs.
TURNS = 2


Judge = Callable[[Failed, str, str, str, bool], Awaitable[Failed | Snoozed | Unfit]]


class Dispatcher:
    """Drives one boot until it is told to finish or loses the boot; the claimer of its claims.

    Args:
      boot: A name that nobody has had.
      exchange: Gets its steps answered.
      fetch: For the runs of what it claims.
      notes: Makes what tells the server of these, who asks whether they are its own.
      demand: What the next step is to claim; has the pacemaker, and its clock.
      judge: Says what becomes of a run whose payload didn't fit.
      runs: Those of what it has claimed are told who wants them to end.
      takes: What claimed jobs take of limits that arrived without some of it.
      keep_ms: For how long how a job ended is kept.
    """

    def __init__(
        self,
        *,
        boot: str,
        exchange: Exchange,
        fetch: Fetch,
        notes: Callable[[Callable[[], bool]], Notes],
        backlog: Backlog,
        demand: Demand,
        runs: Running,
        judge: Judge,
        takes: Takes,
        keep_ms: Callable[[Record], int],
        report: Report,
        tracer: Tracer | None = None,
    ) -> None:
        self.boot = boot
        self.lost = trio.Event()
        self.pacemaker = demand.pacemaker
        self.fetch = fetch
        self.payloads = Payloads(fetch, backlog)
        self.notes = notes(self.may_start)
        self._judge = judge
        self._boot = Boot(boot, self)
        self._exchange = exchange
        self._bell = exchange.bell
        self._demand = demand
        self._clock = demand.clock
        self._report = report
        self._pace = Pace()
        self._intake = Intake(
            by=self,
            boot=self._boot,
            demand=demand,
            pace=self._pace,
            backlog=backlog,
            payloads=self.payloads,
            runs=runs,
            settle=self.settle,
            takes=takes,
            keep_ms=keep_ms,
            report=report,
            tracer=tracer,
        )
        self._awake = trio.Event()
        self._answers = trio.lowlevel.ParkingLot()
        """Those who wait for a step to be answered."""

    # -- what the others ask and tell it ---------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether something is claimed and not settled."""
        return bool(self._boot.held)

    @property
    def idle(self) -> int:
        """How many workers have no job."""
        return self._demand.present - self._boot.unsettled

    @property
    def claimed(self) -> int:
        """How many jobs it has ever claimed."""
        return self._intake.claimed

    @property
    def parked(self) -> tuple[tuple[str, str], ...]:
        """All (queue, door) with parked jobs, as far as this engine has heard."""
        return self._demand.parked

    def poke(self) -> None:
        """Something may be claimable: make a step soon."""
        self._ask(urgently=False)

    def _ask(self, *, urgently: bool) -> None:
        self._pace.ask(urgently=urgently)
        if urgently or self._demand.room(self._boot.unsettled) > 0:
            self._bell.end()
        self._awake.set()

    def beat_answered(self, reply: Beat | Gone) -> None:
        """What a sign of life was answered."""
        if isinstance(reply, Gone):
            self._ask(urgently=True)  # a step is told the same, and knows what is lost
        elif reply.asked != self._boot.asked:
            self._ask(urgently=True)  # a ring got lost, or hasn't been heard yet
        elif reply.parked_version != self._demand.parked_version:
            self.poke()

    def may_start(self) -> bool:
        """Whether the lease is good at this moment."""
        end = self.pacemaker.lease_end
        return end is not None and self._clock() < end and not self.lost.is_set()

    async def last_note(self, claim: Held, board: Board) -> None:
        """Tell the server what a run has said last; see :meth:`Notes.last`."""
        await self.notes.last(claim, board)

    async def judged(
        self, failed: Failed, name: str, queue: str, behind: str, *, has_run: bool
    ) -> Failed | Snoozed | Unfit:
        """What becomes of a run whose payload didn't fit."""
        return await self._judge(failed, name, queue, behind, has_run)

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        """Let the next step carry this; ``took_s`` teaches how long jobs run."""
        result_bytes = len(settlement.value) if isinstance(settlement, Deliver) else 0
        if took_s is not None:
            self._demand.ahead.ran(took_s)
            self._demand.ahead.returned(result_bytes, 1)
        self._carry((settlement,), result_bytes)

    def settle_many(
        self,
        settlements: Sequence[Settlement],
        *,
        took_s: float,
        alone: bool = True,
        result_bytes: int = 0,
    ) -> None:
        """The same of several; alone: they ran one after the other."""
        ahead = self._demand.ahead
        (ahead.ran_alone if alone else ahead.ran)(took_s, len(settlements))
        ahead.returned(result_bytes, len(settlements))
        self._carry(settlements, result_bytes)

    def _carry(self, settlements: Sequence[Settlement], result_bytes: int) -> None:
        boot, pace, now = self._boot, self._pace, trio.current_time()
        is_first = not boot.outcomes
        if is_first:
            pace.ended(now)
        boot.settle(*settlements, result_bytes=result_bytes)
        if self._bell.is_waiting and (step := boot.in_flight) is not None:
            # Where it claims nothing there was no room, and is some now.
            linger_s = LINGER_S if step.want else self._linger_s
            ends_at = pace.wait_ends(
                outcomes=len(boot.outcomes), linger_s=linger_s, running=boot.unsettled
            )
            self._bell.end(ends_at)
            if boot.following is not None:
                self._exchange.prepare(boot.following)  # while the server ends the wait
        elif not self._awake.is_set() and (is_first or not pace.may_linger(now, self._linger_s)):
            self._awake.set()

    def stop_claiming(self) -> None:
        """Claim nothing more; what nobody has started goes back at once."""
        self._demand.end()
        self._intake.return_all()
        self._bell.end()
        self._awake.set()

    async def settled(self) -> None:
        """Wait until no step is in flight, unless Redis is away.

        One that waits for a bell ends that soon, where there is something to settle or nothing
        more to claim.
        """
        boot = self._boot
        while boot.in_flight is not None and boot.sends == 1 and not self.lost.is_set():
            await self._answers.park()

    # -- its own life ----------------------------------------------------------------------

    async def run(self) -> None:
        """Make steps until the boot is lost.

        Cancellation: a step in flight stays in flight; :meth:`finish` sends it again.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._bell.end_waits)
            while not self.lost.is_set():
                await self._do_next()
            nursery.cancel_scope.cancel()

    async def _do_next(self) -> None:
        self._awake = trio.Event()
        match self._next():
            case "step":
                await self._step()
            case "at bell" if self._intake.has_brought:
                # What it has brought begins first: that is what somebody waits for. And the end
                # of a tiny job goes with the next step before that waits for a bell.
                self._intake.has_brought = False
                for _ in range(TURNS):
                    await trio.lowlevel.checkpoint()
            case "at bell":
                await self._step(at_bell=True)
            case look_again_at:
                with trio.move_on_at(look_again_at):
                    await self._awake.wait()
        self._intake.return_stale()

    async def finish(self, patient: Callable[[], None]) -> bool:
        """Get the step in flight answered, settle the rest and sign off.

        Args:
          patient: Called before the first call to the server and after each that was answered.

        Returns:
          True: nothing is left for the reaper.

        Cancellation: gives up, and the reaper has what is left. Call it in a shielded scope
        with a deadline.
        """
        self._demand.end()
        patient()
        while not self.lost.is_set() and (self._boot.in_flight or self._boot.outcomes):
            await self._step()
            patient()
        # A lost boot signs off too: it may be that the server went back in time, and holds
        # claims for it again.
        await self._exchange.sign_off(self.boot)
        return True

    def _next(self) -> Literal["step", "at bell"] | float:
        if self._boot.in_flight is not None:
            return "step"  # it was so when we were cancelled, and comes before anything else
        return self._pace.next(
            trio.current_time(),
            outcomes=len(self._boot.outcomes),
            linger_s=self._linger_s,
            room=self._demand.room(self._boot.unsettled),
            running=self._boot.unsettled,
            can_end=self._bell.can_end,
        )

    @property
    def _linger_s(self) -> float:
        is_met = self._demand.is_met(len(self._intake))
        return linger_s(self._demand.ahead.gap_s) if is_met else 0.0

    async def _step(self, *, at_bell: bool = False) -> None:
        boot, pace = self._boot, self._pace
        if boot.in_flight is None:
            self._demand.next_step(boot)
            pace.made()
        bell_s = pace.bell_s(trio.current_time()) if at_bell else 0.0
        try:
            await self._exchange.answered(boot, self._take, bell_s=bell_s, follow=self._follow)
        except TrioqBug:
            self._lose("bug")
        finally:
            self._answers.unpark_all()

    def _follow(self) -> None:
        """Before a wait is ended: what has ended by now goes as soon as that is over."""
        boot = self._boot
        if not boot.outcomes or boot.in_flight is None or boot.following is not None:
            return
        step = self._demand.following_step(boot)
        if step.want:
            self._pace.made()
        elif boot.suspects and step.suspect:
            # It settles ours and takes no other, and no bell rings for the next one.
            self._pace.ask()

    def _take(
        self, reply: StepReply | Gone, sent_at: float, took_s: float, is_followed: bool
    ) -> None:
        if self.lost.is_set():
            return  # of a boot that is void, nothing counts
        why = self._intake.take(reply, sent_at, took_s, is_followed=is_followed)
        if why is not None:
            self._lose(why)

    def _lose(self, why: Lost | Literal["bug"]) -> None:
        """The boot is void: nothing of it is sent again but its sign-off."""
        # What follows the answer that it is lost for may have been executed.
        lost, unknown = self._boot.lost_and_unknown(is_answered=why != "count differs")
        self._boot.in_flight = None
        self._report(BootLost(self.boot, why, lost, unknown))
        self._demand.end()
        self.lost.set()
        self._intake.forget_all()
