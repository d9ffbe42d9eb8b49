"""Django's Tasks: what is enqueued in Django is run by an engine, and its result is found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.contrib.conftest import Work
from tests.contrib.support import TASKS_OF
from tests.support import wait_until


@pytest.fixture
def tasks(said: dict[str, Any]) -> Any:
    from tests.contrib.django_shop import tasks

    return tasks


@pytest.fixture
def order(said: dict[str, Any]) -> int:
    from tests.contrib.django_shop.models import Order

    return int(Order.objects.create(total=10).pk)


def test_a_task_runs_on_the_orm_and_its_result_is_found(tasks: Any, order: int, work: Work) -> None:
    result = tasks.add.enqueue(order, amount=5)
    assert (result.status, result.attempts, result.is_finished) == ("READY", 0, False)
    work(result.id)
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == ("SUCCESSFUL", 15, 1)
    found = tasks.add.get_result(result.id)
    assert (found.args, found.kwargs, found.errors) == ([order], {"amount": 5}, [])
    assert found.enqueued_at <= found.started_at <= found.finished_at
    assert found.worker_ids == result.worker_ids != [""]


def test_an_async_task_runs_and_is_enqueued_from_async_code(
    tasks: Any, order: int, work: Work
) -> None:
    result = asyncio.run(tasks.add_async.aenqueue(order))
    work(result.id)
    found = asyncio.run(tasks.add_async.aget_result(result.id))
    assert (found.return_value, found.task.priority, found.task.queue_name) == (11, 10, "mail")


def test_a_failed_attempt_is_ready_again_with_its_error_and_the_last_one_is_failed(
    tasks: Any, work: Work
) -> None:
    again, dies = tasks.fail.enqueue(times=1), tasks.fail.enqueue(times=2)
    work(again.id, dies.id)
    again.refresh()
    dies.refresh()
    assert (again.status, again.return_value) == ("SUCCESSFUL", [2, ["ValueError"]])
    assert (dies.status, dies.attempts) == ("FAILED", 2)
    assert [error.exception_class for error in dies.errors] == [ValueError, ValueError]
    frames, error = dies.errors[1].traceback.splitlines()[0], dies.errors[1].traceback[-22:]
    assert ("django_shop/tasks.py" in frames, error) == (True, "\nValueError: attempt 2")
    assert all(dies.worker_ids)


def test_signals_tell_of_the_beginning_and_of_the_end_but_of_no_attempt_that_is_made_again(
    tasks: Any, order: int, work: Work
) -> None:
    from trioq.contrib.django.tasks_api import signals

    told: list[tuple[str, str, list[str]]] = []
    names = ("enqueued", "started", "finished")
    named = {getattr(signals, f"task_{name}"): name for name in names}

    def tell(signal: Any, task_result: Any, **_: Any) -> None:
        errors = [error.exception_class.__name__ for error in task_result.errors]
        told.append((named[signal], str(task_result.status), errors))

    for signal in named:
        signal.connect(tell)
    try:
        work(tasks.add_async.enqueue(order).id)
        work(tasks.fail.enqueue(times=2).id)
    finally:
        for signal in named:
            signal.disconnect(tell)
    again = [("enqueued", "READY", []), ("started", "RUNNING", [])]
    assert told == [
        *again, ("finished", "SUCCESSFUL", []),
        *again, ("started", "RUNNING", ["ValueError"]), ("finished", "FAILED", ["ValueError"]),
    ]  # fmt: skip


def test_what_json_cannot_hold_is_failed_and_not_done_again(tasks: Any, work: Work) -> None:
    result = tasks.unfit.enqueue()
    work(result.id)
    result.refresh()
    assert (result.status, result.attempts) == ("FAILED", 1)
    assert "JSON can't hold" in result.errors[0].traceback


def test_what_is_too_large_together_is_kept_without_the_arguments_and_alone_is_failed(
    tasks: Any, work: Work
) -> None:
    fits, does_not = tasks.repeat.enqueue("x" * 40_000, 1), tasks.repeat.enqueue("x", 70_000)
    work(fits.id, does_not.id)
    found = tasks.repeat.get_result(fits.id)
    assert (len(found.return_value), found.args) == (40_000, [])
    does_not.refresh()
    assert (does_not.status, does_not.attempts, does_not.args) == ("FAILED", 1, ["x", 70_000])
    assert "worker.max_result is 64000" in does_not.errors[0].traceback


def test_a_deferred_task_waits_for_its_time(tasks: Any, order: int) -> None:
    from trioq.contrib.django import client

    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    result = tasks.add.using(run_after=at).enqueue(order)
    status = client().handle(result.id).status()
    assert (status.state, status.due_ms) == ("scheduled", at.timestamp() * 1000)
    found = tasks.add.get_result(result.id)
    assert (found.status, found.task.run_after) == ("READY", at)


def test_a_time_without_a_zone_is_the_projects(tasks: Any, order: int) -> None:
    from django.test import override_settings

    from trioq.contrib.django import client

    with override_settings(USE_TZ=False):
        result = tasks.add.using(run_after=datetime(2031, 5, 1, 12)).enqueue(order)
    due = datetime(2031, 5, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert client().handle(result.id).status().due_ms == due.timestamp() * 1000


def test_a_task_whose_job_is_cancelled_is_failed(tasks: Any, order: int) -> None:
    from trioq.contrib.django import client

    at = datetime.now(UTC) + timedelta(hours=1)
    result = tasks.add.using(run_after=at).enqueue(order)
    client().handle(result.id).cancel()
    result.refresh()
    assert result.status == "FAILED"
    assert result.is_finished


def test_priorities_are_queues_in_their_order(tasks: Any, order: int) -> None:
    from trioq.contrib.django import client, conf

    def queue(**said: Any) -> str:
        return client().handle(tasks.add.using(**said).enqueue(order).id).queue

    queues = [queue(priority=1), queue(priority=1, queue_name="mail"), queue(), queue(priority=-1)]
    names = conf.made().config.queue_names
    assert sorted(queues, key=names.index) == queues
    assert queue(priority=100) == queues[0]


def test_no_task_is_another_ones(tasks: Any, order: int) -> None:
    from trioq.contrib.django.tasks_api import TaskResultDoesNotExist

    result = tasks.add.enqueue(order)
    with pytest.raises(Exception, match="Task does not match"):
        tasks.fail.get_result(result.id)
    with pytest.raises(TaskResultDoesNotExist, match="there is no such task"):
        tasks.add.get_result("0" * 32)


TWO = {
    "default": {"BACKEND": "trioq.contrib.django.TasksBackend", "QUEUES": ["default", "mail"]},
    "two": {"BACKEND": "trioq.contrib.django.TasksBackend", "QUEUES": ["two"]},
}


def test_a_task_goes_to_queues_of_another_backend_than_its_own(tasks: Any, work: Work) -> None:
    from django.test import override_settings

    with override_settings(TASKS=TWO):
        result = tasks.repeat.using(backend="two", queue_name="two").enqueue("a", 2)
        work(result.id)
        result.refresh()
        found = tasks.repeat.get_result(result.id)
    assert (result.return_value, found.backend, found.task.queue_name) == ("aa", "two", "two")
    # The settings have lost that backend.
    assert tasks.repeat.get_result(result.id).return_value == "aa"


def test_an_engine_knows_the_tasks_of_other_backends_that_can_be_enqueued_in_its_own(
    tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import override_settings

    import trioq
    from trioq.contrib.django import engine, jobs, registry

    monkeypatch.setattr(registry, "tasks", {})
    monkeypatch.setattr(jobs, "app", trioq.App())
    dummy = {"BACKEND": f"{TASKS_OF}.backends.dummy.DummyBackend", "QUEUES": ["default", "mail"]}
    with override_settings(TASKS=TWO | {"default": dummy}):
        handlers = engine._all().handlers
    assert handlers[tasks.add_async.module_path].queue == "two.high"


def model() -> Any:
    from tests.contrib.django_shop.models import Order

    return Order()


def lazy_text() -> Any:
    from django.utils.translation import gettext_lazy

    return gettext_lazy("a")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda add: add.enqueue(), "missing a required argument: 'order'"),
        (lambda add: add.enqueue(1, amount=datetime.now(UTC)), "'amount' .* a datetime"),
        (lambda add: add.enqueue(1, 2, 3), "too many positional arguments"),
        (lambda add: add.enqueue({"a": [Decimal(1)]}), "argument 1 has in it a Decimal, .* a text"),
        (lambda add: add.enqueue([model()]), "argument 1 has in it a Order, .* its primary key"),
        (lambda add: add.enqueue(lazy_text()), r"argument 1 is a lazy text, .* str\(…\) of it"),
    ],
)
def test_a_call_that_cannot_be_is_told_where_it_is_made(
    tasks: Any, call: Callable[[Any], Any], told: str
) -> None:
    with pytest.raises(TypeError, match=f"tasks.add.*{told}"):
        call(tasks.add)


def test_no_job_has_the_connection_of_the_one_before(tasks: Any, work: Work) -> None:
    results = [tasks.was_connected.enqueue() for _ in range(3)]
    for result in results:
        work(result.id)
        result.refresh()
    assert [result.return_value for result in results] == [False] * 3


@pytest.mark.parametrize("name", ["add", "add_async", "count", "count_async"])
def test_connections_are_closed_when_a_job_has_ended(
    tasks: Any, order: int, work: Work, name: str
) -> None:
    from django.db.backends.signals import connection_created

    from trioq.contrib.django import client

    made: list[Any] = []

    def tell(connection: Any, **_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            made.append(connection)

    connection_created.connect(tell)
    try:
        for _ in range(2):
            if name.startswith("add"):
                work(getattr(tasks, name).enqueue(order).id)
            else:
                payload = {"more": 1} if name == "count" else {}
                work(client().enqueue(name, payload, queue="default").uid)
    finally:
        connection_created.disconnect(tell)
    assert len(made) == 2
    wait_until(lambda: all(each.connection is None for each in made))


def test_a_handler_of_trioq_has_the_orm(tasks: Any, order: int, work: Work) -> None:
    from trioq.contrib.django import client

    handle = client().enqueue(tasks.count.call(5))
    work(handle.uid)
    assert handle.result(0) == 6
