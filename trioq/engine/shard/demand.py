"""What a boot's next step claims: how many jobs, from which queues, through which doors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs

from trioq.core.ahead import Ahead
from trioq.core.calls import HOLD_MAX, Admit, Step, StepReply
from trioq.core.fairness import Shares
from trioq.core.formats.door import name_of
from trioq.core.formats.record import queue_of
from trioq.core.pacemaker import Pacemaker
from trioq.engine.appetite import Appetite
from trioq.engine.shard.boot import Boot


@attrs.define(eq=False, kw_only=True)
class Demand:
    """One boot's.

    Args:
      workers: How many jobs may run here at a time.
      appetite: How many of these the engine can do with now.
      queues: All that there are.
      shares: Whose turn it is among the engine's queues, and what each has had.
      order: Names those that are claimed from now, in that order.
      aside: How many of the jobs that are held need no worker yet; None: that is enough, and
          no more are to be claimed.
      admits: How many jobs of a name may be claimed from its parked lists now.
      opens: Whether it's for this engine to open a door of a queue, by what it is called.
      clock: The pacemaker's clock.
    """

    workers: int
    appetite: Appetite
    queues: tuple[str, ...]
    shares: Shares
    order: Callable[[], tuple[str, ...]]
    aside: Callable[[], int | None]
    admits: Callable[[str], int]
    opens: Callable[[str, str], bool]
    pacemaker: Pacemaker
    clock: Callable[[], float]
    parked: tuple[tuple[str, str], ...] = attrs.field(default=(), init=False)
    """All (queue, door) with parked jobs, as far as this engine has heard."""
    parked_version: int = attrs.field(default=-1, init=False)
    """Which list of them that is."""
    paused: frozenset[str] = attrs.field(default=frozenset(), init=False)
    """The names that nobody is to run, as far as this engine has heard."""
    ahead: Ahead = attrs.field(init=False)
    _is_over: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.ahead = Ahead(self.workers)

    def end(self) -> None:
        """Claim nothing from now on."""
        self._is_over = True

    @property
    def present(self) -> int:
        """How many workers there are that a job can have."""
        return self.workers - self.appetite.away

    @property
    def may_claim(self) -> bool:
        """Whether there would be time to run what is claimed now."""
        return not self._is_over and self.pacemaker.may_claim(self.clock())

    def room(self, unsettled: int) -> int:
        """How many more jobs to hold, beside so many; below 1 it is none."""
        if not self.may_claim:
            return 0
        if (aside := self.aside()) is None:
            return 0
        return min(self.appetite.most() + self._ahead, HOLD_MAX) - (unsettled - aside)

    def is_met(self, waiting: int) -> bool:
        """Whether the workers have enough to do for about a round trip.

        Args:
          waiting: How many are claimed that no worker has begun with.
        """
        # Half of what is ahead lasts for as long: who asked when all of it was used up would
        # have them wait.
        ahead = self._ahead
        return ahead > 0 and waiting > ahead // 2

    @property
    def _ahead(self) -> int:
        return 0 if self._is_over or self.appetite.is_short else self.ahead.jobs

    def next_step(self, boot: Boot) -> Step:
        """Make the boot's next step, which is then in flight."""
        return self._step(boot, boot.next_step, self._wanted(boot))

    def following_step(self, boot: Boot) -> Step:
        """Make the step after the one that is in flight."""
        before = boot.in_flight
        claims = before is not None and before.want > 0
        return self._step(boot, boot.following_step, 0 if claims else self._wanted(boot))

    def _wanted(self, boot: Boot) -> int:
        want = max(0, min(self.room(boot.unsettled), self.ahead.fits))
        most = self.shares.most()
        return want if most is None else min(want, most)

    def _step(self, boot: Boot, make: Callable[..., Step], want: int) -> Step:
        queues = self.order()
        if len(queues) < len(self.queues) and any(each.returns for each in boot.outcomes):
            # What goes back has to find its queue, and a step claims from all that it names.
            queues, want = self.queues, 0
        return make(
            want=want,
            queues=queues,
            admits=self._open_doors(want),
            parked_version=self.parked_version,
        )

    def answered(self, step: Step, reply: StepReply) -> None:
        """Learn from an answer what there is."""
        self.ahead.answered(step, reply)
        if self.shares.are_counted:
            # Of a record that can't be read nobody knows whose turn it was.
            claims = Counter(queue_of(claim.stored) or "" for claim in reply.claims)
            is_all = len(reply.claims) < step.want and reply.left == 0
            self.shares.claimed(step.queues, claims, is_all=is_all)
        if reply.parked is not None:
            self.parked_version, self.parked = reply.parked_version, reply.parked
            self.paused = frozenset(reply.paused)

    def leaves(self, reply: StepReply) -> bool:
        """Whether there was more than we asked for, and it is ours to take."""
        return reply.left > 0 or (reply.parked is not None and bool(self._open_doors(1)))

    def _open_doors(self, want: int) -> tuple[Admit, ...]:
        doors = (
            (queue, door, min(want, self.admits(name)))
            for queue, door in self.parked
            for name in [name_of(door)]
            if name not in self.paused and self.opens(queue, door)
        )
        ours = set(self.order())
        return tuple(Admit(q, door, limit) for q, door, limit in doors if limit > 0 and q in ours)
