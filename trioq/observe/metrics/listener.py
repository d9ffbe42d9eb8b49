"""Events to counters and histograms. There are two events for each job, and those are quick."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import sub
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric as Family

from trioq.core import events as e
from trioq.core.config import Config
from trioq.core.events import Event
from trioq.core.formats.pause import of_name
from trioq.engine.status import Status
from trioq.observe.metrics import catalogue as c
from trioq.observe.metrics.gauges import Gauges
from trioq.observe.metrics.labels import OTHER, PAIRS, Allowed, FirstCome, why_failed
from trioq.observe.metrics.series import Counts, Histogram, Labels, counter, histogram
from trioq.observe.metrics.waits import Wait, Waits


class _OfJob:
    """What is counted for one queue and name."""

    __slots__ = (
        "cancelled", "completed", "dead", "end_to_end", "failed", "parked", "retried", "run",
        "snoozed", "unkept",
    )  # fmt: skip

    def __init__(self) -> None:
        self.completed = self.retried = self.snoozed = 0
        # From 0 on, because of the first count of a new series Prometheus sees no increase.
        self.failed = dict.fromkeys(c.FAILURES, 0)
        self.dead: dict[str, int] = dict.fromkeys(c.DEATHS, 0)
        self.parked = dict.fromkeys(c.DOORS, 0)
        self.unkept = dict.fromkeys(c.UNFIT, 0)
        self.cancelled: dict[str, int] = dict.fromkeys(e.HOW, 0)
        self.run = Histogram(c.RUN)
        self.end_to_end = Histogram(c.END_TO_END)

    def ended(self, took_s: float, wanted_ms: int) -> None:
        self.run.observe(took_s)
        if wanted_ms:
            since_s = time.time() - wanted_ms / 1000
            self.end_to_end.observe(since_s if since_s > 0 else 0.0)


class Metrics:
    """A listener for an engine's events, and the metrics made of them.

    ``registry`` holds them; register ``self`` with another one to have them there too.

    Args:
      queues: The handlers' names, and the queues their jobs usually come from. Only these
          names, and the configured queues, become labels.
      status: What can be seen of the engine at the time of a scrape; None: it doesn't run.
    """

    def __init__(
        self, config: Config, queues: Mapping[str, str], status: Callable[[], Status | None]
    ) -> None:
        self._allowed = Allowed(config.queue_names, queues)
        self._schedules = FirstCome()
        self._gauges = Gauges(config, self._allowed, self._schedules, status)
        self._waits = Waits()
        self._counts = Counts()
        self._jobs: dict[Labels, _OfJob] = {(OTHER, OTHER): _OfJob()}
        for name, queue in queues.items():
            self._of(queue, name)
        self._wait = {
            (self._allowed.queue(q), "ready"): Histogram(c.WAIT) for q in config.queue_names
        }
        self._step = Histogram(c.STEP)
        self._step_claimed = Histogram(c.STEP_CLAIMED)
        self._step_settled = Histogram(c.STEP_SETTLED)
        self._lateness = Histogram(c.LATENESS)
        self._on: dict[type[Event], Callable[[Any], None]] = {
            e.JobStarted: self._job_started,
            e.JobsStarted: self._jobs_started,
            e.JobWaited: lambda event: self._waits.claimed({event.uid: event.what}),
            e.JobsWaited: lambda event: self._waits.claimed(event.waits),
            e.JobSucceeded: self._job_succeeded,
            e.JobsSucceeded: self._jobs_succeeded,
            e.Claimed: self._claimed,
            e.ClaimsReturned: lambda event: self._counts.add(c.RELEASED, by=event.count),
            e.JobFailed: self._job_failed,
            e.JobDied: self._job_died,
            e.JobSnoozed: self._job_snoozed,
            e.JobReleased: self._job_released,
            e.JobParked: self._job_parked,
            e.ResultNotKept: self._result_not_kept,
            e.JobCancelled: self._job_cancelled,
            e.SettlementRefused: lambda event: self._counts.add(c.REFUSED),
            e.BootLost: self._boot_lost,
            e.EngineReaped: self._engine_reaped,
            e.ParkedExpired: self._parked_expired,
            e.RedisAway: self._redis_away,
            e.RedisBack: self._redis_back,
            e.LoopStalled: lambda event: self._counts.add(c.STALLS),
            e.BreakerChanged: self._breaker_changed,
            e.FilesEnqueued: self._files_enqueued,
            e.LimiterWaited: self._limiter_waited,
            e.ScanFinished: lambda event: self._counts.add(c.SCANS),
            e.ScanFailed: lambda event: self._counts.add(c.SCANS_FAILED),
            e.FileSkipped: lambda event: self._counts.add(c.FILES_SKIPPED, (event.reason,)),
            e.ScheduleTicked: self._schedule_ticked,
            e.QueuePaused: self._queue_paused,
            e.QueueResumed: lambda event: self._waits.pauses.end(event.queue, time.time()),
            e.NamePaused: self._name_paused,
            e.NameResumed: lambda event: self._waits.pauses.end(of_name(event.name), time.time()),
        }
        self._away = False
        if config.limiter.rate > 0 and config.producer is not None:
            self._limiter_waited(e.LimiterWaited("producer", 0.0), hits=0)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        """Who counts events of this type."""
        return self._on.get(kind)

    def __call__(self, event: Event) -> None:
        """Count this event."""
        on = self._on.get(type(event))
        if on is not None:
            on(event)

    def collect(self) -> Iterator[Family]:
        """All families, for prometheus-client. May be called in any thread."""
        yield from self._collect_jobs()
        for metric in c.OTHER_COUNTERS:
            yield self._counts.family(metric)
        yield histogram(c.WAIT, list(self._wait.items()))
        yield histogram(c.STEP, [((), self._step)])
        yield histogram(c.STEP_CLAIMED, [((), self._step_claimed)])
        yield histogram(c.STEP_SETTLED, [((), self._step_settled)])
        yield histogram(c.LATENESS, [((), self._lateness)])
        yield from self._gauges.collect()

    def _collect_jobs(self) -> Iterator[Family]:
        jobs = list(self._jobs.items())
        yield counter(c.COMPLETED, {labels: job.completed for labels, job in jobs})
        yield counter(c.RETRIED, {labels: job.retried for labels, job in jobs})
        yield counter(c.SNOOZED, {labels: job.snoozed for labels, job in jobs})
        by_reason: dict[c.Metric, Callable[[_OfJob], dict[str, int]]] = {
            c.FAILED: lambda job: job.failed,
            c.DEAD: lambda job: job.dead,
            c.PARKED: lambda job: job.parked,
            c.UNKEPT: lambda job: job.unkept,
            c.CANCELLED: lambda job: job.cancelled,
        }
        for metric, reasons in by_reason.items():
            yield counter(
                metric,
                {
                    (*labels, reason): count
                    for labels, job in jobs
                    for reason, count in reasons(job).copy().items()
                },
            )
        yield histogram(c.RUN, [(labels, job.run) for labels, job in jobs])
        yield histogram(c.END_TO_END, [(labels, job.end_to_end) for labels, job in jobs])

    # -- jobs --------------------------------------------------------------------------------

    def _of(self, queue: str, name: str) -> _OfJob:
        job = self._jobs.get((queue, name))
        return job if job is not None else self._make(queue, name)

    def _make(self, queue: str, name: str) -> _OfJob:
        """The numbers of a pair that has none under these very labels."""
        labels = (self._allowed.queue(queue), self._allowed.name(name))
        if labels not in self._jobs and len(self._jobs) >= PAIRS:
            labels = (OTHER, OTHER)
        return self._jobs.setdefault(labels, _OfJob())

    def _job_started(self, event: e.JobStarted) -> None:
        now = time.time()
        ready_s = self._waits.only_ready(event, now)
        if ready_s is not None:
            self._waited(event.queue, "ready", ready_s)
        elif (wait := self._waits.of(event, now)) is not None:
            self._waited_in_parts(event.queue, wait)

    def _jobs_started(self, event: e.JobsStarted) -> None:
        if self._waits.knows_more or not event.are_plain:
            for one in event.each():
                self._job_started(one)
            return
        waited_s = [at - ms / 1000 for _, _, _, _, ms, at, _ in event.runs]
        self._waits_of(event.queue, "ready").observe_many(_no_less_than_0(waited_s))

    def _waited_in_parts(self, queue: str, wait: Wait) -> None:
        self._waited(queue, wait.rest, wait.ready)
        if wait.scheduled > 0:
            self._waited(queue, "scheduled", wait.scheduled)
        if wait.breaker > 0:
            self._waited(queue, "breaker", wait.breaker)
        if wait.paused > 0:
            self._waited(queue, "paused", wait.paused)

    def _waited(self, queue: str, state: str, wait_s: float) -> None:
        self._waits_of(queue, state).observe(wait_s)

    def _waits_of(self, queue: str, state: str) -> Histogram:
        values = self._wait.get((queue, state))
        if values is None:
            values = self._wait.setdefault((self._allowed.queue(queue), state), Histogram(c.WAIT))
        return values

    def _job_succeeded(self, event: e.JobSucceeded) -> None:
        job = self._of(event.queue, event.name)
        job.completed += 1
        job.ended(event.took_s, event.wanted_ms)

    def _jobs_succeeded(self, event: e.JobsSucceeded) -> None:
        if self._waits.knows_more or not event.are_plain:
            for one in event.each():
                self(one)
            return
        _, _, _, _, wanted_ms, took_s, ended_at = zip(*event.runs, strict=True)
        since_s = [at - ms / 1000 for at, ms in zip(ended_at, wanted_ms, strict=True)]
        if not event.have_begun:
            waited_s = list(map(sub, since_s, took_s))
            self._waits_of(event.queue, "ready").observe_many(_no_less_than_0(waited_s))
        job = self._of(event.queue, event.name)
        job.completed += len(event.runs)
        job.run.observe_many(took_s)
        job.end_to_end.observe_many(_no_less_than_0(since_s))

    def _job_failed(self, event: e.JobFailed) -> None:
        job = self._of(event.queue, event.name)
        _count(job.failed, why_failed(event.error))
        job.retried += 1
        job.run.observe(event.took_s)
        self._again(event)

    def _job_died(self, event: e.JobDied) -> None:
        job = self._of(event.queue, event.name)
        _count(job.failed, why_failed(event.error, event.reason))
        _count(job.dead, event.reason)
        if event.reason != "undecodable":
            job.ended(event.took_s, event.wanted_ms)

    def _job_snoozed(self, event: e.JobSnoozed) -> None:
        self._of(event.queue, event.name).snoozed += 1
        self._again(event)

    def _again(self, event: e.JobFailed | e.JobSnoozed) -> None:
        self._waited(event.queue, "scheduled", event.again_in_s)
        self._waits.scheduled(event.uid, time.time(), event.again_in_s)

    def _job_released(self, event: e.JobReleased) -> None:
        self._counts.add(c.RELEASED)

    def _job_parked(self, event: e.JobParked) -> None:
        _count(self._of(event.queue, event.name).parked, event.why.replace(" ", "_"))

    def _job_cancelled(self, event: e.JobCancelled) -> None:
        _count(self._of(event.queue, event.name).cancelled, event.how)

    def _result_not_kept(self, event: e.ResultNotKept) -> None:
        _count(self._of(event.queue, event.name).unkept, event.why)

    # -- the rest ----------------------------------------------------------------------------

    def _claimed(self, event: e.Claimed) -> None:
        self._counts.add(c.CLAIMED, by=event.count)
        self._step.observe(event.took_s)
        self._step_claimed.observe(event.count)
        self._step_settled.observe(event.settled)

    def _boot_lost(self, event: e.BootLost) -> None:
        self._counts.add(c.BOOTS_LOST, (event.why.replace(" ", "_"),))
        self._counts.add(c.REFUSED, by=event.lost)
        self._counts.add(c.UNKNOWN, by=event.unknown)

    def _engine_reaped(self, event: e.EngineReaped) -> None:
        self._counts.add(c.ENGINES_REAPED)
        self._counts.add(c.REAPED, by=event.jobs)
        for _ in event.dead:
            _count(self._of(OTHER, OTHER).dead, "worker_lost")
        if event.cancelled:
            _count(self._of(OTHER, OTHER).cancelled, "stopped", by=len(event.cancelled))

    def _parked_expired(self, event: e.ParkedExpired) -> None:
        _count(self._of(event.queue, event.name).dead, "unknown_name", by=event.jobs)

    def _redis_away(self, event: e.RedisAway) -> None:
        if not self._away:  # it is told again and again while it lasts
            self._counts.add(c.OUTAGES)
        self._away = True

    def _redis_back(self, event: e.RedisBack) -> None:
        self._away = False

    def _breaker_changed(self, event: e.BreakerChanged) -> None:
        for job in event.jobs:
            if not event.shared:  # else each engine counted it
                self._counts.add(c.BREAKER_CHANGES, (self._allowed.name(job), event.after))
            if event.after == "closed":
                self._waits.doors.end(job, time.time())
            else:
                self._waits.doors.begin(job, time.time())

    def _files_enqueued(self, event: e.FilesEnqueued) -> None:
        self._counts.add(c.PRODUCED, (self._allowed.queue(event.queue),), by=event.count)

    def _limiter_waited(self, event: e.LimiterWaited, hits: int = 1) -> None:
        self._counts.add(c.LIMITER_HITS, (event.limiter,), by=hits)
        self._counts.add(c.LIMITER_WAIT, (event.limiter,), by=event.for_s)

    def _schedule_ticked(self, event: e.ScheduleTicked) -> None:
        schedule = self._schedules(event.schedule)
        for outcome in c.OUTCOMES:
            self._counts.add(c.TICKS, (schedule, outcome), by=0)
        self._counts.add(c.TICKS, (schedule, event.passed), by=event.left_out)
        for outcome, late_ms in event.outcomes:
            self._counts.add(c.TICKS, (schedule, outcome))
            if outcome == "fired":
                self._lateness.observe(late_ms / 1000)

    def _queue_paused(self, event: e.QueuePaused) -> None:
        self._waits.pauses.begin(event.queue, 0.0 if event.at_first_look else time.time())

    def _name_paused(self, event: e.NamePaused) -> None:
        self._waits.pauses.begin(of_name(event.name), 0.0 if event.at_first_look else time.time())


def _no_less_than_0(times_s: Sequence[float]) -> Sequence[float]:
    """As the clocks of two machines may have it."""
    return times_s if min(times_s) >= 0 else [max(0.0, time_s) for time_s in times_s]


def _count(counts: dict[str, int], reason: str, by: int = 1) -> None:
    counts[reason] = counts.get(reason, 0) + by
