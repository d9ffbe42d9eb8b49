"""A run: one claim, from when its handler is found to its end; and all runs of an engine.

Runs are found by the tokens of their claims, so that whoever has something to say to one
(cancel it, look at it) reaches that one and never its successor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs
import trio

from trioq.core.breaker import Permit
from trioq.core.formats.record import Stored, decode
from trioq.core.outcome import Interrupted, Outcome
from trioq.engine.claim import Claimer, Held, Why
from trioq.engine.handlers import Handler
from trioq.engine.tracer import RunSpan

INTERRUPTED = Interrupted()


@attrs.define(eq=False)
class Run:
    """What is known of a run, as it comes to be known."""

    claim: Held
    handler: Handler
    permit: Permit
    """Of the name's breaker; comes back with how it went."""
    began: float
    """By trio's clock."""
    scope: trio.CancelScope
    """Around this run, and around nothing else while it lasts."""
    _stored: Stored | None = None
    cancelled: Why | None = None
    """Why the engine cancelled it, if it did."""
    span: RunSpan | None = None
    outcome: Outcome = INTERRUPTED
    """How it ended; interrupted, until it has come to another end."""
    took_s: float = 0.0
    is_told: bool = False
    """Whether all that is to be said of its end is said, or will be, with others."""

    @property
    def stored(self) -> Stored:
        """What is stored of its job; decoded when somebody asks."""
        if self._stored is None:
            self._stored = decode(self.claim.uid, self.claim.stored)
        return self._stored

    def cancel(self, why: Why) -> None:
        """End it soon; its job goes back, unless the handler returns all the same."""
        if self.cancelled is None:
            self.cancelled = why
            self.scope.cancel(why)


@attrs.define(eq=False)
class Runs:
    """The runs of one engine, whatever claimed them: :class:`~trioq.engine.claim.Running`."""

    _all: dict[Run, None] = attrs.field(factory=dict[Run, None], init=False)
    _hands: Counter[Claimer] = attrs.field(factory=Counter["Claimer"], init=False)
    """Threads that run job after job, each of which is a run if it takes long."""
    _untold: set[Claimer] = attrs.field(factory=set["Claimer"], init=False)
    """Boots that haven't been told yet of all that has ended."""
    _ending: dict[Claimer, Why] = attrs.field(factory=dict["Claimer", Why], init=False)
    """Boots whose runs were cancelled, until none is left."""
    _waiting: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    """Those who wait until there are fewer."""

    def __len__(self) -> int:
        return len(self._all) + self._hands.total()

    def __iter__(self) -> Iterator[Run]:
        """All of them, in the order in which they began."""
        return iter(tuple(self._all))

    def get(self, token: str) -> Run | None:
        """The run of this claim; None: it hasn't begun, or has ended."""
        return next((run for run in self._all if run.claim.token == token), None)

    def add(self, run: Run) -> None:
        """It begins."""
        self._all[run] = None
        if (why := self._ending.get(run.claim.by)) is not None:
            run.cancel(why)  # it began in a thread, before its boot was to end

    def remove(self, run: Run) -> None:
        """It has ended. Its settlement follows without a checkpoint in between."""
        del self._all[run]
        if self._waiting:
            self._waiting.unpark_all()

    def count(self, by: Claimer) -> int:
        """How many there are of this boot's claims."""
        return sum(run.claim.by is by for run in self) + self._hands[by]

    def hand_begins(self, by: Claimer) -> None:
        """A thread begins to run this boot's jobs one after the other."""
        self._hands[by] += 1

    def hand_ended(self, by: Claimer) -> None:
        """It has ended, and what it ran is settled or a run."""
        self._hands[by] -= 1
        if not self._hands[by]:
            del self._hands[by]
        self._waiting.unpark_all()

    def tells_later(self, by: Claimer) -> None:
        """Something of this boot has ended, which it will be told soon."""
        self._untold.add(by)

    def has_told(self, by: Claimer) -> None:
        """It was."""
        self._untold.discard(by)
        if self._waiting:
            self._waiting.unpark_all()

    def cancel(self, by: Claimer, why: Why) -> None:
        """Cancel the runs of this boot's claims, and those that will turn out to be."""
        self._ending[by] = why
        for run in self:
            if run.claim.by is by:
                run.cancel(why)

    def lease_ended(self, by: Claimer) -> None:
        """Cancel those of them that must not go on without a lease."""
        for run in self:
            if run.claim.by is by and run.handler.on_lease_loss == "cancel":
                run.cancel("lease ended")

    async def ended(self, by: Claimer) -> None:
        """Wait until there are none of this boot's claims, and it was told of all."""
        while self.count(by) or by in self._untold:
            await self._waiting.park()
        self._ending.pop(by, None)
