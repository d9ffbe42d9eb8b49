"""What the answers to a boot's steps bring, and what becomes of it until a worker has it.

Claims go to the backlog, asks to whom they are meant for; what nobody will begin with goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import attrs
import trio

from trioq.core.calls import Ask, Gone, StepReply
from trioq.core.events import ClaimsReturned, JobsWaited, Report
from trioq.core.job import Record
from trioq.core.pace import Pace
from trioq.core.settlements import Cancel, Release, Settlement
from trioq.engine.backlog import STALE_S, Backlog
from trioq.engine.claim import Claimer, Held, Running
from trioq.engine.shard.boot import Boot
from trioq.engine.shard.demand import Demand
from trioq.engine.shard.pauses import Parked, parked
from trioq.engine.shard.payloads import Payloads
from trioq.engine.shard.takes import Takes
from trioq.engine.shard.telling import record_of, tell, tell_cancelled
from trioq.engine.tracer import Tracer
from trioq.failpoints import failpoint

Lost = Literal["gone", "old", "count differs"]


@attrs.define(eq=False, kw_only=True)
class Intake:
    """One boot's.

    Args:
      by: Its claimer.
      runs: Those of what it has claimed are told who wants them to end.
      settle: Has the next step carry a settlement.
      takes: What jobs take of limits that arrived without some of it.
      keep_ms: For how long how a job ended is kept.
    """

    by: Claimer
    boot: Boot
    demand: Demand
    pace: Pace
    backlog: Backlog
    payloads: Payloads
    runs: Running
    settle: Callable[[Settlement], None]
    takes: Takes
    keep_ms: Callable[[Record], int]
    report: Report
    tracer: Tracer | None
    claimed: int = attrs.field(default=0, init=False)
    """How many jobs were ever claimed."""
    has_brought: bool = attrs.field(default=False, init=False)
    """Whether the last step has, and the workers haven't had time to begin."""

    def __len__(self) -> int:
        """How many are claimed that no worker has begun with."""
        return len(self.backlog) + len(self.payloads)

    def take(
        self, reply: StepReply | Gone, sent_at: float, took_s: float, *, is_followed: bool
    ) -> Lost | None:
        """Use what the step in flight was answered: all of it at once, so that no claim gets lost.

        Args:
          sent_at: When it was sent last, by the clock of the lease.
          took_s: How long it was under way; 0 if it has waited for a bell.
          is_followed: The next one is sent already.

        Returns:
          Why the boot is lost; None: it isn't.
        """
        self.pace.answered(trio.current_time())
        if isinstance(reply, Gone):
            return reply.word
        # Of a step that has waited, too: that its lease counts from before the wait is less than
        # it was granted, and meanwhile there were beats.
        self.demand.pacemaker.step_answered(sent_at, self.demand.clock())
        agrees = self._absorb(reply, took_s, is_followed=is_followed)
        failpoint("step", "used")
        return None if agrees else "count differs"

    def _absorb(self, reply: StepReply, took_s: float, *, is_followed: bool) -> bool:
        """Hand on what an answer brings. False: the server counts otherwise than we do."""
        boot, demand, step = self.boot, self.demand, self.boot.in_flight
        assert step is not None
        settled = len(step.settlements)
        paused = demand.paused
        demand.answered(step, reply)
        unsettled = boot.unsettled
        absorbed = boot.absorb(reply, now=trio.current_time(), is_followed=is_followed)
        assert boot.unsettled == unsettled - settled + len(absorbed.claims)
        self.claimed += len(absorbed.claims)
        if demand.paused - paused:
            self._hold_up_waiting()
        # An answer that took half a lease to get here, in a process that was stopped, say, may
        # bring what is another's by now.
        if demand.may_claim:
            claims = self._not_held_up(absorbed.claims)
            claims = self._bound(claims)
            big_bytes = self.payloads.put(claims)
            demand.ahead.claimed(big_bytes, len(claims))
            self.has_brought = bool(claims)
            if claims:
                self.pace.claimed(trio.current_time())
        else:
            self._give_back(absorbed.claims)
        if absorbed.asks:
            self.hear(absorbed.asks)
        # If there is more for us there is soon another step; and if it isn't ours, we don't
        # listen to the bell, which others may need.
        if demand.leaves(reply):
            self.pace.ask()
        self.pace.scheduled(trio.current_time(), reply.next_due_ms)
        tell(absorbed, step, took_s, report=self.report, tracer=self.tracer)
        if reply.waits:
            self.report(JobsWaited(reply.waits))
        return absorbed.agrees

    def hear(self, asks: Sequence[Ask]) -> None:
        """What nobody has begun never begins, and what runs is told."""
        asked = {(ask.uid, ask.step): ask for ask in asks}
        for held in [*self.backlog.take_out(self.by, asked), *self.payloads.take_out(asked)]:
            ask, record = asked.pop((held.uid, held.step)), record_of(held)
            keep_ms = 0 if record is None else self.keep_ms(record)
            self.settle(Cancel(held.uid, held.step, ask.summary, keep_ms))
            tell_cancelled(held, ask, "waiting", report=self.report)
        if asked:
            self.runs.ask(self.by, asked)

    # -- what is bound by limits -----------------------------------------------------------

    def _bound(self, claims: Sequence[Held]) -> Sequence[Held]:
        """Those that took what they take of limits. The others go back, with what nobody had
        worked out: that is no attempt, and the server binds them from then on."""
        if not self.takes:
            return claims
        bound = []
        for held in claims:
            if takes := self.takes.of(held):
                self.settle(Release(held.uid, held.step, takes=takes))
            else:
                bound.append(held)
        return bound

    # -- what is paused --------------------------------------------------------------------

    def _hold_up_waiting(self) -> None:
        """Names were paused: what nobody has begun with waits behind its door."""
        meant = {token: held for token, held in self.boot.held.items() if self._parked(held)}
        waiting = [*self.backlog.take_out(self.by, meant), *self.payloads.take_out(meant)]
        taken = {(held.uid, held.step) for held in waiting}
        self._not_held_up([held for token, held in meant.items() if token in taken])

    def _not_held_up(self, claims: Sequence[Held]) -> Sequence[Held]:
        """Those of these claims whose names aren't paused; the others wait behind their doors."""
        if not self.demand.paused:
            return claims
        left = []
        for held in claims:
            if (end := self._parked(held)) is None:
                left.append(held)
            else:
                settlement, told = end
                self.settle(settlement)
                self.report(told)
        return left

    def _parked(self, held: Held) -> Parked | None:
        return parked(held, self.demand.paused, self.demand.queues)

    # -- what goes back --------------------------------------------------------------------

    def return_all(self) -> None:
        """Give back what no worker has begun with."""
        self._give_back([*self.backlog.take_back(self.by), *self.payloads.take_back()])

    def return_stale(self) -> None:
        """Let go of jobs that no worker has had time for, and don't take them again at once."""
        if stale := self.backlog.take_back_stale(self.by):
            self.demand.ahead.none_began(STALE_S)
            self._give_back([*stale, *self.payloads.take_back()])

    def forget_all(self) -> None:
        """Of a boot that is lost there is nothing to give back."""
        self.backlog.take_back(self.by)
        self.payloads.take_back()

    def _give_back(self, jobs: Sequence[Held]) -> None:
        if jobs:
            self.report(ClaimsReturned(len(jobs)))
        for held in jobs:
            self.settle(Release(held.uid, held.step))
