"""A run: one claim, from when its handler is found to its end; and all runs of an engine.

Runs are found by the tokens of their claims, so that whoever has something to say to one
(cancel it, look at it) reaches that one and never its successor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import attrs
import trio

from trioq.core.board import Board
from trioq.core.breaker import Permit, Verdict
from trioq.core.calls import Ask
from trioq.core.deadline import Limit
from trioq.core.formats import summary
from trioq.core.formats.record import Stored, decode
from trioq.core.job import Job
from trioq.core.outcome import Failed, Interrupted, Outcome, Succeeded
from trioq.engine.claim import Claimer, Held, Token, Why
from trioq.engine.handlers import Handler
from trioq.engine.runs.plan import PlannedJob
from trioq.engine.tracer import RunSpan

INTERRUPTED = Interrupted()


class Patience(Protocol):
    """Waits for runs that were asked to end: :mod:`trioq.engine.runs.patience`."""

    @property
    def grace_s(self) -> float:
        """How long."""

    def begin(self, run: Run) -> None:
        """This one is, now."""


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
    patience: Patience
    _stored: Stored | None = None
    cancelled: Why | None = None
    """Why the engine cancelled it, if it did."""
    asked: Ask | None = None
    """Who wanted its job to be cancelled, if somebody did."""
    given_up: trio.Event | None = None
    """Set when it has ended after it was asked to, or nobody waits for that any more."""
    span: RunSpan | None = None
    job: Job | PlannedJob | None = None
    """What its handler is told, or what makes that when the handler asks."""
    outcome: Outcome = INTERRUPTED
    """How it ended; interrupted, until it has come to another end."""
    took_s: float = 0.0
    is_told: bool = False
    """Whether all that is to be said of its end is said, or will be, with others."""
    limit: Limit | None = None
    """How long it may take, if its job has a deadline."""
    is_abandoned: bool = False
    """Whether that was said because it didn't end when it was asked to. It may end some day."""

    @property
    def stored(self) -> Stored:
        """What is stored of its job; decoded when somebody asks."""
        if self._stored is None:
            self._stored = decode(self.claim.uid, self.claim.stored)
        return self._stored

    @property
    def board(self) -> Board | None:
        """On which its handler says how far it is; None: it has said nothing."""
        job = self.job.made if isinstance(self.job, PlannedJob) else self.job
        return None if job is None else job._board

    def cancel(self, why: Why) -> None:
        """End it soon; its job goes back, unless the handler returns all the same."""
        if self.cancelled is None:
            self.cancelled = why
            self.scope.cancel(why)

    def ask(self, ask: Ask) -> None:
        """End it soon; its job is cancelled, unless the handler returns all the same."""
        if self.asked is None:
            self.asked = ask
            self.given_up = trio.Event()
            self.patience.begin(self)
            self.scope.cancel(reason_of(ask))

    @property
    def grace_s(self) -> float:
        """A process group has so long between SIGTERM and SIGKILL."""
        return self.patience.grace_s

    @property
    def is_to_end(self) -> bool:
        """Whether its scope was cancelled."""
        return self.cancelled is not None or self.asked is not None

    @property
    def was_stopped(self) -> bool:
        """Whether it has come to no result, and that is what somebody wanted."""
        return self.asked is not None and not isinstance(self.outcome, Succeeded)

    @property
    def verdict(self) -> Verdict:
        """What its breaker counts: not what is the job's own fault, nor what the engine did."""
        if isinstance(self.outcome, Succeeded):
            return "success"
        is_failure = isinstance(self.outcome, Failed) and self.outcome.counts
        return "failure" if is_failure and not self.was_stopped else "ignored"


@attrs.define(eq=False)
class Runs:
    """The runs of one engine, whatever claimed them: :class:`~trioq.engine.claim.Running`."""

    _all: dict[Run, None] = attrs.field(factory=dict[Run, None], init=False)
    abandoned: dict[Run, None] = attrs.field(factory=dict[Run, None], init=False)
    """Those that didn't end when they were asked to. Their jobs are settled, and they go on."""
    _hands: Counter[Claimer] = attrs.field(factory=Counter["Claimer"], init=False)
    """Threads that run job after job, each of which is a run if it takes long."""
    _asked: dict[Claimer, dict[Token, Ask]] = attrs.field(
        factory=dict["Claimer", dict[Token, Ask]], init=False
    )
    """What was asked of claims that are no runs, but may turn out to be some."""
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
        if self._asked and (asked := self._asked.get(run.claim.by)) is not None:
            ask = asked.pop((run.claim.uid, run.claim.step), None)
            if ask is not None:
                run.ask(ask)

    def remove(self, run: Run) -> None:
        """It has ended. Its settlement follows without a checkpoint in between."""
        del self._all[run]
        if self._waiting:
            self._waiting.unpark_all()

    def abandon(self, run: Run) -> None:
        """It isn't waited for any more. Its settlement follows without a checkpoint in between."""
        self.abandoned[run] = None
        self.remove(run)

    def going_on(self) -> Mapping[str, int]:
        """How many haven't ended, abandoned ones too, by their handlers' names. May be asked in any
        thread."""
        return _by_name((*self, *tuple(self.abandoned)))

    def abandoned_by_name(self) -> Mapping[str, int]:
        """How many go on though they are abandoned. May be asked in any thread."""
        return _by_name(tuple(self.abandoned))

    def abandoned_since(self) -> float | None:
        """When the first of these was abandoned; None: there is none."""
        first = next(iter(tuple(self.abandoned)), None)
        return None if first is None else first.began + first.took_s

    def count(self, by: Claimer) -> int:
        """How many there are of this boot's claims."""
        return sum(run.claim.by is by for run in self) + self._hands[by]

    def boards(self, by: Claimer) -> Iterator[tuple[Held, Board]]:
        """Those of this boot's claims that have said how far they are, with what they say."""
        for run in self:
            if run.claim.by is by and (board := run.board) is not None:
                yield run.claim, board

    def hand_begins(self, by: Claimer) -> None:
        """A thread begins to run this boot's jobs one after the other."""
        if not self._hands[by]:
            self._asked.pop(by, None)  # whatever was in a thread then has ended, or is a run
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

    def ask(self, by: Claimer, asks: Mapping[Token, Ask]) -> None:
        """Tell the runs of these claims, and those that will turn out to be, that somebody wants
        them to end."""
        left = dict(asks)
        for run in self:
            if run.claim.by is by and (ask := left.pop((run.claim.uid, run.claim.step), None)):
                run.ask(ask)
        if left and self._hands[by]:
            self._asked.setdefault(by, {}).update(left)

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
        self._asked.pop(by, None)


def reason_of(ask: Ask) -> str | None:
    """What a handler is told of it."""
    told = summary.decode(ask.summary)
    return None if told is None else told.reason or None


def _by_name(runs: Iterable[Run]) -> Mapping[str, int]:
    return Counter(run.handler.name for run in runs)
