"""Every metric: its name, its type, its labels, and what it means.

Names follow Prometheus: base units, ``_total`` for counters. The label for a job's name is
``job_name``, because ``job`` and ``instance`` are Prometheus's own words for what it scrapes.
"""

from __future__ import annotations

from typing import Literal, get_args

import attrs

from trioq.core.outcome import DeadReason
from trioq.core.schedules.tick import Outcome

Kind = Literal["counter", "gauge", "histogram", "info"]

RUN_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
WAIT_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
LATE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 60, 300, 3600)
STEP_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
STEP_JOBS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)


@attrs.frozen
class Metric:
    """One line of the catalogue."""

    kind: Kind
    name: str
    """As samples have it, for counters and the info without their suffix."""
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without infinity."""

    @property
    def unit(self) -> str:
        return "seconds" if self.name.endswith("_seconds") else ""

    @property
    def sample_name(self) -> str:
        """What a query asks for; of a histogram, what its samples begin with."""
        return self.name + {"counter": "_total", "info": "_info"}.get(self.kind, "")


JOB = ("queue", "job_name")

# -- what this engine did, since its process started ---------------------------------------------

PRODUCED = Metric(
    "counter", "trioq_jobs_produced", "Files this engine turned into jobs.", ("queue",)
)
CLAIMED = Metric("counter", "trioq_jobs_claimed", "Jobs claimed.")
COMPLETED = Metric("counter", "trioq_jobs_completed", "Runs whose handler succeeded.", JOB)
FAILED = Metric(
    "counter",
    "trioq_jobs_failed",
    "Runs that failed, by reason, whether the job is tried again or dead.",
    (*JOB, "reason"),
)
RETRIED = Metric(
    "counter", "trioq_jobs_retried", "Failed runs after which the job was scheduled again.", JOB
)
SNOOZED = Metric(
    "counter",
    "trioq_jobs_snoozed",
    "Runs whose handler asked to be run later; they cost no attempt.",
    JOB,
)
DEAD = Metric(
    "counter",
    "trioq_jobs_dead",
    "Jobs that became dead, by reason; those that killed their engine as other.",
    (*JOB, "reason"),
)
CANCELLED = Metric(
    "counter",
    "trioq_jobs_cancelled",
    "Claimed jobs that were cancelled, by how: waiting (not begun), stopped, ignored.",
    (*JOB, "how"),
)
RELEASED = Metric(
    "counter", "trioq_jobs_released", "Jobs given back unfinished; they cost no attempt."
)
PARKED = Metric(
    "counter", "trioq_jobs_parked", "Jobs put behind a closed door, by reason.", (*JOB, "reason")
)
UNKEPT = Metric(
    "counter",
    "trioq_results_not_kept",
    "Results that were to be kept and couldn't, by reason; their jobs are done.",
    (*JOB, "reason"),
)
REAPED = Metric("counter", "trioq_jobs_reaped", "Jobs this engine took from engines that had died.")
ENGINES_REAPED = Metric(
    "counter", "trioq_engines_reaped", "Dead engines whose jobs this engine took."
)
REFUSED = Metric(
    "counter",
    "trioq_settlements_refused",
    "Outcomes the server refused: the claim wasn't this engine's any more.",
)
UNKNOWN = Metric(
    "counter",
    "trioq_settlements_unknown",
    "Outcomes of which nobody can tell whether the server accepted them.",
)
BOOTS_LOST = Metric(
    "counter",
    "trioq_boots_lost",
    "Times the server had forgotten this engine, by reason.",
    ("reason",),
)
OUTAGES = Metric("counter", "trioq_redis_outages", "Times Redis stopped answering.")
STALLS = Metric(
    "counter", "trioq_loop_stalls", "Times an event loop was blocked for longer than loop_stall."
)
BREAKER_CHANGES = Metric(
    "counter",
    "trioq_breaker_changes",
    "Changes of the engine's own circuit breakers, by the state they changed to.",
    ("job_name", "state"),
)
LIMITER_HITS = Metric(
    "counter", "trioq_limiter_hits", "Times a producer had to wait for a permit.", ("limiter",)
)
LIMITER_WAIT = Metric(
    "counter", "trioq_limiter_wait_seconds", "How long producers waited for permits.", ("limiter",)
)
SCANS = Metric("counter", "trioq_scans", "Looks through the directory that came to their end.")
SCANS_FAILED = Metric("counter", "trioq_scans_failed", "Looks through the directory that failed.")
FILES_SKIPPED = Metric(
    "counter",
    "trioq_files_skipped",
    "Files the producer passed over, each once, by reason.",
    ("reason",),
)
TICKS = Metric(
    "counter",
    "trioq_schedule_ticks",
    "Ticks of schedules that this engine made, by what became of them: fired, or why not.",
    ("schedule", "outcome"),
)

LINES_DROPPED = Metric(
    "counter",
    "trioq_log_lines_dropped",
    "Log lines that nobody read in time, or that could not be written.",
)

# -- how long it took ------------------------------------------------------------------------------

RUN = Metric(
    "histogram",
    "trioq_job_run_seconds",
    "How long runs took, from the claim's turn to the outcome, also of those that failed.",
    JOB,
    RUN_S,
)
WAIT = Metric(
    "histogram",
    "trioq_job_wait_seconds",
    "How long jobs waited before a run, by what for: scheduled, ready, limited, fair, breaker, "
    "paused.",
    ("queue", "state"),
    WAIT_S,
)
END_TO_END = Metric(
    "histogram",
    "trioq_job_end_to_end_seconds",
    "From when a job was enqueued, or due, to its being done or dead.",
    JOB,
    WAIT_S,
)
STEP = Metric(
    "histogram",
    "trioq_step_seconds",
    "How long the last sending of a step took that claimed or settled something; "
    "0 for one that has waited at a bell.",
    (),
    STEP_S,
)
STEP_CLAIMED = Metric(
    "histogram", "trioq_step_claimed_jobs", "Jobs claimed by one step.", (), STEP_JOBS
)
STEP_SETTLED = Metric(
    "histogram", "trioq_step_settled_jobs", "Jobs settled by one step.", (), STEP_JOBS
)
LATENESS = Metric(
    "histogram",
    "trioq_schedule_lateness_seconds",
    "How much later than its tick a job was enqueued, of those that fired.",
    (),
    LATE_S,
)

# -- this engine now -------------------------------------------------------------------------------

BUILD = Metric("info", "trioq_build", "Versions.", ("version", "python"))
ENGINE = Metric(
    "info", "trioq_engine", "Which engine this is.", ("engine", "trioq_namespace", "roles")
)
WORKERS = Metric("gauge", "trioq_workers", "Handlers that can run at a time.")
RUNNING = Metric("gauge", "trioq_jobs_running", "Handlers that run now.")
WAITING = Metric("gauge", "trioq_jobs_waiting", "Jobs claimed and not begun.")
REGISTERED = Metric(
    "gauge", "trioq_engine_registered", "Whether the server knows it, if it has workers."
)
DRAINING = Metric("gauge", "trioq_engine_draining", "Whether it claims nothing more and ends.")
STANDSTILL = Metric(
    "gauge",
    "trioq_standstill_seconds",
    "For how long jobs were ready and workers idle without a claim.",
)
LAG = Metric(
    "gauge",
    "trioq_loop_lag_seconds",
    "The longest that a task of the event loop was late in the last 15 s.",
)
ASYNCIO_LAG = Metric(
    "gauge",
    "trioq_asyncio_loop_lag_seconds",
    "The longest that a task of the loop was late in which handlers of asyncio run, likewise.",
)
THREADS_LEFT = Metric(
    "gauge",
    "trioq_threads_left_behind",
    "Threads, and tasks in asyncio, that run on after their job was given up.",
    ("job_name",),
)
ABANDONED = Metric(
    "gauge",
    "trioq_handlers_abandoned",
    "Handlers that go on though their job was cancelled; each keeps a worker. No threads.",
    ("job_name",),
)
BREAKER = Metric(
    "gauge",
    "trioq_breaker_state",
    "1 for the state the circuit breaker of a name is in, if the engine has it for itself.",
    ("job_name", "state"),
)
LIMITER_USED = Metric(
    "gauge",
    "trioq_limiter_used_permits",
    "Of a limiter's burst, the permits in use over all engines.",
    ("limiter",),
)
LIMITER_BURST = Metric(
    "gauge", "trioq_limiter_burst_permits", "The permits that may be saved up.", ("limiter",)
)
REDIS_UP = Metric("gauge", "trioq_redis_up", "Whether Redis answers this engine.")
REDIS_LATENCY = Metric("gauge", "trioq_redis_latency_seconds", "The last measured round trip.")
CLOCK_OFFSET = Metric(
    "gauge",
    "trioq_redis_clock_offset_seconds",
    "The server's clock less this engine's, give or take half a round trip.",
)

# -- the whole namespace, told by one engine at a time -------------------------------------------

QUEUE_JOBS = Metric(
    "gauge",
    "trioq_queue_jobs",
    "Jobs in a queue, by state; limited ones wait for a limit, parked ones behind a closed door.",
    ("queue", "state"),
)
OLDEST = Metric(
    "gauge",
    "trioq_queue_oldest_ready_seconds",
    "How long ago the next job to be claimed was enqueued, or due.",
    ("queue",),
)
RUNNABLE = Metric(
    "gauge",
    "trioq_queue_oldest_runnable_seconds",
    "How long ago the oldest job was enqueued, or due, that only a free worker is missing for; "
    "0 if there is none.",
    ("queue",),
)
WAITERS = Metric(
    "gauge",
    "trioq_queue_waiting_jobs",
    "Jobs that wait, by what has to come first.",
    ("queue", "cause"),
)
OLDEST_WAITER = Metric(
    "gauge",
    "trioq_queue_oldest_waiting_seconds",
    "How long ago the oldest of them was enqueued, or due; not of scheduled and limited ones.",
    ("queue", "cause"),
)
IN_LINE = Metric(
    "gauge",
    "trioq_queue_enqueues_in_line",
    "Enqueues that wait for room in a queue that is full.",
    ("queue",),
)
PAUSED = Metric("gauge", "trioq_queue_paused", "Whether the queue is paused.", ("queue",))
SERVED = Metric(
    "gauge", "trioq_queue_served", "Whether a live engine claims from the queue.", ("queue",)
)
SHARED_BREAKER = Metric(
    "gauge",
    "trioq_shared_breaker_state",
    "1 for the state that a circuit breaker is in that all engines share, once it was used.",
    ("breaker", "state"),
)
SHARED_CHANGES = Metric(
    "counter", "trioq_shared_breaker_changes", "Changes of its state, and resets.", ("breaker",)
)
NEXT_TICK = Metric(
    "gauge",
    "trioq_schedule_next_seconds",
    "In how many seconds a schedule's next tick comes; below 0: so long ago it came, and nobody "
    "has made it.",
    ("schedule",),
)
DEAD_JOBS = Metric("gauge", "trioq_dead_jobs", "Jobs that are dead and kept.")
STRAY_JOBS = Metric("gauge", "trioq_stray_jobs", "Ids found without a record: a bug.")
ENGINES = Metric("gauge", "trioq_engines", "Engines that are registered and not found dead.")
ALL_ENQUEUED = Metric(
    "counter", "trioq_namespace_jobs_enqueued", "Jobs ever enqueued, by all clients and producers."
)
ALL_CLAIMED = Metric("counter", "trioq_namespace_jobs_claimed", "Claims ever made.")
ALL_DONE = Metric("counter", "trioq_namespace_jobs_done", "Jobs that ever completed.")
ALL_RETRIED = Metric(
    "counter", "trioq_namespace_jobs_retried", "Jobs ever scheduled again after a run."
)
ALL_DEAD = Metric("counter", "trioq_namespace_jobs_dead", "Jobs that ever became dead.")
ALL_DROPPED = Metric(
    "counter", "trioq_namespace_jobs_dropped", "Jobs that ever died for newer ones, in full queues."
)
ALL_CANCELLED = Metric("counter", "trioq_namespace_jobs_cancelled", "Jobs ever cancelled.")
ALL_RELEASED = Metric(
    "counter", "trioq_namespace_jobs_released", "Jobs ever given back unfinished."
)
ALL_REAPED = Metric("counter", "trioq_namespace_jobs_reaped", "Jobs ever taken from dead engines.")
ALL_PARKED = Metric("counter", "trioq_namespace_jobs_parked", "Jobs ever put behind a closed door.")
ALL_REVIVED = Metric("counter", "trioq_namespace_jobs_revived", "Dead jobs ever made ready again.")
ALL_PURGED = Metric("counter", "trioq_namespace_jobs_purged", "Jobs ever purged.")

#: The store's counters, by their name there.
STORE_COUNTERS = {
    "enqueued": ALL_ENQUEUED, "claimed": ALL_CLAIMED, "done": ALL_DONE, "retried": ALL_RETRIED,
    "dead_letters": ALL_DEAD, "dropped": ALL_DROPPED, "cancelled": ALL_CANCELLED,
    "released": ALL_RELEASED, "reaped": ALL_REAPED, "parked": ALL_PARKED,
    "revived": ALL_REVIVED, "purged": ALL_PURGED,
}  # fmt: skip

JOB_COUNTERS = (COMPLETED, RETRIED, SNOOZED, FAILED, DEAD, PARKED, CANCELLED, UNKEPT)
JOB_TIMES = (RUN, END_TO_END)
OTHER_COUNTERS = (
    PRODUCED, CLAIMED, RELEASED, REAPED, ENGINES_REAPED, REFUSED, UNKNOWN, BOOTS_LOST, OUTAGES,
    STALLS, BREAKER_CHANGES, LIMITER_HITS, LIMITER_WAIT, SCANS, SCANS_FAILED, FILES_SKIPPED, TICKS,
)  # fmt: skip
OTHER_TIMES = (WAIT, STEP, STEP_CLAIMED, STEP_SETTLED, LATENESS)
GAUGES = (
    LINES_DROPPED, BUILD, ENGINE, WORKERS, RUNNING, WAITING, REGISTERED, DRAINING, STANDSTILL, LAG,
    ASYNCIO_LAG,
    THREADS_LEFT, ABANDONED, BREAKER, LIMITER_USED, LIMITER_BURST, REDIS_UP, REDIS_LATENCY,
    CLOCK_OFFSET,
)  # fmt: skip
NAMESPACE = (
    QUEUE_JOBS, OLDEST, RUNNABLE, WAITERS, OLDEST_WAITER, IN_LINE, PAUSED, SERVED, SHARED_BREAKER,
    SHARED_CHANGES, NEXT_TICK, DEAD_JOBS, STRAY_JOBS, ENGINES, *STORE_COUNTERS.values(),
)  # fmt: skip
ALL = (*JOB_COUNTERS, *OTHER_COUNTERS, *JOB_TIMES, *OTHER_TIMES, *GAUGES, *NAMESPACE)

FAILURES = (
    "exception",  # the handler raised
    "timeout",  # it took too long
    "command",  # the program ended badly, or can't be started
    "runner",  # the handler's process ended under it, or can't be started
    "retry_later",  # the handler raised RetryLater
    "gave_up",  # it raised GiveUp, or the exit code is configured as permanent
    "bad_payload",  # the payload doesn't fit
    "bad_handler",  # the handler isn't one that can run
    "undecodable",  # the record can't be read
)
"""Why a run failed."""

DEATHS = tuple(reason for reason in get_args(DeadReason) if reason != "dropped")
"""Why a job died, as far as an engine saw it: who enqueues into a full queue tells none."""

OUTCOMES = get_args(Outcome)
"""What became of a tick."""

DOORS = ("breaker_open", "paused", "unfit_payload", "unknown_name")
"""Why a job was parked."""

UNFIT = ("too_large", "unfit")
"""Why a result wasn't kept: it is larger than ``max_result``, or JSON can't hold it."""
