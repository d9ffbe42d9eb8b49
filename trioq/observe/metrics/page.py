"""The page ``docs/metrics.md``, drawn from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from trioq.observe.metrics import catalogue as c
from trioq.observe.metrics.labels import NAMED, OTHER, PAIRS

HEAD = f"""\
# Metrics

<!-- drawn from trioq/observe/metrics/catalogue.py by `make docs` -->

Every engine serves them for Prometheus at `/metrics`, on the address of `observability.bind`:
`127.0.0.1:8620`, or the next free port where another engine has that one. The log says which
(`http_served`), and so does `trioq stats`. [observability.md](observability.md) tells the rest.
Of several processes under one `trioq serve`, their supervisor serves one page: [processes.md](processes.md).

**Labels are bounded.** `queue` is a configured queue and `job_name` the name of a handler, the
first {NAMED} of each and at most {PAIRS} pairs; all else is `{OTHER}`. So are schedules after the
first {NAMED} that an engine sees; of more, those that come next have a gauge. (`job` and `instance` are
Prometheus's own labels, so a job's name is `job_name`.)

**Sums are right.** What an engine did, it counts itself: `sum` over engines. What lies in Redis is
told by one engine at a time, and by none while Redis is away: `max`, or `sum`, over engines.
"""

WAITS = """\
`trioq_job_wait_seconds` says of what a job's wait before a run was made:

| state | is | known from |
| --- | --- | --- |
| `scheduled` | from the enqueue to its being due; after a failure or a snooze, the delay | the job's record; the engine that schedules it again |
| `ready` | the rest: nothing held it back but other jobs | the difference |
| `limited` | the rest, where a limit had refused it | its claim |
| `fair` | the rest, where it came in the turn of its fair key and no limit had refused it | its claim |
| `breaker` | while the breaker of its name was open in the engine that then ran it | that engine |
| `paused` | while its queue or its name was paused, by the looks of that engine, every `queue_sample_interval` | that engine |

So each run has one of `ready`, `limited` and `fair`, whole: that a job was refused by a limit, its claim tells; since when,
nobody notes, as that would cost a write for each that is refused. What is short now, a limit or engines, is told below.

Only waits whose beginning is known are told: a run after a failure only where the same engine saw
the failure, a run after its engine died not at all. What another engine had parked, given back or
snoozed counts as the rest, and so does the time that a revived job lay dead. While a value of a limit's key is paused, its jobs
wait for that limit: `limited`. Of a claim whose answer was lost on its way, and that was asked for again, it isn't told what
its jobs had waited for: `ready`. The clocks of the enqueuer and the engine are taken to agree; a negative wait counts as 0.

**What waits, and for what**, is told by `trioq_queue_waiting_jobs` and `trioq_queue_oldest_waiting_seconds`, counted where
the jobs lie and costing none of them anything. `cause` is what has to come first:

| cause | the job waits for |
| --- | --- |
| `ready` | a worker: nothing else keeps it, though it may be that no engine serves its queue |
| `fair` | a worker, and its turn among those with other fair keys |
| `limited` | a slot or a permit of one of its limits |
| `scheduled` | its time |
| `paused` | the resume of its queue, of its name, or of its value of a limit's key |
| `breaker` | its name's breaker, which no engine that knows the name has closed |
| `unknown_name` | an engine that knows its name |

`trioq_queue_oldest_runnable_seconds` is the age of the oldest that is `ready` or `fair`: **the number to scale by**. It is 0 where there
is none, grows as soon as engines are too few, however long their jobs take, and doesn't with jobs that no engine more
could run. [`deploy/kubernetes/keda.yaml`](../deploy/kubernetes/keda.yaml) does that. Of an age the heads of lists tell, so
it may be too small where jobs came back behind younger ones. After a pause it is as old as the jobs are.

`reason` of `trioq_jobs_failed_total` is one of {failures}; of `trioq_jobs_dead_total` one of
{dead}; of `trioq_jobs_parked_total` one of {doors}; of
`trioq_results_not_kept_total` one of {unfit}; `outcome` of
`trioq_schedule_ticks_total` one of {outcomes}: whose job
was there already, as the schedule was put back in time; for which nobody was there in time; whose run before hadn't ended.
"""

QUESTIONS = """\
## Some questions

| question | query |
| --- | --- |
| how many jobs are ready | `max by (queue) (trioq_queue_jobs{state="ready"})` |
| how late is the oldest | `max by (queue) (trioq_queue_oldest_ready_seconds)` |
| are engines too few | `max by (queue) (trioq_queue_oldest_runnable_seconds)` |
| what do jobs wait for | `max by (queue, cause) (trioq_queue_waiting_jobs)` |
| jobs per second | `sum by (job_name) (rate(trioq_jobs_completed_total[1m]))` |
| part of the runs that fail | `sum(rate(trioq_jobs_failed_total[5m])) / sum(rate(trioq_job_run_seconds_count[5m]))` |
| 95 % are through within | `histogram_quantile(0.95, sum by (le) (rate(trioq_job_end_to_end_seconds_bucket[5m])))` |
| has something died | `sum(increase(trioq_jobs_dead_total[10m])) > 0` |
| which schedules are late | `min by (schedule) (trioq_schedule_next_seconds) < -60` |
| how busy are the workers | `sum(trioq_jobs_running) / sum(trioq_workers)` |
| who works for which namespace | `trioq_engine_info` |

Besides these there are `process_*` of the Python process: memory, CPU time, open files.
"""


def metrics_md() -> str:
    """The page."""
    groups = (
        ("What an engine did", "Since its process started.", (*c.JOB_COUNTERS, *c.OTHER_COUNTERS)),
        ("How long it took", "Histograms, of each engine.", (*c.JOB_TIMES, *c.OTHER_TIMES)),
        ("An engine now", "What it can't know while Redis is away is missing.", c.GAUGES),
        ("The namespace", "Told by one engine at a time.", c.NAMESPACE),
    )
    waits = WAITS.format(
        failures=_words(c.FAILURES),
        dead=_words(c.DEATHS),
        doors=_words(c.DOORS),
        unfit=_words(c.UNFIT),
        outcomes=_words(c.OUTCOMES),
    )
    done, took, now, namespace = (_group(*group) for group in groups)
    return "\n".join((HEAD, done, took, waits, now, namespace, QUESTIONS))


def _group(title: str, intro: str, metrics: Iterable[c.Metric]) -> str:
    rows = "\n".join(f"| `{m.sample_name}` | {m.kind} | {_labels(m)} | {m.help} |" for m in metrics)
    return (
        f"## {title}\n\n{intro}\n\n| name | type | labels | meaning |\n"
        f"| --- | --- | --- | --- |\n{rows}\n"
    )


def _labels(metric: c.Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
