"""Whatever jobs come by, the number of series has a bound."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from trioq.core.config import Config, QueueConfig
from trioq.core.events import (
    BreakerChanged,
    FilesEnqueued,
    JobDied,
    JobFailed,
    JobParked,
    JobStarted,
    JobSucceeded,
    ScheduleTicked,
)
from trioq.core.outcome import DeadReason, Error
from trioq.observe.metrics import Metrics
from trioq.observe.metrics.catalogue import FAILURES
from trioq.observe.metrics.labels import NAMED, OTHER, PAIRS, Allowed, why_failed

ERROR = Error("ValueError", "no")


def metrics(names: Iterable[str], queues: int = 2) -> Metrics:
    config = Config(queues=tuple(QueueConfig(f"q{n}") for n in range(queues)))
    return Metrics(config, dict.fromkeys(names, "q0"), lambda: None)


def series(made: Metrics) -> int:
    return sum(len(family.samples) for family in made.collect())


def live(made: Metrics, queue: str, name: str) -> None:
    """A job that does everything it can."""
    now_ms = time.time_ns() // 1_000_000
    made(JobStarted("u", name, queue, 1, now_ms, now_ms))
    made(JobSucceeded("u", name, queue, 1, 0.1, now_ms))
    made(JobFailed("u", name, queue, 1, 0.1, ERROR, 1.0))
    made(JobDied("u", name, queue, 1, 0.1, now_ms, "failures", ERROR))
    made(JobParked("u", name, queue, "unknown name"))
    made(BreakerChanged(name, "closed", "open", (name,), shared=False))
    made(FilesEnqueued(queue, 1))


def test_of_many_schedules_some_are_named() -> None:
    made = metrics(["job"])
    for n in range(3 * NAMED):
        made(ScheduleTicked(f"s{n}", (("fired", 1),)))
    ticks = {
        sample.labels["schedule"]: sample.value
        for family in made.collect()
        for sample in family.samples
        if sample.name == "trioq_schedule_ticks_total" and sample.labels["outcome"] == "fired"
    }
    assert ticks == {**{f"s{n}": 1 for n in range(NAMED)}, OTHER: 2 * NAMED}


def test_names_that_no_handler_has_and_queues_that_are_not_configured_are_other() -> None:
    made = metrics(["known"])
    live(made, "q0", "known")
    live(made, "strange", "stranger")
    before = series(made)
    for n in range(2000):
        live(made, f"queue-{n}", f"name-{n}")
    assert series(made) == before
    counted = made.registry.get_sample_value(
        "trioq_jobs_completed_total", {"queue": OTHER, "job_name": OTHER}
    )
    assert counted == 2001


def test_an_app_with_very_many_handlers_has_a_bound_too() -> None:
    names = [f"name-{n}" for n in range(1000)]
    made = metrics(names, queues=300)
    for n, name in enumerate(names):
        live(made, f"q{n % 300}", name)
        live(made, f"q{(n + 1) % 300}", name)
    labels = {
        (sample.labels["queue"], sample.labels["job_name"])
        for family in made.collect()
        for sample in family.samples
        if "job_name" in sample.labels and "queue" in sample.labels
    }
    assert len(labels) == PAIRS
    assert len({queue for queue, _ in labels}) <= NAMED + 1
    assert len({name for _, name in labels}) <= NAMED + 1
    total = sum(
        sample.value
        for family in made.collect()
        for sample in family.samples
        if sample.name == "trioq_jobs_completed_total"
    )
    assert total == 2000, "none is left out"


def test_the_first_of_many_names_are_named() -> None:
    allowed = Allowed(["q"], [f"n{i}" for i in range(NAMED + 1)])
    assert allowed.name("n0") == "n0"
    assert allowed.name(f"n{NAMED}") == OTHER


def test_every_series_of_a_handler_begins_at_zero() -> None:
    # Of a series that begins at 1 Prometheus sees no increase, and an alert would miss it.
    made = metrics(["known"])
    for name, more in {
        "trioq_jobs_failed_total": {"reason": "exception"},
        "trioq_jobs_dead_total": {"reason": "failures"},
        "trioq_jobs_parked_total": {"reason": "breaker_open"},
        "trioq_results_not_kept_total": {"reason": "unfit"},
        "trioq_jobs_completed_total": {},
        "trioq_jobs_retried_total": {},
        "trioq_job_run_seconds_count": {},
    }.items():
        labels = {"queue": "q0", "job_name": "known", **more}
        assert made.registry.get_sample_value(name, labels) == 0.0, name


@pytest.mark.parametrize(
    ("error", "dead", "reason"),
    [
        (Error("ValueError", "x"), None, "exception"),
        (Error("my.module.Timeout", "x"), "failures", "exception"),
        (Error("timeout", "took longer than 5 s", kind="timeout"), "failures", "timeout"),
        (Error("exit 3", "x", kind="command"), None, "command"),
        (Error("exit 3", "of a class of that name"), None, "exception"),
        (Error("exit 3", "x", kind="command"), "gave_up", "gave_up"),
        (Error("trioq.errors.RetryLater", "x", kind="retry_later"), None, "retry_later"),
        (Error("trioq.errors.GiveUp", "x"), "gave_up", "gave_up"),
        (Error("BadPayload", "x"), "bad_payload", "bad_payload"),
        (Error("BadHandler", "x"), "bad_handler", "bad_handler"),
        (Error("RecordUnreadable", "x"), "undecodable", "undecodable"),
    ],
)
def test_a_failure_has_one_of_a_few_reasons(
    error: Error, dead: DeadReason | None, reason: str
) -> None:
    assert why_failed(error, dead) == reason
    assert reason in FAILURES
