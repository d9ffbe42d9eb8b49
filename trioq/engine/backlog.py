"""Claimed jobs that wait in this process for a free worker.

Empty unless jobs are tiny: then a few milliseconds of work lie here, so that a worker
doesn't wait for a round trip. What isn't started within :data:`STALE_S` goes back, so
that a long job never sits on short ones that another engine could run.

As long as a worker runs without having to wait for anything, others couldn't do more than
it does. So one is called, and comes when the first has to wait, or has had its turn; who
has had its turn rests if another comes. With all of them awake, each turn of the loop
would be as many slices long as there are workers, for everything else in it.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Container, Iterable, Sequence
from typing import Protocol

import trio

from trioq.engine.claim import Claimer, Held, Token

#: When the next job has waited for a worker for so long, all are given back.
STALE_S = 0.5


class Lent(Protocol):
    """Claims of one boot that were taken out to be run, and can be taken back until they are."""

    @property
    def by(self) -> Claimer: ...

    def __len__(self) -> int: ...

    def take_back(self) -> list[Held]:
        """Take out what nobody has begun, in order."""

    def take_out(self, claims: Container[Token]) -> list[Held]:
        """Take out those of these claims that nobody has begun."""


class Backlog:
    """A queue between those who claim and the workers, all in one event loop.

    It lives as long as its engine: a boot that ends takes out what it has put in.
    """

    def __init__(self) -> None:
        self.jobs = deque[Held]()
        """The next one first. Who takes one out by hand says so afterwards: :meth:`taken`."""
        self.aside = deque[Held]()
        """What waits for something else than a worker, and comes back when that is there."""
        self.lent: list[Lent] = []
        """What is out of here, and has jobs that nobody has begun."""
        self._idle = trio.lowlevel.ParkingLot()
        self._called = False
        """One of the idle workers is on its way here."""
        self._closed = False
        self._few = -1
        """Somebody waits until there are no more than so many jobs."""
        self._are_few = trio.Event()

    def __len__(self) -> int:
        """How many jobs nobody has begun."""
        return len(self.jobs) + sum(map(len, self.lent))

    def put(self, jobs: Iterable[Held]) -> None:
        """Add jobs. Never waits."""
        assert not self._closed, "nobody is there to run them"
        self.jobs.extend(jobs)
        self._call()

    async def wait(self) -> bool:
        """Wait until there is a job, for which nobody else may have come yet. False: closed.

        A checkpoint only when there is none, so a worker of tiny jobs must make its own.
        """
        while not self.jobs:
            if self._closed:
                return False
            await self._wait()
        return True

    def taken(self) -> None:
        """Some were taken out, and what is left may want another worker."""
        if not self._called:
            self._call()
        if len(self.jobs) <= self._few:
            self._are_few.set()

    def put_back(self, jobs: Sequence[Held]) -> None:
        """Some that were taken out weren't begun: they are next."""
        self.jobs.extendleft(reversed(jobs))
        self.taken()

    async def rest(self) -> None:
        """A worker has had its turn: others may run now. It goes on when it is called."""
        if self._called:
            await self._wait()
        else:
            await trio.lowlevel.checkpoint()

    async def are_few(self, count: int) -> None:
        """Wait until there are no more than so many jobs. One task at a time."""
        while len(self.jobs) > count:
            self._few, self._are_few = count, trio.Event()
            try:
                await self._are_few.wait()
            finally:
                self._few = -1

    def take_back(self, by: Claimer) -> list[Held]:
        """Take out what this boot has claimed and nobody has started."""
        # What is aside of others comes back: what it was to follow may be among these.
        self.jobs.extend(self.aside)
        self.aside.clear()
        return self._take_back(by)

    def take_out(self, by: Claimer, claims: Container[Token]) -> list[Held]:
        """Take out those of these claims of a boot that nobody has started."""

        def is_meant(held: Held) -> bool:
            return held.by is by and (held.uid, held.step) in claims

        taken = [held for lent in self.lent if lent.by is by for held in lent.take_out(claims)]
        for jobs in (self.jobs, self.aside):
            there = list(jobs)
            taken += filter(is_meant, there)
            jobs.clear()  # they stay the ones that everybody knows
            jobs.extend(itertools.filterfalse(is_meant, there))
        self._are_few.set()  # whoever waits for that counts again
        return taken

    def take_back_stale(self, by: Claimer) -> list[Held]:
        """The same, but for what is aside, where the next one has waited for too long: for it, not
        for any that ends meanwhile. Not while a worker is on the way to it."""
        if not self.jobs or self._called or trio.current_time() - self.jobs[0].at < STALE_S:
            return []
        return self._take_back(by)

    def _take_back(self, by: Claimer) -> list[Held]:
        lent = [held for lent in self.lent if lent.by is by for held in lent.take_back()]
        jobs = [held for held in self.jobs if held.by is by]
        left = [held for held in self.jobs if held.by is not by]
        self.jobs.clear()  # it stays the one that everybody knows
        self.jobs.extend(left)
        self._call()
        self._are_few.set()
        return lent + jobs

    def close(self) -> None:
        """No worker gets another job, nor waits for one."""
        assert not self.jobs, "all boots have ended"
        assert not self.aside, "likewise"
        self._closed = True
        self._idle.unpark_all()

    def _call(self) -> None:
        """See to it that somebody comes for the next job."""
        if self.jobs and self._idle and not self._called:
            self._called = True
            self._idle.unpark()

    async def _wait(self) -> None:
        await self._idle.park()
        self._called = False
