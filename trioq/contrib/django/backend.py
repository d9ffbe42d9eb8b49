"""Django's Tasks on trioq.

TASKS = {"default": {"BACKEND": "trioq.contrib.django.TasksBackend"}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from django.core import checks
from django.utils import timezone

from trioq import QueueUnknown
from trioq.contrib.django import calls, commit, registry, results
from trioq.contrib.django import tasks_api as api
from trioq.contrib.django.checks import backend_faults
from trioq.contrib.django.clients import client
from trioq.contrib.django.conf import priorities
from trioq.contrib.django.queues import Priorities

#: For how long what became of a task is known, if nobody says.
RESULT = "1d"


class TasksBackend(api.BaseTaskBackend):  # type: ignore[misc]
    """Queues tasks, which an engine runs that ``manage.py trioq`` starts.

    ``OPTIONS``: ``priorities`` (from which priority on tasks go to which queue), ``on_commit``
    (whether a task that is enqueued in a transaction waits for its commit), ``database`` (of which
    database), ``result`` (for how long what became of a task is known).
    """

    supports_defer = True
    supports_async_task = True
    supports_get_result = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        super().__init__(alias, params)
        self.own_queues: Sequence[str] = list(params.get("QUEUES", [api.DEFAULT_QUEUE]))

    @cached_property
    def priorities(self) -> Priorities:
        """
        Raises:
          ValueError: They are wrong.
        """
        return priorities(self.options)

    @property
    def supports_priority(self) -> bool:
        """Whether tasks of a higher priority go to a queue of their own."""
        try:
            return self.priorities.are_several
        except ValueError:  # ``check`` tells what is wrong
            return True

    def validate_task(self, task: Any) -> None:
        """Whether trioq can run it; from now on it is known here.

        Raises:
          InvalidTask: It can't.
        """
        super().validate_task(task)
        registry.remember(task)

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Queue a ``task`` with ``args`` and ``kwargs``: now, or where a transaction is open, when
        that is committed.

        Returns:
          Its result, with its id; after a rollback there is none of that id.

        Raises:
          InvalidTask: It can't be run, or no queue is configured for it.
          TypeError: The function can't be called like this, or JSON can't hold an argument.
          StoreError: trioq's, of several kinds: it isn't queued.
        """
        self.validate_task(task)
        payload = calls.payload_of(task, args, kwargs, self.alias)
        send = partial(self._send, task, payload)
        using = self.options.get("database")
        if self.options.get("on_commit", True) and commit.in_transaction(using):
            id = commit.new_id()
            result = self._result(task, payload, id, None)

            def do() -> None:
                send(id=id, id_retention=self._kept(task))
                self._enqueued(result)

            commit.when_committed(do, using)
            return result
        result = self._result(task, payload, send().uid, None)
        self._enqueued(result)
        return result

    def get_result(self, result_id: str) -> Any:
        """What became of a task, whoever has enqueued it.

        Raises:
          TaskResultDoesNotExist: There is no such task, or its result isn't kept any longer.
        """
        return results.find(str(result_id), self.alias)

    def check(self, **_: Any) -> Iterable[checks.CheckMessage]:
        """What is wrong with what the settings say of this backend."""
        return backend_faults(self.alias, self.own_queues, self.options)

    def queue_of(self, task: Any) -> str:
        """Which queue of trioq it goes to."""
        return self.priorities.queue(task.queue_name, task.priority)

    def _kept(self, task: Any) -> Any:
        return registry.options_of(task.func).get("result", self.options.get("result", RESULT))

    def _send(self, task: Any, payload: dict[str, Any], **more: Any) -> Any:
        at = task.run_after
        if at is not None and timezone.is_naive(at):
            at = timezone.make_aware(at)
        try:
            return client().enqueue(
                task.module_path, payload, queue=self.queue_of(task), at=at,
                result=self._kept(task), **more,
            )  # fmt: skip
        except QueueUnknown as error:
            raise api.InvalidTask(f"{task.module_path}: {error}") from error

    def _result(self, task: Any, payload: Mapping[str, Any], id: str, at: Any) -> Any:
        return results.result_of(
            task, id, self.alias, payload, status=api.TaskResultStatus.READY, enqueued_at=at
        )

    def _enqueued(self, result: Any) -> None:
        object.__setattr__(result, "enqueued_at", timezone.now())
        api.signals.task_enqueued.send(type(self), task_result=result)
