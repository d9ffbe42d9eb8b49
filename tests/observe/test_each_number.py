"""Every counter and histogram ends at a number of its own, so that none stands for another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import attrs
import pytest

import trioq
from tests.observe.scraped import Scrape, becomes, configured, engine
from tests.scene import Scene
from tests.support import Server, job_wanted_since, new_job
from trioq.core import events as e
from trioq.core.config import Config
from trioq.core.config.sections import QueueConfig
from trioq.core.job import new_uid
from trioq.core.outcome import DeadReason, Error
from trioq.core.settlements import Park
from trioq.observe.metrics import Metrics
from trioq.observe.metrics import catalogue as c
from trioq.observe.metrics.catalogue import Metric
from trioq.observe.metrics.labels import OTHER

NO = Error("ValueError", "no")

FAILURES = (
    "exception", "timeout", "command", "runner", "retry_later", "gave_up", "bad_payload",
    "bad_handler", "undecodable",
)  # fmt: skip
DEAD = (
    "failures", "gave_up", "bad_payload", "bad_handler", "undecodable", "unknown_name",
    "worker_lost",
)  # fmt: skip
DOORS = ("breaker_open", "paused", "unfit_payload", "unknown_name")

AGES_S = {"low": 7200, "elsewhere": 3600}
"""Of the oldest that wait in these queues."""


def counted() -> Metrics:
    """One that is told each kind of event another number of times."""
    config = Config(queues=(QueueConfig("high"), QueueConfig("low")))
    return Metrics(config, {"job": "low"}, lambda: None)


def numbers(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """What isn't 0, by sample and the values of its labels; no buckets."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith(("_bucket", "_info", "_created"))
    }


