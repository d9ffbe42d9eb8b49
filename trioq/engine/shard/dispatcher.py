"""Sends the steps: settlements go out, claims come in, many in one round trip.

One step is in flight; what finishes meanwhile goes with the next. So batches grow by
themselves when there is much to do. When there is little the step waits at the server for a
bell, and a job starts one hop after it. While Redis is away the same step is sent again and
again, unchanged and without waiting, and the outcomes wait.

When there is a step :mod:`trioq.core.pace` says, how much is claimed ahead of the workers
:mod:`trioq.core.ahead`, what is in a step :mod:`trioq.engine.shard.boot`. Here are the deeds::

    run:   next? ──▶ step ──▶ answered: claims to the backlog ──▶ next?
             │  ──▶ at bell: the same; poke, settle and stop_claiming end its wait
             └────▶ sleep until poked, or until something has ended
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import trio

from trioq.core.ahead import Ahead
from trioq.core.calls import BATCH_MAX, Admit, Beat, Gone, StepReply
from trioq.core.events import BootLost, Claimed, ClaimsReturned, Report, SettlementRefused
from trioq.core.formats.record import decode
from trioq.core.pace import Pace
from trioq.core.pacemaker import Pacemaker
from trioq.core.settlements import Release, Settlement
from trioq.engine.appetite import Appetite
from trioq.engine.backlog import STALE_S, Backlog
from trioq.engine.bridge import Caller
from trioq.engine.claim import Held
from trioq.engine.fetch import Fetch
from trioq.engine.outage import Outage
from trioq.engine.shard.bell import Bell
from trioq.engine.shard.boot import Boot
from trioq.engine.shard.payloads import Payloads
from trioq.engine.tracer import Tracer
from trioq.errors import RecordUnreadable, TrioqBug
from trioq.failpoints import failpoint

#: Of the loop: in the first a worker is called, in the next it runs.
TURNS = 2

Why = Literal["gone", "old", "count differs", "bug"]


class Dispatcher:
    """Drives one boot until it is told to finish or loses the boot; the claimer of its claims.

    Args:
      boot: A name that nobody has had.
      caller: The lane for steps; nobody else uses it.
      waker: On a lane of its own: ends the waits for bells.
      fetch: For the runs of what it claims.
      workers: How many jobs may run here at a time.
      appetite: How many of these the engine can do with now.
      order: Names the queues in the order of the next claim.
      admits: How many jobs of a name may be claimed from its parked list now.
      clock: The pacemaker's clock.
    """

    def __init__(
        self,
        *,
        boot: str,
        caller: Caller,
        waker: Caller,
        fetch: Fetch,
        backlog: Backlog,
        workers: int,
        appetite: Appetite,
        order: Callable[[], tuple[str, ...]],
        admits: Callable[[str], int],
        pacemaker: Pacemaker,
        clock: Callable[[], float],
        outage: Outage,
        report: Report,
        tracer: Tracer | None = None,
    ) -> None:
        self.boot = boot
        self.lost = trio.Event()
        self.parked: tuple[tuple[str, str], ...] = ()
        self.next_due = math.inf
        """When the next scheduled job is due, by trio's clock."""
        self.claimed = 0
        """How many jobs it has ever claimed."""
        self.pacemaker = pacemaker
        self.fetch = fetch
        self.payloads = Payloads(fetch, backlog)
        self._boot = Boot(boot, self)
        self._caller = caller
        self._backlog = backlog
        self._workers = workers
        self._appetite = appetite
        self._order = order
        self._admits = admits
        self._clock = clock
        self._outage = outage
        self._report = report
        self._tracer = tracer
        self._claiming = True
        self._has_brought = False
        """Whether the last step has, and the workers haven't had time to begin."""
        self._parked_version = -1
        self._look_ahead = Ahead(workers)
        self._pace = Pace()
        self._bell = Bell(caller, waker)
        self._awake = trio.Event()
        self._due_changed = trio.Event()

    # -- what the others ask and tell it ---------------------------------------------------

    @property
    def holds(self) -> bool:
        """Whether something is claimed and not settled."""
        return bool(self._boot.held)

    @property
    def idle(self) -> int:
        """How many workers have no job."""
        return self._workers - self._unsettled

    def poke(self) -> None:
        """Something may be claimable, or due: make a step soon."""
        self._ask(urgently=False)

    def _ask(self, *, urgently: bool) -> None:
        self._pace.ask(urgently=urgently)
        self._bell.end()
        self._awake.set()

    async def due_changed(self) -> None:
        """Wait until the next job may be due at another time."""
        await self._due_changed.wait()

    def beat_answered(self, reply: Beat | Gone) -> None:
        """What a sign of life was answered."""
        if isinstance(reply, Gone):
            self._ask(urgently=True)  # a step is told the same, and knows what is lost
        elif reply.parked_version != self._parked_version:
            self.poke()

    def may_start(self) -> bool:
        """Whether the lease is good at this moment."""
        end = self.pacemaker.lease_end
        return end is not None and self._clock() < end and not self.lost.is_set()

    def settle(self, settlement: Settlement, *, took_s: float | None = None) -> None:
        """Let the next step carry this; ``took_s`` teaches how long jobs run."""
        if took_s is not None:
            self._look_ahead.ran(took_s)
        self._carry((settlement,))

    def settle_many(self, settlements: Sequence[Settlement], *, took_s: float) -> None:
        """The same of several that ran one after the other, so long on the average."""
        self._look_ahead.ran_alone(took_s, len(settlements))
        self._carry(settlements)

    def _carry(self, settlements: Sequence[Settlement]) -> None:
        boot, pace, now = self._boot, self._pace, trio.current_time()
        is_first = not boot.outcomes
        if is_first:
            pace.ended(now)
        boot.settle(*settlements)
        if self._bell.is_waiting:
            self._bell.end(pace.wait_ends(outcomes=len(boot.outcomes), running=self._unsettled))
        elif not self._awake.is_set() and (is_first or not pace.may_linger(now, self._enough)):
            self._awake.set()

    def stop_claiming(self) -> None:
        """Claim nothing more; what nobody has started goes back at once."""
        self._claiming = False
        self._give_back([*self._backlog.take_back(self), *self.payloads.take_back()])
        self._bell.end()
        self._awake.set()

    async def wait_over(self) -> None:
        """Wait until no step waits for a bell: one that we have told so ends its wait soon."""
        await self._bell.over()

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
            case "at bell" if self._has_brought:
                # What it has brought begins first: that is what somebody waits for. And the end
                # of a tiny job goes with the next step before that waits for a bell.
                self._has_brought = False
                for _ in range(TURNS):
                    await trio.lowlevel.checkpoint()
            case "at bell":
                await self._step(at_bell=True)
            case look_again_at:
                with trio.move_on_at(look_again_at):
                    await self._awake.wait()
        self._give_back_stale()

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
        await self._outage.until_answered(
            "step", lambda: self._caller.call(self._caller.store.sign_off, self.boot)
        )
        return True

    def _next(self) -> Literal["step", "at bell"] | float:
        if self._boot.in_flight is not None:
            return "step"  # it was so when we were cancelled, and comes before anything else
        return self._pace.next(
            trio.current_time(),
            outcomes=len(self._boot.outcomes),
            enough=self._enough,
            room=self._room(),
            running=self._unsettled,
            next_due=self.next_due,
            can_end=self._bell.can_end,
        )

    @property
    def _enough(self) -> bool:
        """Whether the workers have enough to do for about a round trip."""
        # Half of what is ahead lasts for as long: who asked when all of it was used up would
        # have them wait.
        ahead = self._ahead()
        return ahead > 0 and len(self._backlog) + len(self.payloads) > ahead // 2

    def _ahead(self) -> int:
        return 0 if not self._claiming or self._appetite.is_short else self._look_ahead.jobs

    def _room(self) -> int:
        if not self._claiming or not self.pacemaker.may_claim(self._clock()):
            return 0
        return min(self._appetite.most() + self._ahead(), BATCH_MAX) - self._unsettled

    @property
    def _unsettled(self) -> int:
        return len(self._boot.held) - len(self._boot.outcomes)

    async def _step(self, *, at_bell: bool = False) -> None:
        boot = self._boot
        if boot.in_flight is None:
            want = max(0, min(self._room(), self._look_ahead.fits))
            boot.next_step(
                want=want,
                queues=self._order(),
                admits=self._open_doors(want),
                parked_version=self._parked_version,
            )
            self._pace.made()
        step = boot.in_flight
        assert step is not None
        sent_at = started = 0.0

        async def send() -> StepReply | Gone:
            nonlocal sent_at, started
            boot.sends += 1
            sent_at, started = self._clock(), trio.current_time()
            if at_bell and boot.sends == 1:
                return await self._bell.step(step)
            return await self._caller.call(self._caller.store.step, step)

        try:
            reply = await self._outage.until_answered("step", send)
        except TrioqBug:
            self._lose("bug")
            return
        # No await from here to the hand-over: a claim that is here can't be lost.
        now = trio.current_time()
        self._pace.answered(now)
        if isinstance(reply, Gone):
            self._lose(reply.word)
            return
        # Of a step that has waited, too: that its lease counts from before the wait is less than
        # it was granted, and meanwhile there were beats.
        self.pacemaker.step_answered(sent_at, self._clock())
        agrees = self._absorb(reply, took_s=0.0 if at_bell else now - started)
        failpoint("step", "used")
        if not agrees:
            self._lose("count differs")

    def _absorb(self, reply: StepReply, took_s: float) -> bool:
        """Hand on what an answer brings. False: the server counts otherwise than we do."""
        step = self._boot.in_flight
        assert step is not None
        settled = len(step.settlements)
        self._look_ahead.answered(step, reply)
        unsettled = self._unsettled
        absorbed = self._boot.absorb(reply)
        assert self._unsettled == unsettled - settled + len(absorbed.claims)
        self.claimed += len(absorbed.claims)
        # An answer that took half a lease to get here, in a process that was stopped, say, may
        # bring what is another's by now.
        if self._claiming and self.pacemaker.may_claim(self._clock()):
            big_bytes = self.payloads.put(absorbed.claims)
            self._look_ahead.claimed(big_bytes, len(absorbed.claims))
            self._has_brought = bool(absorbed.claims)
        else:
            self._give_back(absorbed.claims)
        if reply.parked is not None:
            self._parked_version, self.parked = reply.parked_version, reply.parked
        # There was more than we asked for. If it is ours to take, there is soon another step; and
        # if not, we don't listen to the bell, which others may need.
        if reply.left > 0 or (reply.parked is not None and self._open_doors(1)):
            self._pace.ask()
        self._note_due(reply.next_due_ms)
        if self._tracer is not None and reply.claims:
            self._tracer.claimed(self._boot.number, len(reply.claims), settled, took_s)
        if reply.claims or settled:
            self._report(Claimed(len(reply.claims), settled, took_s))
        for held in absorbed.refused:
            name, queue = _called(held)
            self._report(SettlementRefused(held.uid, name, queue, held.attempt))
        return absorbed.agrees

    def _note_due(self, next_due_ms: int | None) -> None:
        before = self.next_due
        self.next_due = (
            math.inf if next_due_ms is None else trio.current_time() + next_due_ms / 1000
        )
        # Most often nothing is scheduled, and nobody has to be woken to hear it again.
        if before < math.inf or self.next_due < math.inf:
            self._due_changed.set()
            self._due_changed = trio.Event()

    def _open_doors(self, want: int) -> tuple[Admit, ...]:
        doors = ((queue, name, min(want, self._admits(name))) for queue, name in self.parked)
        ours = set(self._order())
        return tuple(Admit(q, name, limit) for q, name, limit in doors if limit > 0 and q in ours)

    def _give_back(self, jobs: Sequence[Held]) -> None:
        if jobs:
            self._report(ClaimsReturned(len(jobs)))
        for held in jobs:
            self.settle(Release(held.uid, held.step))

    def _give_back_stale(self) -> None:
        """Let go of jobs that no worker has had time for, and don't take them again at once."""
        if stale := self._backlog.take_back_stale(self):
            self._look_ahead.none_began(STALE_S)
            self._give_back([*stale, *self.payloads.take_back()])

    def _lose(self, why: Why) -> None:
        """The boot is void: nothing of it is sent again but its sign-off."""
        lost, unknown = self._boot.lost_and_unknown()
        self._report(BootLost(self.boot, why, lost, unknown))
        self._claiming = False
        self.lost.set()
        self._backlog.take_back(self)
        self.payloads.take_back()


def _called(held: Held) -> tuple[str, str]:
    """A job's name and queue, as far as they can be read."""
    try:
        record = decode(held.uid, held.stored).record
    except RecordUnreadable:
        return "", ""
    return record.name, record.queue
