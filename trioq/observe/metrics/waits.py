"""Of what a job's wait was made: being scheduled, being ready, a limit, a turn, a closed door, a
pause.

What is known: when a job was enqueued or due (its record says), when this engine saw its
queue or its name paused and its name's breaker open, when what failed here was to run again, and
whether a limit had refused it, or it came in the turn of its fair key (its claim says).
What isn't: when another engine scheduled it again. A run of which that would have to be known is
left out rather than guessed; what another engine parked or gave back counts as ready.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import attrs

from trioq.core.calls import WaitedFor
from trioq.core.events import JobStarted
from trioq.core.formats.pause import of_name
from trioq.core.job import Uid

#: Intervals kept for each queue and name, and jobs of which it is known when they are due.
INTERVALS = 50
JOBS = 10_000


Rest = Literal["ready"] | WaitedFor
"""What is left of a wait without its other parts; one of them for each run."""


class Wait(NamedTuple):
    """Seconds."""

    scheduled: float
    ready: float
    """Or what it was instead of that: :attr:`rest`."""
    breaker: float = 0.0
    paused: float = 0.0
    rest: Rest = "ready"


@attrs.define
class Intervals:
    """When something was so, by what it was about."""

    _closed: defaultdict[str, deque[tuple[float, float]]] = attrs.field(
        factory=lambda: defaultdict(lambda: deque(maxlen=INTERVALS)), init=False
    )
    _open: dict[str, float] = attrs.field(factory=dict[str, float], init=False)

    known: bool = attrs.field(default=False, init=False)
    """Whether it was ever so, of anything."""

    def begin(self, what: str, at: float) -> None:
        self.known = True
        self._open.setdefault(what, at)

    def end(self, what: str, at: float) -> None:
        begun = self._open.pop(what, None)
        if begun is not None:
            self._closed[what].append((begun, at))

    def overlap(self, since: float, until: float, *whats: str) -> float:
        """For how long of this time it was so of any of these."""
        parts, last = list[float](), since
        for begun, ended in sorted(interval for what in whats for interval in self._of(what)):
            end = min(ended, until)
            if end > (begin := max(begun, last)):
                parts.append(end - begin)
                last = end
        return math.fsum(parts)

    def _of(self, what: str) -> Iterator[tuple[float, float]]:
        yield from self._closed.get(what, ())
        if what in self._open:
            yield self._open[what], math.inf


@attrs.define
class Waits:
    """Told what happens, it says of what a wait was made. Times are seconds since 1970."""

    pauses: Intervals = attrs.field(factory=Intervals, init=False)
    """By queue; and of names, with an ``@`` before them."""
    doors: Intervals = attrs.field(factory=Intervals, init=False)
    """Open breakers, by name."""
    _due: dict[Uid, float] = attrs.field(factory=dict[Uid, float], init=False)
    """When jobs that ran here are to run again."""
    _waited_for: dict[Uid, WaitedFor] = attrs.field(factory=dict[Uid, "WaitedFor"], init=False)
    """Of what was claimed here and hasn't begun, what it waited for beside others."""

    def claimed(self, waits: Mapping[Uid, WaitedFor]) -> None:
        """Some jobs that are to begin had waited for these."""
        self._waited_for |= waits
        while len(self._waited_for) > JOBS:  # some were given back
            del self._waited_for[next(iter(self._waited_for))]

    def scheduled(self, uid: Uid, now: float, again_in_s: float) -> None:
        """A job that ran here is to run again."""
        if len(self._due) >= JOBS:
            del self._due[next(iter(self._due))]
        self._due[uid] = now + again_in_s

    @property
    def knows_more(self) -> bool:
        """Whether a job may have waited for anything but other jobs."""
        return bool(self._due or self._waited_for) or self.pauses.known or self.doors.known

    def only_ready(self, job: JobStarted, now: float) -> float | None:
        """Seconds, for most jobs: their first run, and no time but that in which they were ready.

        None: :meth:`of` knows more.
        """
        wanted_ms = job.wanted_ms
        if (
            job.attempt > 1
            or job.suspect
            or not wanted_ms
            or wanted_ms != job.enqueued_ms
            or self.knows_more
        ):
            return None
        waited_s = now - wanted_ms / 1000
        return waited_s if waited_s > 0 else 0.0

    def of(self, job: JobStarted, now: float) -> Wait | None:
        """What this job waited for since it was enqueued, or since its last run here.

        None: it can't be known.
        """
        wanted_ms = job.wanted_ms
        rest: Rest = self._waited_for.pop(job.uid, "ready") if self._waited_for else "ready"
        scheduled = 0.0
        since = self._due.pop(job.uid, None) if self._due else None
        if since is None:
            if job.attempt > 1 or job.suspect or not wanted_ms:
                return None
            since = wanted_ms / 1000
            scheduled = (wanted_ms - job.enqueued_ms) / 1000
        waited = now - since if now > since else 0.0
        if not (self.pauses.known or self.doors.known):
            return Wait(scheduled, waited, rest=rest)
        paused = min(waited, self.pauses.overlap(since, now, job.queue, of_name(job.name)))
        breaker = min(waited - paused, self.doors.overlap(since, now, job.name))
        return Wait(scheduled, waited - paused - breaker, breaker, paused, rest)
