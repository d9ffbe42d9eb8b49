"""What became of a task, from what trioq knows of its job.

A job's payload is the task's arguments. It goes when the job is done, so what its handler returns
has them beside the value (:func:`outcome`).
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from trioq import Job, JobUnknown, SyncHandle
from trioq.contrib.django import registry
from trioq.contrib.django import tasks_api as api
from trioq.contrib.django.clients import client, look

#: Of an error's class that is told by no module.
JOB_DIED, JOB_CANCELLED = "trioq.JobDied", "trioq.JobCancelled"

STATUS = {
    "done": api.TaskResultStatus.SUCCESSFUL,
    "dead": api.TaskResultStatus.FAILED,
    "cancelled": api.TaskResultStatus.FAILED,
    "running": api.TaskResultStatus.RUNNING,
}
"""Of a job's states; in others a task is ``READY``."""


def outcome(value: Any, job: Job, started_ms: int, ended_ms: int) -> dict[str, Any]:
    """What is kept of a task that was done: the value, and what else is asked for then."""
    return {
        "value": value,
        "task": job.name,
        "call": job.payload,
        "enqueued_ms": job.enqueued_ms,
        "started_ms": started_ms,
        "ended_ms": ended_ms,
        "attempt": job.attempt,
    }


def result_of(
    task: Any,
    id: str,
    backend: str,
    call: Mapping[str, Any],
    *,
    status: Any,
    enqueued_at: datetime | None = None,
    started_at: datetime | None = None,
    last_attempted_at: datetime | None = None,
    finished_at: datetime | None = None,
    errors: Sequence[Any] = (),
    worker_ids: Sequence[str] = (),
    value: Any = None,
) -> Any:
    """A result as Django has it.

    Args:
      call: The job's payload.
    """
    made = api.TaskResult(
        task=task,
        id=id,
        status=status,
        enqueued_at=enqueued_at,
        started_at=started_at,
        last_attempted_at=last_attempted_at,
        finished_at=finished_at,
        args=list(call.get("args", ())),
        kwargs=dict(call.get("kwargs", {})),
        backend=backend,
        errors=list(errors),
        worker_ids=list(worker_ids),
    )
    object.__setattr__(made, "_return_value", value)
    return made


def find(id: str, backend: str) -> Any:
    """What became of a task.

    Raises:
      TaskResultDoesNotExist: Nobody knows it, or any longer.
    """
    view = look(id)
    if view is None:
        raise api.TaskResultDoesNotExist(
            f"{id}: there is no such task: its transaction isn't committed yet or was rolled back,"
            " or its result was kept for its time"
        )
    kept = _kept(view) if view.state == "done" else {}
    call = kept.get("call") or (view.payload if isinstance(view.payload, dict) else {})
    about = view.about
    name = about.name if about else kept.get("task", "")
    return result_of(
        task_of(name, call, id),
        id,
        call.get("backend", backend),
        call,
        status=STATUS.get(view.state, api.TaskResultStatus.READY),
        enqueued_at=moment(about.enqueued_ms if about else kept.get("enqueued_ms")),
        errors=[*_errors(view)],
        value=kept.get("value"),
        **_runs(view, kept),
    )


def wait(result: Any, timeout: Any = None) -> Any:
    """Wait until a task has ended, and refresh its result: nobody has to ask again and again.

    Args:
      result: What ``enqueue`` or ``get_result`` has returned.
      timeout: Seconds, or a timedelta; None: for as long as it takes.

    Returns:
      The same result.

    Raises:
      WaitTimeout: It hasn't ended in this time. It goes on.
      JobUnknown, TaskResultDoesNotExist: Nobody knows it, or any longer, or yet: it was enqueued
          in a transaction that isn't committed.
      TypeError: It is no result.
    """
    if not isinstance(result, api.TaskResult):
        kind = type(result).__name__
        raise TypeError(f"wait takes what enqueue or get_result returns, not a {kind}")
    try:
        client().handle(result.id).wait(timeout)
    except JobUnknown:
        if result.enqueued_at is not None:
            raise
        raise api.TaskResultDoesNotExist(
            f"{result.id} isn't queued: its transaction isn't committed yet, or was rolled back;"
            " wait after the atomic block, and with ATOMIC_REQUESTS in a later request"
        ) from None
    result.refresh()
    return result


def task_of(name: str, call: Mapping[str, Any], id: str) -> Any:
    """The task of a job, as it was enqueued.

    Raises:
      TaskResultDoesNotExist: There is none of this name.
    """
    task = registry.tasks.get(name)
    if task is None:
        try:
            task = import_string(name)
        except ImportError:
            task = None
    if not isinstance(task, api.Task):
        raise api.TaskResultDoesNotExist(f"{id} is a job of {name!r}, which is no task here")
    after = call.get("run_after")
    said = {
        "queue_name": call.get("queue"),
        "priority": call.get("priority"),
        "run_after": None if after is None else datetime.fromisoformat(after),
        "backend": call.get("backend"),
    }
    try:
        return task.using(**{key: value for key, value in said.items() if value is not None})
    except (api.InvalidTask, ImproperlyConfigured):  # the settings have lost its queue, or backend
        return task


def moment(at_ms: float | None) -> datetime | None:
    """As Django has times."""
    if not at_ms:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC if settings.USE_TZ else None)


def _kept(view: Any) -> dict[str, Any]:
    """What :func:`outcome` has kept."""
    end = client().wait(SyncHandle(view.uid, view.callers_id), 0)
    if end.error is not None:
        raise api.TaskResultDoesNotExist(f"{view.uid}: {end.error}") from end.error
    kept: Any = end.result()
    return kept if isinstance(kept, dict) else {}


def _errors(view: Any) -> Iterator[Any]:
    """Of each attempt that failed."""
    for line in view.attempts:
        if (error := getattr(line, "error", None)) is not None:
            yield error_of(error.type, error.traceback or f"{error.type}: {error.message}")
    if view.state == "cancelled":
        yield api.TaskError(
            exception_class_path=JOB_CANCELLED, traceback=f"cancelled: {view.reason or ''}"
        )


def error_of(kind: str, traceback: str) -> Any:
    """An error as Django has it.

    Args:
      kind: Its class, as a job's history has it.
    """
    return api.TaskError(exception_class_path=_path(kind), traceback=traceback)


def _path(kind: str) -> str:
    """Where an error's class is imported from."""
    if "." in kind:
        return kind
    return f"builtins.{kind}" if hasattr(builtins, kind) else JOB_DIED


def _runs(view: Any, kept: Mapping[str, Any]) -> dict[str, Any]:
    """When and where it ran, as far as that is known."""
    failed = [line for line in view.attempts if getattr(line, "number", 0)]
    workers = [line.engine or "" for line in failed]
    started = last = finished = None
    ended = view.summary
    if view.state == "running":
        workers.append(view.engine or "")
    elif view.state == "done":
        attempt = kept.get("attempt", 0)
        workers = [""] * (attempt - 1) + [ended.engine if ended else ""] if attempt else []
        last = kept.get("started_ms")
        started = last if attempt == 1 else None
        finished = kept.get("ended_ms")
    elif view.state == "cancelled":
        finished = ended.at_ms if ended else None
    elif view.state == "dead":
        finished = view.died_ms
    if last is None and failed:
        last = failed[-1].at_ms
    return {
        "worker_ids": workers,
        "started_at": moment(started),
        "last_attempted_at": moment(last),
        "finished_at": moment(finished),
    }
