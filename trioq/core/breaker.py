"""A circuit breaker: closed, open, half-open; a value of its own for every decision.

The pattern is Nygard's (*Release It!*). Failures are counted over a sliding window of
fixed buckets, so that a record costs the same however busy the window is. Half-open begins with
one probe, and each good one makes room for one more, so that there are twice as many in each round
(TCP's slow start, RFC 5681): what has recovered isn't starved, and what hasn't isn't flooded. A
first probe that fails opens it again. Every change begins a new generation, and a late result from
an earlier one decides nothing. A probe's place always comes back, if only because its lease ends:
no state keeps a breaker shut for ever.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs
from attrs import validators as v

from trioq.errors import TrioqBug

State = Literal["closed", "open", "half_open"]
Verdict = Literal["success", "failure", "ignored"]

#: A closed breaker limits nothing.
UNLIMITED = 1 << 30

#: The window slides in steps of this part of it.
BUCKETS = 60


@attrs.frozen
class Settings:
    """When a breaker opens, and for how long."""

    failure_threshold: float = attrs.field(validator=[v.gt(0), v.le(1)])
    """The part of failures that opens it."""
    window_s: float = attrs.field(validator=v.gt(0))
    """Results are counted for this long."""
    cooldown_s: float = attrs.field(validator=v.ge(0))
    """How long it stays open before a probe."""
    min_samples: int = attrs.field(validator=v.ge(1))
    """Fewer results than this prove nothing; and so many probes prove that all is well again."""
    probe_lease_s: float = attrs.field(
        default=attrs.Factory(lambda self: self.window_s, takes_self=True), validator=v.gt(0)
    )
    """A probe that isn't heard of for so long gives its place to another."""


@attrs.define(eq=False)
class Permit:
    """The right to run one job; goes back with :meth:`Breaker.record`, exactly once."""

    generation: int
    """How often the breaker had changed when this was given."""
    is_probe: bool = False
    returned: bool = False


@attrs.frozen
class Change:
    """The breaker is in another state now."""

    before: State
    after: State
    at: float


@attrs.define
class _Window:
    """Results of the last ``window_s`` seconds, in a ring of buckets."""

    window_s: float
    total: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    _totals: list[int] = attrs.field(factory=lambda: [0] * BUCKETS, init=False)
    _failures: list[int] = attrs.field(factory=lambda: [0] * BUCKETS, init=False)
    # Invariant: total == sum(_totals) and failed == sum(_failures).
    _newest: int | None = attrs.field(default=None, init=False)

    def add(self, now: float, *, failed: bool, count: int = 1) -> None:
        slot = math.floor(now / self.window_s * BUCKETS)
        bucket = (slot if slot == self._newest else self._slide(slot)) % BUCKETS
        self._totals[bucket] += count
        self._failures[bucket] += failed
        self.total += count
        self.failed += failed

    def _slide(self, slot: int) -> int:
        """Let go of the buckets between the newest and this one; returns the newest now."""
        newest = slot if self._newest is None else self._newest
        for passed in range(max(newest + 1, slot - BUCKETS + 1), slot + 1):
            bucket = passed % BUCKETS
            self.total -= self._totals[bucket]
            self.failed -= self._failures[bucket]
            self._totals[bucket] = self._failures[bucket] = 0
        self._newest = max(newest, slot)
        return self._newest


