"""What a reaper has seen of other engines, and when that makes one dead.

An engine's counter that stands still for a whole lease, by the reaper's own monotonic clock,
belongs to a dead engine. That is the scheme of the DynamoDB lock client: no clock of anybody
else is compared with ours. A reaper that was itself cut off knows nothing and starts over.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import attrs

#: Looks, over which a counter has stood still, before its engine is dead.
MIN_POLLS = 3

#: A gap between two looks longer than so many intervals: forget everything.
MAX_GAP = 2

#: Each engine watches so many others by name; every so many polls it looks at all.
WATCHED = 3
FULL_LOOK_EVERY = 10


@attrs.define
class _Seen:
    """One engine's counter, since it was first seen to stand there."""

    counter: int
    since: float
    first_poll: int
    last_poll: int


@attrs.define
class Watch:
    """The observations of one reaper.

    Args:
      lease_s: A counter that stands still for so long belongs to a dead engine.
      interval_s: Between two looks.
    """

    lease_s: float
    interval_s: float
    _boots: dict[str, _Seen] = attrs.field(factory=dict[str, _Seen], init=False)
    _poll: int = attrs.field(default=0, init=False)
    _last: float | None = attrs.field(default=None, init=False)
    _span: Hashable | None = attrs.field(default=None, init=False)

    def saw(
        self, now: float, counters: Mapping[str, int], span: Hashable | None
    ) -> list[tuple[str, int]]:
        """Note one look; return the engines to reap with the counter that stood still.

        An engine that this look left out isn't reaped, and is forgotten if it isn't seen again
        up to the next full look. A counter only grows, so one that is the same at two looks
        stood still in between, also when the looks between them were at others.

        Args:
          now: When the look's answer was here.
          span: Changes when the observer was cut off in between, be it that it has another
              connection or that its own writes didn't go through; None while they don't.
        """
        gap = self._last is not None and now - self._last > MAX_GAP * self.interval_s
        if gap or span is None or span != self._span:
            self._boots.clear()
        self._last, self._span = now, span
        self._poll += 1
        for boot, counter in counters.items():
            seen = self._boots.get(boot)
            if seen is None or seen.counter != counter:
                self._boots[boot] = _Seen(counter, now, self._poll, self._poll)
            else:
                seen.last_poll = self._poll
        for boot in [e for e, s in self._boots.items() if self._is_lost(s)]:
            del self._boots[boot]
        return [item for item in counters.items() if self._is_dead(self._boots[item[0]], now)]

    def stood_s(self, boot: str, now: float) -> float:
        """For how long the counter of an engine that this look saw has stood still."""
        return now - self._boots[boot].since

    def forget(self, boot: str) -> None:
        """It was reaped, or turned out to live: start over with it."""
        self._boots.pop(boot, None)

    def _is_lost(self, seen: _Seen) -> bool:
        return self._poll - seen.last_poll > FULL_LOOK_EVERY

    def _is_dead(self, seen: _Seen, now: float) -> bool:
        polls = self._poll - seen.first_poll + 1
        return polls >= MIN_POLLS and now - seen.since >= self.lease_s


def next_three(me: str, engines: Iterable[str]) -> list[str]:
    """The engines that follow ``me`` in the ring of names; all others if they are few.

    So 500 engines cost what 3 do, and a dead one is always followed by somebody.
    """
    ring = sorted({*engines} - {me})
    before = sum(boot < me for boot in ring)
    return (ring[before:] + ring[:before])[:WATCHED]


def look(poll: int) -> bool:
    """Whether this poll, counted from 0, looks at all engines."""
    return poll % FULL_LOOK_EVERY == 0
