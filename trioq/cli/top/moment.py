"""What is known at one moment, and what several of them say together. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

import attrs

from trioq.core.config import LimiterConfig
from trioq.core.formats.snapshot import Failure, Run, Snapshot
from trioq.store.inspect import EngineStats, Stats

#: Of the lengths of queues.
SAMPLES = 120

#: A rate is the mean of so many seconds.
RATE_S = 5.0


@attrs.frozen
class EngineView:
    """An engine: what it said of itself when it registered, and what it tells now."""

    id: str
    name: str
    workers: int
    held: int
    """Jobs that the server holds for it."""
    told: bool
    """Whether it has told anything lately; the rest is empty if not."""
    busy: int = 0
    draining: bool = False
    lag_s: float = 0.0
    runs: tuple[Run, ...] = ()
    breakers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    done: Mapping[str, int] = attrs.field(factory=dict[str, int])
    failures: tuple[Failure, ...] = ()

    @classmethod
    def of(cls, engine: EngineStats, told: Snapshot | None) -> EngineView:
        """From what is counted of an engine, and what it told."""
        info = engine.info
        base = cls(engine.id, engine.name, info.workers, engine.running, told is not None)
        if told is None:
            return base
        return attrs.evolve(
            base,
            busy=told.busy,
            draining=told.draining,
            lag_s=told.lag_s,
            runs=told.running,
            breakers=told.breakers,
            done=told.done,
            failures=told.failures,
        )


@attrs.frozen
class Moment:
    """All that one look brought."""

    at: float
    """By a monotonic clock."""
    now_ms: int
    """By ours."""
    stats: Stats
    engines: tuple[EngineView, ...]
    failures: tuple[Failure, ...]
    """The newest first."""
    permits_used: float | None = None
    """Of the limiter's burst; None: there is no limit."""
    limiter: LimiterConfig = attrs.field(factory=LimiterConfig)

    @property
    def breakers(self) -> dict[str, dict[str, int]]:
        """Job → state → on how many engines; only those that aren't closed."""
        found: dict[str, dict[str, int]] = {}
        for engine in self.engines:
            for name, state in engine.breakers.items():
                states = found.setdefault(name, {})
                states[state] = states.get(state, 0) + 1
        return found


def newest(failures: Iterable[Failure], count: int) -> tuple[Failure, ...]:
    """The newest first, each attempt once."""
    once = {(each.uid, each.attempt, each.then[:4]): each for each in failures}
    return tuple(sorted(once.values(), key=lambda each: -each.at_ms)[:count])


@attrs.define
class History:
    """The last moments."""

    _moments: deque[Moment] = attrs.field(factory=deque[Moment], init=False)
    _ready: dict[str, deque[int]] = attrs.field(factory=dict[str, deque[int]], init=False)

    @property
    def now(self) -> Moment | None:
        """The last one."""
        return self._moments[-1] if self._moments else None

    def add(self, moment: Moment) -> None:
        self._moments.append(moment)
        while len(self._moments) > 2 and self._moments[1].at <= moment.at - RATE_S:
            self._moments.popleft()
        for name, queue in moment.stats.queues.items():
            self._ready.setdefault(name, deque(maxlen=SAMPLES)).append(queue.ready)

    def ready(self, queue: str) -> list[int]:
        """How many jobs were ready, the oldest first."""
        return list(self._ready.get(queue, ()))

    def rate(self, counter: str) -> float | None:
        """How fast one of the server's counters grows, per second; None: not known yet."""
        if len(self._moments) < 2:
            return None
        first, last = self._moments[0], self._moments[-1]
        grown = last.stats.counters.get(counter, 0) - first.stats.counters.get(counter, 0)
        return max(0.0, grown / (last.at - first.at))

    def done_rate(self, queue: str) -> float | None:
        """Jobs of a queue that are done, per second, by what its engines tell."""
        last = self.now
        rates = []
        for engine in last.engines if last else ():
            before = self._before(engine)
            if last and before is not None:
                at, done = before
                grown = engine.done.get(queue, 0) - done.get(queue, 0)
                rates.append(max(0, grown) / (last.at - at))
        return sum(rates) if rates else None

    def _before(self, engine: EngineView) -> tuple[float, Mapping[str, int]] | None:
        """The first that this engine has told lately, and when."""
        for moment in list(self._moments)[:-1] if engine.told else ():
            for then in moment.engines:
                if then.name == engine.name and then.told:
                    return moment.at, then.done
        return None