@attrs.define
class Breaker:
    """The breaker of one job name. Times are seconds of one monotonic clock."""

    settings: Settings
    _state: State = attrs.field(default="closed", init=False)
    _generation: int = attrs.field(default=0, init=False)
    _since: float = attrs.field(default=0.0, init=False)
    _window: _Window = attrs.field(init=False)
    _probes: dict[Permit, float] = attrs.field(factory=dict[Permit, float], init=False)
    """Those that run in half-open, and when the lease of each ends."""
    _good: int = attrs.field(default=0, init=False)
    _bad: int = attrs.field(default=0, init=False)
    """What probes have found since it turned half-open."""
    found: tuple[int, int] = attrs.field(default=(0, 0), init=False)
    """Failures, and runs in all, that opened it last."""

    def __attrs_post_init__(self) -> None:
        self._window = _Window(self.settings.window_s)

    @property
    def last_state(self) -> State:
        """The state after the last change that was told."""
        return self._state

    @property
    def since(self) -> float:
        """When it changed last."""
        return self._since

    @property
    def generation(self) -> int:
        """How often it has changed."""
        return self._generation

    @property
    def is_calm(self) -> bool:
        """Whether it is closed, and no success can be what opens it."""
        return self._state == "closed" and self._window.failed == 0

    def state(self, now: float) -> State:
        """The state at this time: an open breaker turns half-open by itself."""
        if self._state != "open":
            return self._state
        return "half_open" if self.reopens_at(now) == now else "open"

    def reopens_at(self, now: float) -> float | None:
        """When an open breaker admits a probe, ``now`` at the earliest; None if it isn't open."""
        if self._state != "open":
            return None
        return max(now, self._since + self.settings.cooldown_s)

    def poll(self, now: float) -> Change | None:
        """The change that time alone has made, told once: an open breaker turns half-open."""
        after = self.state(now)
        return None if after == self._state else self._turn(after, now)

    def room(self, now: float) -> int:
        """How many permits there are now: some probes', none, or as many as anyone wants."""
        state = self.state(now)
        if state == "closed":
            return UNLIMITED
        if state == "open":
            return 0
        running = sum(now < ends for ends in self._probes.values())
        return max(0, 1 + self._good - running)

    def admit(self, now: float) -> Permit | None:
        """A permit, or None where no job of this name may run now.

        It polls too; who wants to be told of that change polls first.
        """
        if self._state == "closed":
            return Permit(self._generation)
        self.poll(now)
        if self.room(now) == 0:
            return None
        probe = Permit(self._generation, is_probe=True)
        self._probes[probe] = now + self.settings.probe_lease_s
        return probe

    def record(self, permit: Permit, verdict: Verdict, now: float) -> Change | None:
        """Give a permit back, with what came of it; returns the change that this made.

        ``ignored`` is for what says nothing about the job's name: it was cancelled, or the
        engine stopped.

        Raises:
          TrioqBug: This permit came back before.
        """
        if permit.returned:
            raise TrioqBug("a breaker's permit was returned twice")
        permit.returned = True
        if permit.generation != self._generation:
            return None  # from before the last change: it decides nothing
        self._probes.pop(permit, None)  # its place is free
        if verdict == "ignored":
            return None
        if permit.is_probe:
            # One whose lease has ended counts as well, though others may run: where jobs take
            # longer than the lease, every probe is late, and the breaker must close all the same.
            return self._probed(verdict == "success", now)
        self._window.add(now, failed=verdict == "failure")
        window = self._window
        return self._turn("open", now) if self._is_too_bad(window.failed, window.total) else None

    def succeeded(self, count: int, now: float) -> Change | None:
        """So many jobs, begun while it was closed, were good; returns the change that this made."""
        if self.is_calm:
            self._window.add(now, failed=False, count=count)
            return None
        for _ in range(count):
            # A success can be what makes enough samples of many failures.
            if self._state != "closed":
                return None
            if (change := self.record(Permit(self._generation), "success", now)) is not None:
                return change
        return None

    def reset(self, now: float) -> Change | None:
        """Close it, whatever was found; returns the change, if it wasn't closed."""
        return None if self._state == "closed" else self._turn("closed", now)

    def _probed(self, is_good: bool, now: float) -> Change | None:
        self._good += is_good
        self._bad += not is_good
        if not self._good or self._is_too_bad(self._bad, self._good + self._bad):
            return self._turn("open", now)
        is_proven = self._good + self._bad >= self.settings.min_samples
        return self._turn("closed", now) if is_proven else None

    def _is_too_bad(self, failed: int, total: int) -> bool:
        # Divided, not multiplied: 0.28 * 25 is more than 7, but 7 / 25 is 0.28.
        return (
            total >= self.settings.min_samples and failed / total >= self.settings.failure_threshold
        )

    def _turn(self, after: State, now: float) -> Change:
        if after == "open":
            window, probed = self._window, self._good + self._bad
            is_probed = self._state == "half_open"
            self.found = (self._bad, probed) if is_probed else (window.failed, window.total)
        change = Change(self._state, after, now)
        self._state, self._since = after, now
        self._generation += 1
        self._probes, self._good, self._bad = {}, 0, 0
        # What was counted before belongs to the past: after good probes, old failures mustn't
        # open the breaker at the next result.
        self._window = _Window(self.settings.window_s)
        return change