def test_each_event_counts_where_it_belongs_and_nowhere_else() -> None:
    metrics = counted()
    who, ran = ("u", "job", "low"), 0.25
    told: list[tuple[int, e.Event]] = [
        (2, e.JobSucceeded(*who, 1, ran, 0)),
        (3, e.JobFailed(*who, 1, ran, NO, 0.0)),
        (4, e.JobFailed(*who, 1, ran, Error("timeout", "no", kind="timeout"), 0.0)),
        (5, e.JobFailed(*who, 1, ran, Error("exit 3", "no", kind="command"), 0.0)),
        (6, e.JobFailed(*who, 1, ran, Error("RetryLater", "no", kind="retry_later"), 0.0)),
        (7, e.JobDied(*who, 1, ran, 0, "failures", NO)),
        (8, e.JobDied(*who, 1, ran, 0, "gave_up", NO)),
        (9, e.JobDied(*who, 1, ran, 0, "bad_payload", NO)),
        (10, e.JobDied(*who, 1, ran, 0, "undecodable", NO)),
        (39, e.JobDied(*who, 1, ran, 0, "bad_handler", NO)),
        (11, e.JobSnoozed(*who, 1, 0.0)),
        (12, e.JobReleased(*who, 1)),
        (13, e.JobParked(*who, "breaker open")),
        (14, e.JobParked(*who, "unknown name")),
        (46, e.JobParked(*who, "paused")),
        (51, e.JobParked(*who, "unfit payload")),
        (40, e.ResultNotKept(*who, 1, "too_large", "")),
        (41, e.ResultNotKept(*who, 1, "unfit", "")),
        (15, e.SettlementRefused(*who, 1)),
        (16, e.ParkedExpired("low", "job", 17)),
        (18, e.EngineReaped("e", 19, ("u",), ("v", "w"))),
        (20, e.BootLost("e", "gone", 0, 0)),
        (1, e.BootLost("e", "count differs", 21, 22)),
        (23, e.LoopStalled(1.0, "here")),
        (24, e.BreakerChanged("api", "closed", "open", ("job",), shared=False)),
        (25, e.BreakerChanged("api", "open", "half_open", ("job",), shared=False)),
        (26, e.BreakerChanged("api", "half_open", "closed", ("job",), shared=False)),
        (45, e.BreakerChanged("all", "closed", "open", ("job",), shared=True)),
        (27, e.FilesEnqueued("low", 28)),
        (29, e.LimiterWaited("producer", 0.5)),
        (30, e.ScanFinished(0, 0, 0, 0.0)),
        (31, e.ScanFailed("no")),
        (32, e.FileSkipped("p", "special", "")),
        (33, e.ClaimsReturned(34)),
        (35, e.Claimed(36, 37, 0.125)),
        (42, e.JobCancelled(*who, 1, "no", "me", "waiting", ran)),
        (43, e.JobCancelled(*who, 1, "no", "me", "stopped", ran)),
        (44, e.JobCancelled(*who, 1, "no", "me", "ignored", ran)),
        (47, e.ScheduleTicked("nightly", (("missed", 9), ("fired", 500)), "u")),
        (48, e.ScheduleTicked("nightly", (("overlap", 7),))),
        (49, e.ScheduleTicked("nightly", (("paused", 7),), left_out=3)),
        (50, e.ScheduleTicked("nightly", (("known", 7),))),
    ]
    for count, event in told:
        for _ in range(count):
            metrics(event)
    for _ in range(38):
        for _ in range(3):  # it is told again while it lasts
            metrics(e.RedisAway("step", "no", 1.0, 2))
        metrics(e.RedisBack("step", 1.0))

    of = ("low", "job")
    failed = {"exception": 3 + 7, "timeout": 4, "command": 5, "retry_later": 6, "gave_up": 8}
    failed |= {"bad_payload": 9, "undecodable": 10, "bad_handler": 39}
    dead = {"failures": 7, "gave_up": 8, "bad_payload": 9, "undecodable": 10}
    dead |= {"bad_handler": 39, "unknown_name": 16 * 17}
    runs = 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 39
    again = 3 + 4 + 5 + 6 + 11
    expected: dict[tuple[str, tuple[str, ...]], float] = {
        ("trioq_jobs_completed_total", of): 2,
        ("trioq_jobs_retried_total", of): 3 + 4 + 5 + 6,
        ("trioq_jobs_snoozed_total", of): 11,
        **{("trioq_jobs_failed_total", (*of, why)): count for why, count in failed.items()},
        **{("trioq_jobs_dead_total", (*of, why)): count for why, count in dead.items()},
        ("trioq_jobs_dead_total", ("other", "other", "worker_lost")): 18,
        ("trioq_jobs_parked_total", (*of, "breaker_open")): 13,
        ("trioq_jobs_parked_total", (*of, "unknown_name")): 14,
        ("trioq_jobs_parked_total", (*of, "paused")): 46,
        ("trioq_jobs_parked_total", (*of, "unfit_payload")): 51,
        ("trioq_results_not_kept_total", (*of, "too_large")): 40,
        ("trioq_results_not_kept_total", (*of, "unfit")): 41,
        ("trioq_jobs_cancelled_total", (*of, "waiting")): 42,
        ("trioq_jobs_cancelled_total", (*of, "stopped")): 43,
        ("trioq_jobs_cancelled_total", (*of, "ignored")): 44,
        ("trioq_jobs_cancelled_total", ("other", "other", "stopped")): 18 * 2,
        ("trioq_jobs_released_total", ()): 12 + 33 * 34,
        ("trioq_settlements_refused_total", ()): 15 + 21,
        ("trioq_settlements_unknown_total", ()): 22,
        ("trioq_jobs_reaped_total", ()): 18 * 19,
        ("trioq_engines_reaped_total", ()): 18,
        ("trioq_boots_lost_total", ("gone",)): 20,
        ("trioq_boots_lost_total", ("count_differs",)): 1,
        ("trioq_redis_outages_total", ()): 38,
        ("trioq_loop_stalls_total", ()): 23,
        ("trioq_breaker_changes_total", ("job", "open")): 24,
        ("trioq_breaker_changes_total", ("job", "half_open")): 25,
        ("trioq_breaker_changes_total", ("job", "closed")): 26,
        ("trioq_jobs_produced_total", ("low",)): 27 * 28,
        ("trioq_limiter_hits_total", ("producer",)): 29,
        ("trioq_limiter_wait_seconds_total", ("producer",)): 14.5,
        ("trioq_scans_total", ()): 30,
        ("trioq_scans_failed_total", ()): 31,
        ("trioq_files_skipped_total", ("special",)): 32,
        ("trioq_schedule_ticks_total", ("nightly", "missed")): 47,
        ("trioq_schedule_ticks_total", ("nightly", "fired")): 47,
        ("trioq_schedule_ticks_total", ("nightly", "overlap")): 48,
        ("trioq_schedule_ticks_total", ("nightly", "paused")): 49 * 4,
        ("trioq_schedule_ticks_total", ("nightly", "known")): 50,
        ("trioq_schedule_lateness_seconds_count", ()): 47,
        ("trioq_schedule_lateness_seconds_sum", ()): 47 * 0.5,
        ("trioq_jobs_claimed_total", ()): 35 * 36,
        ("trioq_job_run_seconds_count", of): runs,
        ("trioq_job_run_seconds_sum", of): runs * ran,
        ("trioq_job_wait_seconds_count", ("low", "scheduled")): again,
        ("trioq_step_seconds_count", ()): 35,
        ("trioq_step_seconds_sum", ()): 35 * 0.125,
        ("trioq_step_claimed_jobs_count", ()): 35,
        ("trioq_step_claimed_jobs_sum", ()): 35 * 36,
        ("trioq_step_settled_jobs_count", ()): 35,
        ("trioq_step_settled_jobs_sum", ()): 35 * 37,
    }
    assert numbers(metrics) == expected


