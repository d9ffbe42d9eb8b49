"""What is enqueued in a transaction is queued when that is committed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contrib.conftest import TASKS, Work


@pytest.fixture
def tasks(said: dict[str, Any]) -> Any:
    from tests.contrib.django_shop import tasks

    return tasks


def test_a_task_is_queued_after_the_commit_under_the_id_that_it_had_before(
    tasks: Any, work: Work
) -> None:
    from django.db import transaction

    from tests.contrib.django_shop.models import Order
    from trioq.contrib.django.tasks_api import TaskResultDoesNotExist

    with transaction.atomic():
        order = Order.objects.create(total=1)
        result = tasks.add.enqueue(order.pk)
        with pytest.raises(TaskResultDoesNotExist):
            result.refresh()
        assert result.enqueued_at is None
    assert result.enqueued_at is not None
    work(result.id)
    result.refresh()
    assert result.return_value == 2


def test_a_result_is_found_by_that_id_when_no_summary_of_its_job_is_kept(
    said: dict[str, Any], work: Work
) -> None:
    from django.db import transaction
    from django.test import override_settings

    from tests.contrib.django_shop import tasks

    with override_settings(TRIOQ={**said, "worker": {"keep_done": 0}}):
        with transaction.atomic():
            result = tasks.repeat.enqueue("a", times=2)
        work(result.id)
        found = tasks.repeat.get_result(result.id)
    assert (found.return_value, found.args, found.kwargs) == ("aa", ["a"], {"times": 2})
    assert (found.attempts, found.worker_ids) == (1, [""])


def test_a_task_of_a_transaction_that_is_rolled_back_never_is(tasks: Any) -> None:
    from django.db import transaction

    from trioq.contrib.django.tasks_api import TaskResultDoesNotExist

    with transaction.atomic():
        result = tasks.add.enqueue(1)
        transaction.set_rollback(True)
    with pytest.raises(TaskResultDoesNotExist, match="rolled back"):
        result.refresh()


def test_a_job_has_its_id_at_once_and_its_handle_after_the_commit(tasks: Any, work: Work) -> None:
    from django.db import transaction

    from trioq.contrib.django import on_commit

    with transaction.atomic():
        job = on_commit(tasks.count.call(1))
        assert job.state == "waiting"
        with pytest.raises(LookupError, match="isn't queued yet"):
            _ = job.handle
    assert (job.state, job.handle.id) == ("queued", job.id)
    work(job.id)
    assert job.handle.result(0) == 1


def test_a_rollback_to_a_savepoint_drops_only_what_was_asked_for_within(tasks: Any) -> None:
    from django.db import transaction

    from trioq.contrib.django import on_commit

    with transaction.atomic():
        outer = on_commit(tasks.count.call(1))
        with transaction.atomic():
            inner = on_commit(tasks.count.call(2))
            transaction.set_rollback(True)
        assert (outer.state, inner.state) == ("waiting", "dropped")
    assert outer.state == "queued"
    with pytest.raises(LookupError, match="rolled back"):
        _ = inner.handle


@pytest.fixture
def other(said: dict[str, Any]) -> Iterator[str]:
    """The alias of another database."""
    from django.db import connections

    connections.settings["other"] = dict(connections.settings["default"])
    yield "other"
    connections["other"].close()
    del connections["other"], connections.settings["other"]


def test_the_transaction_may_be_of_another_database(tasks: Any, other: str) -> None:
    from django.db import transaction
    from django.test import override_settings

    from trioq.contrib.django import on_commit

    backend = {**TASKS["default"], "OPTIONS": {"database": other}}
    with override_settings(TASKS={"default": backend}):
        with transaction.atomic(using=other):
            job = on_commit(tasks.count.call(1), using=other)
            first, second = tasks.add.enqueue(1), tasks.add.enqueue(1)
            assert job.state == "waiting"
            assert first.enqueued_at is second.enqueued_at is None
            assert first.id != second.id
        assert job.state == "queued"
        assert None not in (first.enqueued_at, second.enqueued_at)


def test_without_a_transaction_it_is_queued_at_once(tasks: Any) -> None:
    from trioq.contrib.django import on_commit

    assert on_commit(tasks.count.call(1), id="mine").handle.id == "mine"


def test_an_error_after_the_commit_comes_out_and_is_kept(tasks: Any) -> None:
    from django.db import transaction

    from trioq import QueueUnknown
    from trioq.contrib.django import on_commit

    with pytest.raises(QueueUnknown), transaction.atomic():
        job = on_commit(tasks.count.call(1), queue="nowhere")
    assert job.state == "failed"
    with pytest.raises(LookupError, match="after the commit"):
        _ = job.handle


def test_what_a_callback_before_it_kept_from_being_queued_is_not_told_as_rolled_back_only(
    tasks: Any,
) -> None:
    from django.db import transaction

    from trioq.contrib.django import on_commit

    def fails() -> None:
        raise ValueError("mine")

    jobs: list[Any] = []
    with pytest.raises(ValueError, match="mine"), transaction.atomic():
        jobs.extend((transaction.on_commit(fails), on_commit(tasks.count.call(1))))
    job = jobs[1]
    assert job.state == "dropped"
    with pytest.raises(LookupError, match="after the commit before it raised an error"):
        _ = job.handle


def test_who_waits_in_the_transaction_is_told_to_wait_after_it(tasks: Any) -> None:
    from django.db import transaction

    from trioq.contrib.django import wait
    from trioq.contrib.django.tasks_api import TaskResultDoesNotExist

    with transaction.atomic():
        result = tasks.add.enqueue(1)
        with pytest.raises(TaskResultDoesNotExist, match="wait after the atomic block"):
            wait(result, timeout=1)
    with pytest.raises(TypeError, match="what enqueue or get_result returns, not a str"):
        wait(result.id, timeout=1)


def test_a_task_needs_no_on_commit(tasks: Any) -> None:
    from trioq.contrib.django import on_commit

    with pytest.raises(TypeError, match="waits for the commit by itself"):
        on_commit(tasks.add)
    with pytest.raises(TypeError, match="on_commit takes those"):
        on_commit(tasks.add.enqueue)
