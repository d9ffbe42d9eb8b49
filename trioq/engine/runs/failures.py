"""Tells an app's hooks of a failure, when it is decided what becomes of the job.

The worker does that which has run it. So however many jobs fail, no more is told at a time than
there are workers; and each hook has a bounded time, so that none keeps a worker for long.
"""

from __future__ import annotations

import contextlib
import logging

import trio

from trioq.core.events import JobCancelled, JobDied, JobFailed
from trioq.core.failure import Failure
from trioq.core.job import Job
from trioq.core.outcome import Error, Failed
from trioq.engine.handlers import Apart, Function, Timebox, invoke
from trioq.engine.runs.plan import PlannedJob
from trioq.engine.runs.run import Run
from trioq.engine.runs.settle import End

#: Each hook has so long.
TELL_S = 5.0

_log = logging.getLogger("trioq.on_failure")


def failure_of(run: Run, end: End) -> Failure | None:
    """What there is to be told of this end; None: its attempt hasn't failed, or its job is to be
    run again because the handler asked for that."""
    if run.job is None or not isinstance(run.outcome, Failed):
        return None
    job = run.job() if isinstance(run.job, PlannedJob) else run.job
    for event in end.events:
        match event:
            case JobFailed(error=error, again_in_s=again_in_s) if error.kind != "retry_later":
                return _failure(job, run.outcome, error, retry_in=again_in_s)
            case JobDied(error=error):
                return _failure(job, run.outcome, error, dies=True)
            case JobCancelled(error=Error() as error):
                return _failure(job, run.outcome, error)
    return None


def _failure(
    job: Job,
    outcome: Failed,
    error: Error,
    *,
    dies: bool = False,
    retry_in: float | None = None,
) -> Failure:
    text = f"{error.type}: {error.message}" if error.message else error.type
    return Failure(job, outcome.exception, text, error.traceback, dies, retry_in)


async def tell(run: Run, end: End, threads: trio.CapacityLimiter) -> None:
    """Tell the hooks of its app, one after the other, if it has failed. What they raise is logged.

    Isn't cancellable, and takes a bounded time.
    """
    handler = run.handler
    function = handler.function if isinstance(handler, Apart) else handler
    failure = failure_of(run, end)
    if failure is None or not isinstance(function, Function):
        return
    loop = function.loop if function.around.runtime == "asyncio" else None
    with trio.CancelScope(shield=True), contextlib.closing(Timebox()) as timebox:
        for hook in function.hooks:
            outcome = await invoke(
                hook.told(failure, loop),
                failure.job,
                timeout_s=TELL_S,
                timebox=timebox,
                threads=threads,
            )
            if isinstance(outcome, Failed):
                _say(hook.where, failure.job, outcome.error)


def _say(where: str, job: Job, error: Error) -> None:
    fields = {"job_id": job.uid, "job": job.name, "queue": job.queue, "attempt": job.attempt}
    text = "the on_failure hook %s failed: %s: %s\n%s"
    _log.error(text, where, error.type, error.message, error.traceback, extra=fields)
