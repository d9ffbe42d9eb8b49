"""Sends the steps: settlements go out, claims come in, many in one round trip.

One step is in flight; what finishes meanwhile goes with the next. So batches grow by
themselves when there is much to do, and when there is little a job starts one hop after
the bell. While Redis is away the same step is sent again and again, unchanged, and the
outcomes wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import trio

from trioq.core.calls import BATCH_MAX, Admit, Gone, StepReply
from trioq.core.events import BootLost, Claimed, ClaimsReturned, Report, SettlementRefused
from trioq.core.pacemaker import Pacemaker
from trioq.core.settlements import Release, Settlement
from trioq.engine.backlog import STALE_S, Backlog
from trioq.engine.bridge import Caller
from trioq.engine.claim import Held
from trioq.engine.outage import Outage
from trioq.engine.shard.boot import Boot
from trioq.engine.tracer import Tracer
from trioq.errors import StoreBusy, StoreUnreachable, TrioqBug
from trioq.failpoints import failpoint

#: An idle engine looks for work this often even if no bell rings: a bell is a hint.
POLL_S = 1.0

#: How much work to hold ahead of the workers, and the longest mean run for which it pays.
AHEAD_S = 0.010
AHEAD_MAX = 512
TINY_S = 0.0025

#: Outcomes wait this long for company while the workers have enough to do.
LINGER_S = 0.003

Why = Literal["gone", "old", "count differs", "bug"]


class Dispatcher:
    """Drives one boot until it is told to finish or loses the boot.

    Args:
      caller: The lane for steps; nobody else uses it.
      order: Names the queues in the order of the next claim.
      admits: How many jobs of a name may be claimed from its parked list now.
      clock: The pacemaker's clock.
    """

    def __init__(
        self,
        boot: Boot,
        caller: Caller,
        backlog: Backlog,
        *,
        workers: int,
        order: Callable[[], tuple[str, ...]],
        admits: Callable[[str], int],
        pacemaker: Pacemaker,
        clock: Callable[[], float],
        outage: Outage,
        report: Report,
        tracer: Tracer | None = None,
    ) -> None:
        self.lost = trio.Event()
        self.parked: tuple[tuple[str, str], ...] = ()
        self.next_due = float("inf")
        """When the next scheduled job is due, by trio's clock."""
        self.due_changed: Callable[[], None] = lambda: None
        self.claimed = 0
        """How many jobs it has ever claimed."""
        self._boot = boot
        self._caller = caller
        self._backlog = backlog
        self._workers = workers
        self._order = order
        self._admits = admits
        self.pacemaker = pacemaker
        self._clock = clock
        self._outage = outage
        self._report = report
        self._tracer = tracer
        self._claiming = True
        self._hungry = True
        self._parked_version = -1
        self._mean_run_s = TINY_S
        self._last_step = 0.0
        self._first_outcome = 0.0
        self._awake = trio.Event()
        self._room_made = trio.Event()
        self._rung = False

    # -- what the others tell it -----------------------------------------------------------

    @property
    def engine(self) -> str:
        """The boot's name."""
        return self._boot.engine

    @property
    def idle(self) -> int:
        """How many workers have no job."""
        return self._workers - self._unsettled

    def poke(self) -> None:
        """Something may be claimable, or due: make a step soon."""
        self._hungry = True
        self._awake.set()

    def rung(self) -> None:
        """A bell rang, and we took its token: step even without room, to pass it on."""
        self._rung = True
        self.poke()

    async def wait_room(self) -> None:
        """Wait until only a bell could bring more: who listens without need deprives others.

        There is room for a job, and the last step, which has been answered, left none behind.
        """
        while self._boot.in_flight or self._hungry or self._room() <= 0:
            self._room_made = trio.Event()
            with trio.move_on_after(POLL_S):
                await self._room_made.wait()

    def parked_changed(self, version: int) -> None:
        """A beat brought the version of the parked index."""
        if version != self._parked_version:
            self.poke()

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        """Let the next step carry this; ``took_s`` teaches how long jobs run."""
        if took_s is not None:
            # A moving average, so that the look-ahead follows when jobs get longer.
            self._mean_run_s += 0.1 * (took_s - self._mean_run_s)
        is_first = not self._boot.outcomes
        if is_first:
            self._first_outcome = trio.current_time()
        self._boot.settle(settlement)
        self._room_made.set()
        if not self._awake.is_set() and (is_first or not self._may_linger()):
            self._awake.set()

    def stop_claiming(self) -> None:
        """Claim nothing more; what nobody has started goes back at once."""
        self._claiming = False
        self._give_back(self._backlog.close())
        self._awake.set()

    # -- its own life ----------------------------------------------------------------------

    async def run(self) -> None:
        """Make steps until the boot is lost.

        Cancellation: a step in flight stays in flight; :meth:`finish` sends it again.
        """
        while not self.lost.is_set():
            while not self._is_due():
                self._awake = trio.Event()
                with trio.move_on_at(self._look_again_at()):
                    await self._awake.wait()
                self._give_back_stale()
            await self._step()

    async def finish(self, patient: Callable[[], None]) -> bool:
        """Get the step in flight answered, settle the rest and sign off.

        Args:
          patient: Called before the first call to the server and after each that was answered.

        Returns:
          True: nothing is left for the reaper.

        Cancellation: gives up, and the reaper has what is left. Call it in a shielded scope
        with a deadline.
        """
        self._claiming = False
        patient()
        while not self.lost.is_set() and (self._boot.in_flight or self._boot.outcomes):
            await self._step()
            patient()
        # A lost boot signs off too: it may be that the server went back in time, and holds
        # claims for it again.
        while True:
            try:
                await self._caller.call(self._caller.store.sign_off, self._boot.engine)
                return True
            except (StoreUnreachable, StoreBusy) as error:
                await self._outage.failed("step", error)

    def _is_due(self) -> bool:
        now = trio.current_time()
        if self._boot.in_flight is not None or self._rung or now >= self._last_step + POLL_S:
            return True
        if self._boot.outcomes and not self._may_linger():
            return True
        return self._hungry and (self._room() > 0 or now >= self.next_due)

    def _look_again_at(self) -> float:
        at = self._last_step + POLL_S
        if self._boot.outcomes:
            at = min(at, self._first_outcome + LINGER_S)
        return at

    def _may_linger(self) -> bool:
        """Whether outcomes may wait for company: the workers have enough to do meanwhile."""
        ahead = self._ahead()
        return (
            ahead > 0
            and len(self._backlog) > ahead // 2
            and trio.current_time() < self._first_outcome + LINGER_S
        )

    def _ahead(self) -> int:
        if not self._claiming or self._mean_run_s >= TINY_S:
            return 0
        return min(AHEAD_MAX, int(self._workers * AHEAD_S / max(self._mean_run_s, 1e-5)))

    def _room(self) -> int:
        if not self._claiming or not self.pacemaker.may_claim(self._clock()):
            return 0
        return min(self._workers + self._ahead(), BATCH_MAX) - self._unsettled

    @property
    def _unsettled(self) -> int:
        return len(self._boot.held) - len(self._boot.outcomes)

    async def _step(self) -> None:
        boot = self._boot
        if boot.in_flight is None:
            want = max(0, self._room())
            boot.next_step(
                want=want,
                queues=self._order(),
                admits=self._open_doors(want),
                parked_version=self._parked_version,
            )
            self._hungry = self._rung = False
        step = boot.in_flight
        assert step is not None
        while True:
            boot.sends += 1
            sent_at, started = self._clock(), trio.current_time()
            try:
                reply = await self._caller.call(self._caller.store.step, step)
                break
            except (StoreUnreachable, StoreBusy) as error:
                await self._outage.failed("step", error)
            except TrioqBug:
                self._lose("bug")
                return
        # No await from here to the hand-over: a claim that is here can't be lost.
        self._outage.answered("step")
        self._last_step = trio.current_time()
        if isinstance(reply, Gone):
            self._lose(reply.word)
            return
        self.pacemaker.step_answered(sent_at, self._clock())
        agrees = self._absorb(reply, took_s=self._last_step - started)
        failpoint("step", "used")
        if not agrees:
            self._lose("count differs")

    def _absorb(self, reply: StepReply, took_s: float) -> bool:
        settled = len(self._boot.in_flight.settlements) if self._boot.in_flight else 0
        absorbed = self._boot.absorb(reply)
        self.claimed += len(absorbed.claims)
        # An answer that took half a lease to get here, in a process that was stopped, say, may
        # bring what is another's by now.
        if self._claiming and self.pacemaker.may_claim(self._clock()):
            self._backlog.put(absorbed.claims)
        else:
            self._give_back(absorbed.claims)
        self._hungry |= reply.left > 0
        if reply.parked is not None:
            self._parked_version, self.parked = reply.parked_version, reply.parked
            self._hungry |= bool(self._open_doors(1))
        self.next_due = (
            float("inf")
            if reply.next_due_ms is None
            else trio.current_time() + reply.next_due_ms / 1000
        )
        self.due_changed()
        self._room_made.set()
        if self._tracer is not None and reply.claims:
            self._tracer.claimed(self._boot.n, len(reply.claims), settled, took_s)
        if reply.claims or settled:
            self._report(Claimed(len(reply.claims), settled, took_s))
        for held in absorbed.refused:
            record = held.job.record if held.job else None
            name, queue = (record.name, record.queue) if record else ("", "")
            self._report(SettlementRefused(held.uid, name, queue, held.attempts + 1))
        return absorbed.agrees

    def _open_doors(self, want: int) -> tuple[Admit, ...]:
        doors = ((queue, name, min(want, self._admits(name))) for queue, name in self.parked)
        ours = set(self._order())
        return tuple(Admit(q, name, limit) for q, name, limit in doors if limit > 0 and q in ours)

    def _give_back(self, jobs: list[Held] | tuple[Held, ...]) -> None:
        if jobs:
            self._report(ClaimsReturned(len(jobs)))
        for held in jobs:
            self.settle(Release(held.uid, held.n))

    def _give_back_stale(self) -> None:
        """Let go of jobs that no worker has had time for, and don't take them again at once."""
        if stale := self._backlog.stale():
            # What the workers do takes long, though none of it has ended to tell us.
            self._mean_run_s = max(self._mean_run_s, STALE_S)
            self._give_back(stale)

    def _lose(self, why: Why) -> None:
        """The boot is void: nothing of it is sent again but its sign-off."""
        lost, unknown = self._boot.lost_and_unknown()
        self._report(BootLost(self._boot.engine, why, lost, unknown))
        self.lost.set()
        self._backlog.close()
