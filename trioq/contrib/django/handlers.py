"""Tasks as handlers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import sync_to_async

from trioq import App, Failure, GiveUp, Job, JobDied, TrioqError
from trioq.contrib.django import calls, conf, registry, results
from trioq.contrib.django import tasks_api as api
from trioq.contrib.django.connections import in_thread
from trioq.core.wall import wall_ms

Call = tuple[list[Any], dict[str, Any]]


def add(app: App, task: Any, aliases: Sequence[str]) -> None:
    """Have an app run a task.

    Args:
      aliases: Of trioq's backends; the first stands for another one that a task is made for.

    Raises:
      ValueError: Another handler has its name, or an option can't be.
    """
    backend = api.task_backends[task.backend if task.backend in aliases else aliases[0]]
    said = dict(registry.options_of(task.func))
    said.setdefault("result", backend.options.get("result", "1d"))
    made = _async(task) if iscoroutinefunction(task.func) else _sync(task)
    made.__name__, made.__qualname__ = task.func.__name__, task.func.__qualname__
    made.__module__ = task.func.__module__
    own = backend.own_queues
    name = task.queue_name if task.queue_name in own or not own else own[0]
    queue = backend.priorities.queue(name, task.priority)
    app.job(task.module_path, queue=queue, **said)(made)


def _sync(task: Any) -> Callable[..., Any]:
    def run(job: Job, args: list[Any] = [], kwargs: dict[str, Any] = {}, **_: Any) -> Any:  # noqa: B006
        result, sender = _begin(task, job, args, kwargs)
        _tell("task_started", sender, result)
        started_ms = wall_ms()
        value = task.func(*_context(task, result), *args, **kwargs)
        ended = _ended(task, job, value, started_ms)
        _tell("task_finished", sender, _successful(result, ended))
        return ended

    return run


def _async(task: Any) -> Callable[..., Any]:
    async def run(job: Job, args: list[Any] = [], kwargs: dict[str, Any] = {}, **_: Any) -> Any:  # noqa: B006
        if job.attempt == 1:
            result, sender = _begin(task, job, args, kwargs)
        else:  # it may ask Redis
            result, sender = await sync_to_async(_begin)(task, job, args, kwargs)
        await _tell_from_loop("task_started", sender, result)
        started_ms = wall_ms()
        value = await task.func(*_context(task, result), *args, **kwargs)
        ended = _ended(task, job, value, started_ms)
        await _tell_from_loop("task_finished", sender, _successful(result, ended))
        return ended

    return run


def _begin(task: Any, job: Job, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, type]:
    """The result of a task that begins now, and whose it is.

    Raises:
      GiveUp: The function can't be called like this.
    """
    try:
        calls.check_call(task, args, kwargs)
    except TypeError as error:
        raise GiveUp(f"the arguments don't fit: {error}") from None
    backend = task.get_backend()
    id = job.id or job.uid
    if task.takes_context and job.attempt > 1:
        # Who asks for the context may ask for the earlier attempts, too.
        with contextlib.suppress(TrioqError, api.TaskResultDoesNotExist):
            result = results.find(job.uid, backend.alias)
            object.__setattr__(result, "id", id)
            return result, type(backend)
    result = results.result_of(
        results.task_of(job.name, job.payload, id),
        id,
        job.payload.get("backend", backend.alias),
        job.payload,
        status=api.TaskResultStatus.RUNNING,
        enqueued_at=results.moment(job.enqueued_ms),
        worker_ids=[""] * job.attempt,
    )
    return result, type(backend)


def _context(task: Any, result: Any) -> tuple[Any, ...]:
    return (api.TaskContext(task_result=result),) if task.takes_context else ()


def _ended(task: Any, job: Job, value: Any, started_ms: int) -> Mapping[str, Any]:
    """What is kept.

    Raises:
      GiveUp: What was returned can't be: another attempt would do all of it again.
    """
    said = f"{task.module_path} ran, and returned"
    try:
        value = api.normalize_json(value)
    except (TypeError, ValueError):
        raise GiveUp(
            f"{said} a {type(value).__name__} or something with one in it, which JSON can't hold:"
            " return a text, a number, a list, a dict or None"
        ) from None
    ended = results.outcome(value, job, started_ms, wall_ms())
    most = conf.made().config.worker.max_result_bytes
    if _size(ended) <= most:
        return ended
    ended = {**ended, "call": {**ended["call"], "args": [], "kwargs": {}}}
    if (size := _size(ended)) > most:
        raise GiveUp(
            f"{said} {size} bytes, and worker.max_result is {most}: return where it lies instead"
        )
    return ended


def _size(ended: Mapping[str, Any]) -> int:
    """How large it is at most, as JSON."""
    return len(json.dumps(ended, separators=(",", ":")))


def _successful(result: Any, ended: Mapping[str, Any]) -> Any:
    for name, value in {
        "status": api.TaskResultStatus.SUCCESSFUL,
        "_return_value": ended["value"],
        "started_at": results.moment(ended["started_ms"]),
        "last_attempted_at": results.moment(ended["started_ms"]),
        "finished_at": results.moment(ended["ended_ms"]),
    }.items():
        object.__setattr__(result, name, value)
    return result


def _tell(signal: str, sender: type, result: Any) -> None:
    getattr(api.signals, signal).send(sender=sender, task_result=result)


async def _tell_from_loop(signal: str, sender: type, result: Any) -> None:
    """Receivers may use the ORM."""
    await getattr(api.signals, signal).asend(sender=sender, task_result=result)


def tell_failed(failure: Failure) -> None:
    """Of a task that has failed for good, ``task_finished`` is told."""
    job = failure.job
    task = registry.tasks.get(job.name)
    if task is None or not failure.dies:
        return
    backend = task.get_backend()
    result = results.result_of(
        results.task_of(job.name, job.payload, job.uid),
        job.id or job.uid,
        job.payload.get("backend", backend.alias),
        job.payload,
        status=api.TaskResultStatus.FAILED,
        enqueued_at=results.moment(job.enqueued_ms),
        finished_at=results.moment(wall_ms()),
        errors=[
            results.error_of(failure.text.partition(":")[0], failure.traceback or failure.text)
        ],
        worker_ids=[""] * job.attempt,
    )
    with in_thread():
        try:
            raise failure.error or JobDied(failure.text)
        except BaseException:  # Django's own receiver logs the error that is being handled
            _tell("task_finished", type(backend), result)
