"""A circuit breaker: closed, open, half-open; a value of its own for every decision.

The pattern is Nygard's (*Release It!*). Failures are counted over a sliding window of
fixed buckets, so that a record costs the same however busy the window is. In half-open one
probe runs. Every change begins a new generation, and a late result from an earlier one
decides nothing. A permit always comes back, if only because its lease ends: no state keeps a
breaker shut for ever.
"""

from __future__ import annotations

from typing import Literal

import attrs

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

    failure_threshold: float
    """The part of failures that opens it."""
    window_s: float
    cooldown_s: float
    min_samples: int
    """Fewer results than this prove nothing."""
    probe_lease_s: float | None = None
    """A probe that isn't heard of for so long gives its place to another; None: the window."""


@attrs.define(eq=False)
class Permit:
    """The right to run one job; goes back with :meth:`Breaker.record`, exactly once."""

    generation: int
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
    """Results of the last ``window_s`` seconds, in buckets."""

    window_s: float
    _good: list[int] = attrs.field(factory=lambda: [0] * BUCKETS, init=False)
    _bad: list[int] = attrs.field(factory=lambda: [0] * BUCKETS, init=False)
    _newest: int = attrs.field(default=-1, init=False)
    good: int = attrs.field(default=0, init=False)
    bad: int = attrs.field(default=0, init=False)

    def add(self, now: float, *, failed: bool) -> None:
        slot = int(now / self.window_s * BUCKETS)
        self._slide(slot)
        i = slot % BUCKETS
        if failed:
            self._bad[i] += 1
            self.bad += 1
        else:
            self._good[i] += 1
            self.good += 1

    def _slide(self, slot: int) -> None:
        """Let go of the buckets between the newest and this one: each only once."""
        for passed in range(max(self._newest + 1, slot - BUCKETS + 1), slot + 1):
            i = passed % BUCKETS
            self.good -= self._good[i]
            self.bad -= self._bad[i]
            self._good[i] = self._bad[i] = 0
        self._newest = max(self._newest, slot)


@attrs.define
class Breaker:
    """The breaker of one job name. Times are seconds of one monotonic clock."""

    settings: Settings
    _state: State = attrs.field(default="closed", init=False)
    _generation: int = attrs.field(default=0, init=False)
    _since: float = attrs.field(default=0.0, init=False)
    _window: _Window = attrs.field(init=False)
    _probe: Permit | None = attrs.field(default=None, init=False)
    _probe_ends: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._window = _Window(self.settings.window_s)

    def state(self, now: float) -> State:
        """The state at this time: an open breaker turns half-open by itself."""
        reopens = self.reopens_at(now)
        return "half_open" if reopens is not None and now >= reopens else self._state

    def reopens_at(self, now: float) -> float | None:
        """When an open breaker will admit a probe; None if it isn't open."""
        return self._since + self.settings.cooldown_s if self._state == "open" else None

    def poll(self, now: float) -> Change | None:
        """The change that time alone has made."""
        if self._state == "open" and self.state(now) == "half_open":
            return self._turn("half_open", now)
        return None

    def room(self, now: float) -> int:
        """How many permits there are now: a probe's, none, or as many as anyone wants."""
        match self.state(now):
            case "closed":
                return UNLIMITED
            case "open":
                return 0
            case "half_open":
                return 0 if self._probe is not None and now < self._probe_ends else 1

    def admit(self, now: float) -> Permit | None:
        """A permit, or None where no job of this name may run now."""
        self.poll(now)
        if self._state == "closed":
            return Permit(self._generation)
        if self.room(now) == 0:
            return None
        self._probe = Permit(self._generation, is_probe=True)
        lease_s = self.settings.probe_lease_s
        self._probe_ends = now + (self.settings.window_s if lease_s is None else lease_s)
        return self._probe

    def record(self, permit: Permit, verdict: Verdict, now: float) -> Change | None:
        """Give a permit back, with what came of it; returns the change that this made.

        Raises:
          TrioqBug: This permit came back before.
        """
        if permit.returned:
            raise TrioqBug("a breaker's permit was returned twice")
        permit.returned = True
        if permit.generation != self._generation:
            return None  # from before the last change: it decides nothing
        if permit.is_probe:
            if permit is not self._probe:
                return None  # its lease had ended, another probe runs
            self._probe = None
            if verdict == "ignored":
                return None
            return self._turn("closed" if verdict == "success" else "open", now)
        if verdict == "ignored":
            return None
        self._window.add(now, failed=verdict == "failure")
        return self._turn("open", now) if self._is_too_bad() else None

    def _is_too_bad(self) -> bool:
        total = self._window.good + self._window.bad
        enough = total >= self.settings.min_samples
        return enough and self._window.bad >= self.settings.failure_threshold * total

    def _turn(self, after: State, now: float) -> Change:
        change = Change(self._state, after, now)
        self._state, self._since, self._probe = after, now, None
        self._generation += 1
        # What was counted before belongs to the past: after a good probe, old failures mustn't
        # open the breaker at the next result.
        self._window = _Window(self.settings.window_s)
        return change
