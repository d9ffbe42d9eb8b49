"""What a reaper has seen of other engines, and when that makes one dead.

An engine's counter that stands still for a whole lease, by the reaper's own monotonic clock,
belongs to a dead engine. That is the scheme of the DynamoDB lock client: no clock of anybody
else is compared with ours. A reaper that was itself cut off knows nothing and starts over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

#: Looks at a counter before it may be called still.
MIN_POLLS = 3

#: A gap between two looks longer than so many intervals: forget everything.
MAX_GAP = 2

#: Each engine watches so many others by name; every so many polls it looks at all.
WATCHED = 3
FULL_LOOK_EVERY = 10


@attrs.define
class _Seen:
    counter: int
    since: float
    polls: int = 1


@attrs.define
class Watch:
    """The observations of one reaper."""

    lease_s: float
    interval_s: float
    _engines: dict[str, _Seen] = attrs.field(factory=dict[str, _Seen], init=False)
    _last: float | None = attrs.field(default=None, init=False)
    _connection: int | None = attrs.field(default=None, init=False)

    def saw(
        self, now: float, counters: Mapping[str, int], connection: int
    ) -> list[tuple[str, int]]:
        """Note one look; return the engines to reap with the counter that stood still.

        Args:
          connection: Which connection the look was made on: a new one may mean anything.
        """
        gap = self._last is not None and now - self._last > MAX_GAP * self.interval_s
        if gap or connection != self._connection:
            self._engines.clear()
        self._last, self._connection = now, connection
        for engine in set(self._engines) - set(counters):
            del self._engines[engine]
        for engine, counter in counters.items():
            seen = self._engines.get(engine)
            if seen is None or seen.counter != counter:
                self._engines[engine] = _Seen(counter, now)
            else:
                seen.polls += 1
        return [
            (engine, seen.counter)
            for engine, seen in self._engines.items()
            if seen.polls >= MIN_POLLS and now - seen.since >= self.lease_s
        ]

    def forget(self, engine: str) -> None:
        """It was reaped, or turned out to live: start over with it."""
        self._engines.pop(engine, None)


def next_three(me: str, others: Iterable[str]) -> list[str]:
    """The engines that follow ``me`` in the ring of names; all of them if they are few.

    So 500 engines cost what 3 do, and a dead one is always followed by somebody.
    """
    ring = sorted(others)
    after = [engine for engine in ring if engine > me]
    return (after + ring[: len(ring) - len(after)])[:WATCHED]


def look(poll: int) -> bool:
    """Whether this poll looks at all engines."""
    return poll % FULL_LOOK_EVERY == 0
