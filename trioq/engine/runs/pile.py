"""Jobs for threads, which take one after the other from it, and put what is done beside it.

The loop puts jobs in, also while threads are at it, and takes back what none has begun.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

import attrs

from trioq.engine.claim import Claimer, Held, Token
from trioq.engine.runs.done import Done
from trioq.engine.runs.plan import Planned

if TYPE_CHECKING:
    from trioq.engine.runs.hand import Hand


@attrs.define(eq=False)
class Pile:
    """One boot's, for a slice of time: a :class:`~trioq.engine.backlog.Lent`.

    Args:
      by: Who has claimed all that is in it.
      jobs: What it begins with.
      is_shared: Whether several threads take from it, after which the loop looks now and then:
        they don't tell it what is done.
    """

    by: Claimer
    jobs: deque[Planned]
    is_shared: bool = False
    lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """By it threads and the loop agree on who has which job, and whether one that runs is done."""
    done: list[Done] = attrs.field(factory=list[Done], init=False)
    """What is simply done, in order, until the loop takes it."""
    hands: list[Hand] = attrs.field(factory=list["Hand"], init=False)
    """The threads that somebody waits for; the loop's."""
    takers: int = attrs.field(default=0, init=False)
    """How many threads take more from it, or will."""

    def add(self, jobs: Iterable[Planned]) -> bool:
        """Put more into it; False: no thread takes any more."""
        with self.lock:
            if self.takers:
                self.jobs.extend(jobs)
            return self.takers > 0

    def take_first(self) -> Held | None:
        """Take out the one that is next; None: there is none."""
        with self.lock:
            return self.jobs.popleft().held if self.jobs else None

    def take_back(self) -> list[Held]:
        """Take out what no thread has begun, in order."""
        with self.lock:
            jobs = [planned.held for planned in self.jobs]
            self.jobs.clear()
            return jobs

    def take_out(self, claims: Container[Token]) -> list[Held]:
        """Take out those of these claims that no thread has begun."""
        with self.lock:
            there = [planned.held for planned in self.jobs]
            left = [p for p in self.jobs if (p.held.uid, p.held.step) not in claims]
            self.jobs.clear()
            self.jobs.extend(left)
            return [held for held in there if (held.uid, held.step) in claims]

    def take_done(self) -> list[Done]:
        """What is simply done since this was asked last, in order."""
        with self.lock:
            done, self.done = self.done, []
            return done

    def __len__(self) -> int:
        return len(self.jobs)