def test_every_counter_of_the_engine_is_among_them() -> None:
    """So a new one has to be given a number above."""
    told = Path(__file__).read_text()
    for metric in (*c.JOB_COUNTERS, *c.OTHER_COUNTERS, *c.JOB_TIMES, *c.OTHER_TIMES):
        ending = {"counter": "_total", "histogram": "_count"}[metric.kind]
        is_elsewhere = metric is c.END_TO_END  # it is told the time of day
        assert is_elsewhere or f'"{metric.name}{ending}"' in told, metric.name


# -- bounds of buckets -------------------------------------------------------------------------

#: An event whose value this histogram takes.
OBSERVES: dict[Metric, Callable[[float], e.Event]] = {
    c.RUN: lambda v: e.JobSucceeded("u", "job", "low", 1, v, 0),
    c.WAIT: lambda v: e.JobSnoozed("u", "job", "low", 1, v),
    c.STEP: lambda v: e.Claimed(1, 1, v),
    c.STEP_CLAIMED: lambda v: e.Claimed(int(v), 1, 0.0),
    c.LATENESS: lambda v: e.ScheduleTicked("s", (("fired", v * 1000),)),  # type: ignore[arg-type]
    c.STEP_SETTLED: lambda v: e.Claimed(1, int(v), 0.0),
}


def test_every_histogram_is_tried_at_its_bounds() -> None:
    times = {metric for metric in (*c.JOB_TIMES, *c.OTHER_TIMES) if metric is not c.END_TO_END}
    assert OBSERVES.keys() == times


@pytest.mark.parametrize("metric", OBSERVES, ids=lambda metric: metric.name)
def test_a_value_on_a_bound_lies_within_it_and_one_above_does_not(metric: Metric) -> None:
    for n, bound in enumerate(metric.buckets):
        metrics = counted()
        above = bound + 1 if metric.name.endswith("_jobs") else bound * 1.001
        for value in (bound, above):
            metrics(OBSERVES[metric](value))
        buckets = [value for _, value in _buckets(metrics, metric)]
        assert buckets[:n] == [0] * n
        assert buckets[n] == 1, f"{bound} isn't within {bound}"
        assert buckets[-1] == 2


def _buckets(metrics: Metrics, metric: Metric) -> Iterator[tuple[str, float]]:
    for family in metrics.collect():
        for sample in family.samples:
            labels = sample.labels
            if (
                sample.name == f"{metric.name}_bucket"
                and labels.get("queue", "low") == "low"
                and labels.get("job_name", "job") == "job"
                and labels.get("state") != "ready"
            ):
                yield labels["le"], sample.value


# -- the namespace -----------------------------------------------------------------------------


