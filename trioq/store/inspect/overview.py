"""All that a screen shows of a namespace at one moment: for ``top``, and for whoever draws a page.

A look is a few round trips, however much lies in the namespace.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from trioq.core.calls import Rate
from trioq.core.formats.history import Attempt
from trioq.core.formats.snapshot import Failure, Run, Shut, Snapshot
from trioq.core.job import Uid
from trioq.store.inspect.counting import stats
from trioq.store.inspect.counts import EngineStats, Stats
from trioq.store.inspect.dead import DeadFilter, dead_pages, dead_views, newest_dead
from trioq.store.inspect.doors import ENGINES, Door, explained
from trioq.store.inspect.sample import permits_used
from trioq.store.inspect.snapshot import snapshots, watch
from trioq.store.inspect.standing import Standing, standing
from trioq.store.inspect.views import JobView
from trioq.store.redis import RedisStore

#: Failures, and of the dead, that are shown at most.
FAILURES = 50


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
    at_ms: int = 0
    """When it told that: epoch, by its own clock."""
    busy: int = 0
    draining: bool = False
    lag_s: float = 0.0
    runs: tuple[Run, ...] = ()
    shut: tuple[Shut, ...] = ()
    """Its breakers that aren't closed."""
    done: Mapping[str, int] = attrs.field(factory=dict[str, int])
    failures: tuple[Failure, ...] = ()
    abandoned: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """Handler → how many go on though their jobs are settled."""
    supervisor: str = ""
    """Who started it; empty: nobody."""
    process: int = 0
    """Its number there."""

    def age_s(self, run: Run) -> float:
        """For how long a job had run when the engine told of it."""
        return max(0, self.at_ms - run.since_ms) / 1000

    @classmethod
    def of(cls, engine: EngineStats, told: Snapshot | None) -> EngineView:
        """From what is counted of an engine, and what it told."""
        info = engine.info
        base = cls(
            engine.id, engine.name, info.workers, engine.running, told is not None,
            supervisor=info.supervisor, process=info.process,
        )  # fmt: skip
        if told is None:
            return base
        return attrs.evolve(
            base,
            at_ms=told.at_ms,
            busy=told.busy,
            draining=told.draining,
            lag_s=told.lag_s,
            runs=told.running,
            shut=told.shut,
            done=told.done,
            failures=told.failures,
            abandoned=told.abandoned,
        )


@attrs.frozen
class Overview:
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
    rate: Rate | None = None
    """What the limiter allows."""
    doors: tuple[Door, ...] = ()
    """What jobs are parked behind, those with the most first."""
    schedules: Standing | None = None

    @property
    def breakers(self) -> dict[str, str]:
        """Those that aren't closed → their state, and on how many engines, if they don't share
        it."""
        shared: dict[str, Shut] = {}
        own: dict[str, Counter[str]] = {}
        for each in (shut for engine in self.engines for shut in engine.shut):
            if not each.shared:
                own.setdefault(each.name, Counter())[each.state] += 1
            elif each.name not in shared or shared[each.name].since_ms < each.since_ms:
                shared[each.name] = each
        found = {name: f"{each.state} on all" for name, each in shared.items()}
        for name, states in own.items():
            found[name] = ", ".join(f"{state} on {count}" for state, count in states.items())
        return {name: told.replace("_", "-") for name, told in found.items()}


def newest(failures: Iterable[Failure], count: int) -> tuple[Failure, ...]:
    """The newest first, each attempt once."""
    once = {(each.uid, each.attempt, each.then[:4]): each for each in failures}
    return tuple(sorted(once.values(), key=lambda each: -each.at_ms)[:count])


@attrs.define
class Overviews:
    """Looks again and again, and reads of a dead job only once what it died of."""

    store: RedisStore
    queues: tuple[str, ...]
    """The configured ones."""
    rate: Rate | None
    """What the limiter allows; None: there is no limit."""
    _dead: dict[Uid, Failure] = attrs.field(factory=dict[Uid, Failure], init=False)

    def take(self) -> Overview:
        """What is so now. Blocks."""
        watch(self.store)
        counted = stats(self.store, self.queues)
        told = snapshots(self.store, [engine.id for engine in counted.engines[:ENGINES]])
        engines = tuple(EngineView.of(each, told.get(each.id)) for each in counted.engines)
        failures = [failure for engine in engines for failure in engine.failures]
        return Overview(
            at=time.monotonic(),
            now_ms=time.time_ns() // 1_000_000,
            stats=counted,
            engines=engines,
            failures=newest([*self._newly_dead(), *failures], FAILURES),
            permits_used=permits_used(self.store, self.rate) if self.rate else None,
            rate=self.rate,
            doors=tuple(explained(counted, told)),
            schedules=standing(self.store),
        )

    def _newly_dead(self) -> list[Failure]:
        died = newest_dead(self.store, FAILURES)
        # Who was revived has died anew, and of something else.
        known = {u: each for u, each in self._dead.items() if died.get(u) == each.at_ms}
        pages = dead_pages(self.store, DeadFilter(uids=tuple(u for u in died if u not in known)))
        views = {v.uid: v for page in pages for v in dead_views(self.store, page.jobs)}
        self._dead = {
            uid: known.get(uid) or _failure(uid, at_ms, views) for uid, at_ms in died.items()
        }
        return list(self._dead.values())


def _failure(uid: Uid, at_ms: int, views: Mapping[Uid, JobView]) -> Failure:
    view = views.get(uid)
    if view is None:  # it was revived meanwhile
        return Failure(at_ms, uid, "", "", 0, "", "dead")
    name, queue = (view.record.name, view.record.queue) if view.record else ("?", "?")
    last = view.attempts[-1] if view.attempts else None
    number, said = 0, ""
    if isinstance(last, Attempt):
        number, said = last.number, f"{last.error.type}: {last.error.message}"
    return Failure(at_ms, uid, name, queue, number, said, f"dead: {view.reason or '?'}")
