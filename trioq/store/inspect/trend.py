"""What several overviews say together: rates, and how long queues were. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import attrs

from trioq.store.inspect.overview import EngineView, Overview

#: Of the lengths of queues.
SAMPLES = 120

#: A rate is the mean of so many seconds.
RATE_S = 5.0


@attrs.define
class Trend:
    """The last overviews."""

    _overviews: deque[Overview] = attrs.field(factory=deque[Overview], init=False)
    _ready: dict[str, deque[int]] = attrs.field(factory=dict[str, deque[int]], init=False)

    @property
    def now(self) -> Overview | None:
        """The last one."""
        return self._overviews[-1] if self._overviews else None

    def add(self, overview: Overview) -> None:
        self._overviews.append(overview)
        while len(self._overviews) > 2 and self._overviews[1].at <= overview.at - RATE_S:
            self._overviews.popleft()
        queues = overview.stats.queues
        for name, queue in queues.items():
            self._ready.setdefault(name, deque(maxlen=SAMPLES)).append(queue.ready)
        for name in self._ready.keys() - queues.keys():
            del self._ready[name]  # clients may invent names all day

    def ready(self, queue: str) -> list[int]:
        """How many jobs were ready, the oldest first."""
        return list(self._ready.get(queue, ()))

    def rate(self, counter: str) -> float | None:
        """How fast one of the server's counters grows, per second; None: not known yet."""
        if len(self._overviews) < 2:
            return None
        first, last = self._overviews[0], self._overviews[-1]
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
        for overview in list(self._overviews)[:-1] if engine.told else ():
            for then in overview.engines:
                if then.name == engine.name and then.told:
                    return overview.at, then.done
        return None
