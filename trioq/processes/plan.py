"""What a supervisor does next: pure, from what can be seen of its children.

It isn't told what has happened but what there is, and each time says one thing to do, so that
whatever happens meanwhile (a child dies, somebody wants more of them, all are to be replaced)
is just another state to go on from. The idea is that of Kubernetes' controllers.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Self

import attrs

from trioq.core.config import ServeConfig
from trioq.core.config.numbers import Growth

Phase = Literal["starting", "ready", "draining"]

#: So many ends in a minute, and it isn't bad luck.
ENDS = 5
MINUTE_S = 60.0

#: How long to wait before an ended child is replaced: doubled with each, up to the second.
FIRST_S, LONGEST_S = 0.5, 30.0


@attrs.frozen
class Seen:
    """One child, as it is seen."""

    number: int
    """Its own, from 1; never used again."""
    phase: Phase
    leaving: str = ""
    """Why it is to be replaced; empty: it isn't."""
    leads: bool = False
    """Whether it does what only one has to do: scan, and see when all is done."""


@attrs.frozen
class Start:
    """Start another."""

    leads: bool


@attrs.frozen
class Drain:
    """Let this one finish what it runs and end."""

    number: int
    why: str


def next_act(children: Sequence[Seen], wanted: int) -> Start | Drain | None:
    """What to do now; None: wait until something changes.

    One is started at a time. One that is to be replaced drains when another is ready in its
    place, and one at a time. There is always one that leads, or about to be.
    """
    start = Start(leads=not any(_stays(child) and child.leads for child in children))
    if any(child.phase == "starting" for child in children):
        return None
    ready = [child for child in children if child.phase == "ready"]
    if len(ready) < wanted:
        return start
    if leaving := [child for child in ready if child.leaving]:
        if any(child.leaving and child.phase == "draining" for child in children):
            return None
        if len(ready) == wanted > 0:
            return start
        return Drain(leaving[0].number, leaving[0].leaving)
    if len(ready) > wanted:
        spare = [child for child in ready if not child.leads] or ready
        return Drain(spare[-1].number, "fewer are wanted")
    return None


def _stays(child: Seen) -> bool:
    return child.phase != "draining" and not child.leaving


@attrs.define
class Restarts:
    """How soon a child that has ended is replaced."""

    _ends: deque[float] = attrs.field(factory=lambda: deque(maxlen=ENDS), init=False)
    _wait_s: float = attrs.field(default=FIRST_S, init=False)

    def ended(self, now: float, lived_s: float) -> float | None:
        """A child ended by itself, after so long.

        Returns:
          How many seconds to wait before the next start; None: it's no use.
        """
        self._ends.append(now)
        if len(self._ends) == ENDS and now - self._ends[0] < MINUTE_S:
            return None
        if lived_s >= MINUTE_S:
            self._wait_s = FIRST_S
        wait_s, self._wait_s = self._wait_s, min(LONGEST_S, 2 * self._wait_s)
        return wait_s


@attrs.frozen
class Usage:
    """What a child has used up."""

    jobs: int
    """How many it has run."""
    rss: int
    """Bytes of memory."""
    rss_at_start: int
    """Bytes when it was ready."""


@attrs.frozen
class Limits:
    """When a child is replaced by a fresh one; None: never for this."""

    max_jobs: int | None = None
    max_age_s: float | None = None
    max_rss: int | None = None
    """Bytes."""
    max_growth: int | None = None
    """Bytes above what it had when it was ready."""

    @classmethod
    def of(cls, config: ServeConfig) -> Self:
        """As configured."""
        rss = config.max_rss
        return cls(
            max_jobs=config.max_jobs,
            max_age_s=config.max_age_s,
            max_rss=rss if isinstance(rss, int) else None,
            max_growth=rss.bytes if isinstance(rss, Growth) else None,
        )

    def jittered(self, draw: Callable[[float, float], float] = random.uniform) -> Limits:
        """Those of one child: a fifth more or less, so that children started together aren't
        replaced together."""

        def whole(limit: int | None) -> int | None:
            return None if limit is None else max(1, round(limit * draw(0.8, 1.2)))

        return Limits(
            max_jobs=whole(self.max_jobs),
            max_age_s=None if self.max_age_s is None else self.max_age_s * draw(0.8, 1.2),
            max_rss=whole(self.max_rss),
            max_growth=whole(self.max_growth),
        )

    def passed(self, usage: Usage, age_s: float) -> str:
        """Which one a child has passed, in words; empty: none."""
        if self.max_jobs is not None and usage.jobs >= self.max_jobs:
            return f"it has run {usage.jobs} jobs"
        if self.max_age_s is not None and age_s >= self.max_age_s:
            return f"it is {age_s:.0f} s old"
        if self.max_rss is not None and usage.rss >= self.max_rss and not self.is_futile(usage):
            return f"it has {usage.rss >> 20} MiB of memory"
        grown = usage.rss - usage.rss_at_start
        if self.max_growth is not None and grown >= self.max_growth:
            return f"it has {grown >> 20} MiB of memory more than at its start"
        return ""

    def is_futile(self, usage: Usage) -> bool:
        """Whether a fresh child has as much memory as it may ever have: another wouldn't have
        less, and one would follow the other for ever."""
        return self.max_rss is not None and usage.rss_at_start >= self.max_rss
