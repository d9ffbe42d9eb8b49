"""What is there now: an engine's status, and of the namespace what the sampler saw.

Nothing old is told: while Redis is away, and on all engines but the one whose turn it is to
count, the families of the namespace have no samples.
"""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

import attrs
from prometheus_client.core import Metric as Family

from trioq.core.config import Config
from trioq.core.schedules.tick import Clock
from trioq.engine.handlers import abandoned_threads
from trioq.engine.status import Status
from trioq.lines import dropped
from trioq.observe.metrics import catalogue as c
from trioq.observe.metrics.labels import NAMED, Allowed, FirstCome
from trioq.observe.metrics.series import Labels, counter, gauge, info
from trioq.store.inspect import Glance, Sample, Waiting
from trioq.store.inspect.breakers import SharedBreaker
from trioq.store.inspect.causes import RUNNABLE, Cause

BREAKER_STATES = ("closed", "open", "half_open")
LIMITER = ("producer",)


@attrs.define
class Gauges:
    """A part of :class:`~trioq.observe.metrics.Metrics`."""

    config: Config
    allowed: Allowed
    schedules: FirstCome
    status: Callable[[], Status | None]

    def collect(self) -> Iterator[Family]:
        """The families of this moment."""
        yield counter(c.LINES_DROPPED, {(): dropped()})
        yield info(c.BUILD, (version("trioq"), platform.python_version()))
        yield gauge(c.THREADS_LEFT, self._by_name(abandoned_threads()))
        status = self.status()
        if status is not None:
            yield from self._engine(status)
            seen = status.fresh
            yield from self._redis(seen.glance if seen else None)
            yield from self._namespace(seen.sample if seen else None)

    def _engine(self, status: Status) -> Iterator[Family]:
        roles = ",".join(sorted(status.roles))
        yield info(c.ENGINE, (status.engine or status.name, self.config.namespace, roles))
        plain = {
            c.WORKERS: status.workers,
            c.RUNNING: status.running,
            c.WAITING: status.waiting,
            c.DRAINING: status.draining,
            c.LAG: status.lag_s,
        }
        for metric, value in plain.items():
            yield gauge(metric, {(): float(value)})
        lag_s = status.asyncio_lag_s
        yield gauge(c.ASYNCIO_LAG, {} if lag_s is None else {(): lag_s})
        is_registered = float(status.engine is not None)
        yield gauge(c.REGISTERED, {(): is_registered} if "worker" in status.roles else {})
        yield gauge(c.STANDSTILL, {(): status.fresh.stuck_s} if status.fresh else {})
        yield gauge(c.ABANDONED, self._by_name(status.abandoned))
        yield gauge(c.BREAKER, self._breakers(status))

    def _by_name(self, counts: Mapping[str, int]) -> dict[Labels, float]:
        named: dict[Labels, float] = defaultdict(float)
        for name, count in counts.items():
            named[(self.allowed.name(name),)] += count
        return named

    def _breakers(self, status: Status) -> dict[Labels, float]:
        return {
            (name, state): float(state == current)
            for name, current in status.breakers.items()
            if name in self.allowed.names and name not in status.shared
            for state in BREAKER_STATES
        }

    def _redis(self, glance: Glance | None) -> Iterator[Family]:
        yield gauge(c.REDIS_UP, {(): float(glance is not None)})
        yield gauge(c.REDIS_LATENCY, {(): glance.took_s} if glance else {})
        yield gauge(c.CLOCK_OFFSET, {(): glance.clock_offset_s} if glance else {})
        used = glance.permits_used if glance else None
        yield gauge(c.LIMITER_USED, {} if used is None else {LIMITER: used})
        limiter = self.config.limiter
        yield gauge(c.LIMITER_BURST, {LIMITER: limiter.burst} if limiter.rate > 0 else {})

    def _waiting(self, waiting: Mapping[tuple[str, Cause], Waiting]) -> Iterator[Family]:
        jobs: dict[Labels, float] = defaultdict(float)
        oldest: dict[Labels, float] = {}
        runnable: dict[Labels, float] = {}
        for (name, cause), there in waiting.items():
            queue = self.allowed.queue(name)
            jobs[queue, cause] += there.jobs
            if there.oldest_ms is not None:
                age_s = there.oldest_ms / 1000
                oldest[queue, cause] = max(oldest.get((queue, cause), 0.0), age_s)
            if cause in RUNNABLE:
                age_s = (there.oldest_ms or 0) / 1000
                runnable[queue,] = max(runnable.get((queue,), 0.0), age_s)
        yield gauge(c.RUNNABLE, runnable)
        yield gauge(c.WAITERS, jobs)
        yield gauge(c.OLDEST_WAITER, oldest)

    def _next_ticks(self, ticks: Clock) -> dict[Labels, float]:
        comes: dict[Labels, float] = {}
        for name, tick_ms in ticks.ticks:
            in_s, label = (tick_ms - ticks.now_ms) / 1000, (self.schedules(name),)
            comes[label] = min(in_s, comes.get(label, in_s))
        return comes

    def _namespace(self, sample: Sample | None) -> Iterator[Family]:
        jobs: dict[Labels, float] = defaultdict(float)
        oldest: dict[Labels, float] = {}
        paused: dict[Labels, float] = {}
        served: dict[Labels, float] = {}
        in_line: dict[Labels, float] = defaultdict(float)
        plain: dict[c.Metric, float] = {}
        counters: dict[str, int] | None = None
        shared: dict[str, SharedBreaker] = {}
        if sample is not None:
            for name, queue in sample.stats.queues.items():
                label = (self.allowed.queue(name),)
                for state in ("scheduled", "ready", "limited", "parked", "running"):
                    jobs[(*label, state)] += getattr(queue, state)
                paused[label] = max(paused.get(label, 0.0), float(queue.paused))
                in_line[label] += queue.in_line
                served[label] = min(served.get(label, 1.0), float(queue.served))
            for name, age_ms in sample.oldest_ready_ms.items():
                label = (self.allowed.queue(name),)
                oldest[label] = max(oldest.get(label, 0.0), age_ms / 1000)
            plain = {
                c.DEAD_JOBS: sample.stats.dead,
                c.STRAY_JOBS: sample.stats.strays,
                c.ENGINES: len(sample.stats.engines),
            }
            counters = dict(sample.stats.counters)
            shared = dict(sorted(sample.breakers.items())[:NAMED])
        yield gauge(c.QUEUE_JOBS, jobs)
        yield gauge(c.OLDEST, oldest)
        yield from self._waiting({} if sample is None else sample.waiting)
        yield gauge(c.IN_LINE, in_line)
        yield gauge(c.PAUSED, paused)
        yield gauge(c.SERVED, served)
        yield gauge(
            c.SHARED_BREAKER,
            {
                (name, state): float(state == each.state)
                for name, each in shared.items()
                for state in BREAKER_STATES
            },
        )
        changes: dict[Labels, float] = {(name,): each.turn for name, each in shared.items()}
        yield counter(c.SHARED_CHANGES, changes)
        yield gauge(c.NEXT_TICK, {} if sample is None else self._next_ticks(sample.ticks))
        for metric in (c.DEAD_JOBS, c.STRAY_JOBS, c.ENGINES):
            yield gauge(metric, {(): plain[metric]} if metric in plain else {})
        for name, metric in c.STORE_COUNTERS.items():
            yield counter(metric, {} if counters is None else {(): counters.get(name, 0)})