@pytest.mark.trio
async def test_the_namespaces_numbers_are_the_servers_each_its_own(
    server: Server, scene: Scene, tmp_path: Path
) -> None:
    keys = {name: 100 + n for n, name in enumerate(c.STORE_COUNTERS)}
    scene.enqueue(*(new_job("low", "parked") for _ in range(4)))
    claims = scene.driver.step(4)
    scene.driver.step(0, *(Park(claim.uid, 1, "low", "parked") for claim in claims))
    scene.enqueue(*(new_job("low") for _ in range(5)))
    assert len(scene.driver.step(5)) == 5
    scene.enqueue(*(new_job("low", delay_ms=600_000) for _ in range(2)))
    scene.enqueue(*(job_wanted_since(1000 * AGES_S["low"]) for _ in range(3)))
    scene.enqueue(job_wanted_since(1000 * AGES_S["elsewhere"], "elsewhere"))
    scene.store.pause(*scene.sender.next(), "low", True)
    for queue in ("low", "elsewhere", "nowhere"):
        waits = new_uid()
        server.call("ZADD", "{t}:enqueuers_line", 0, f"{queue}\0{1:016}\0{waits}")
        server.call("HSET", "{t}:enqueuers", waits, f"1 {10**14} 0 1 3 c {queue} ")
    server.call("SADD", "{t}:queues", "nowhere")
    server.call("RPUSH", "{t}:strays", *(f"stray{n}" for n in range(7)))
    server.call("ZADD", "{t}:limited", *(x for n in range(9) for x in (0, f"low\0one\0{n:032x}")))
    server.call("ZADD", "{t}:dead", *(x for n in range(6) for x in (n, f"{n:032x}")))
    server.call("HSET", "{t}:stats", *(x for item in keys.items() for x in item))
    # A shared one, and one of an engine's own that was reset.
    server.call(
        "HSET", "{t}:breakers", "api", "half_open 5 1 0 2 0 0\n", "own", "closed 1 1 0 1 0 0\n"
    )
    next_year_ms = round(time.time() + 365 * 86_400) * 1000
    scene.store.put_schedule(*scene.sender.next(), "yearly", b"{}", next_year_ms)
    config = configured(server, tmp_path)
    # Nobody beats for the other engine, which is to live on, nor are parked jobs to expire.
    worker = attrs.evolve(config.worker, lease_s=60.0, unknown_name_after_s=3600.0)
    config = attrs.evolve(config, worker=worker)
    async with engine(trioq.App(), config) as made:
        seen: Scrape = await becomes(made.http, 2.0, "trioq_engines")
    assert seen("trioq_schedule_next_seconds", schedule="yearly") == pytest.approx(
        365 * 86_400, abs=60
    )
    states = {"scheduled": 2, "ready": 3, "limited": 9, "parked": 4, "running": 5}
    for state, count in states.items():
        assert seen("trioq_queue_jobs", queue="low", state=state) == count, state
    for cause, count in {"scheduled": 2, "paused": 16, "ready": 0, "breaker": 0}.items():
        assert seen("trioq_queue_waiting_jobs", queue="low", cause=cause) == count, cause
    oldest = {
        "low": seen("trioq_queue_oldest_waiting_seconds", queue="low", cause="paused"),
        "elsewhere": seen("trioq_queue_oldest_waiting_seconds", queue=OTHER, cause="ready"),
    }
    assert oldest == {queue: pytest.approx(age_s, abs=60) for queue, age_s in AGES_S.items()}
    assert seen("trioq_queue_oldest_waiting_seconds", queue="low", cause="ready") is None
    assert seen("trioq_queue_oldest_runnable_seconds", queue=OTHER) == oldest["elsewhere"]
    assert seen("trioq_queue_oldest_runnable_seconds", queue="low") == 0
    in_line = [seen("trioq_queue_enqueues_in_line", queue=q) for q in ("low", "high", OTHER)]
    assert in_line == [1, 0, 2]
    told = {labels["state"]: value for labels, value in of_api(seen, "trioq_shared_breaker_state")}
    assert told == {"closed": 0, "open": 0, "half_open": 1}
    assert [value for _, value in of_api(seen, "trioq_shared_breaker_changes_total")] == [5]
    assert (seen("trioq_dead_jobs"), seen("trioq_stray_jobs")) == (6, 7)
    assert [seen("trioq_queue_paused", queue=q) for q in ("low", "high")] == [1, 0]
    for name, metric in c.STORE_COUNTERS.items():
        assert seen(f"{metric.name}_total") == keys[name], name


# -- lists -------------------------------------------------------------------------------------


def test_reasons_are_these() -> None:
    assert c.FAILURES == FAILURES
    assert c.DOORS == DOORS
    assert c.UNFIT == ("too_large", "unfit")
    assert c.DEATHS == DEAD
    assert get_args(DeadReason) == (*DEAD, "dropped")


def test_the_stores_counters_are_told_under_their_own_names() -> None:
    names = {name: metric.name for name, metric in c.STORE_COUNTERS.items()}
    assert names == {
        word: f"trioq_namespace_jobs_{'dead' if word == 'dead_letters' else word}"
        for word in (
            "enqueued", "claimed", "done", "retried", "dead_letters", "dropped", "cancelled",
            "released", "reaped", "parked", "revived", "purged",
        )
    }  # fmt: skip


def of_api(seen: Scrape, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """What is told of the one breaker that is shared."""
    for labels, value in seen.all(name).items():
        assert dict(labels)["breaker"] == "api"
        yield dict(labels), value
