"""Tasks, and handlers of trioq's own."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import connection

import trioq
from tests.contrib.django_shop.models import Order
from tests.contrib.support import TASKS_OF
from trioq.contrib.django import app, options

task: Any = import_module(TASKS_OF).task


@task()
def add(order: int, amount: int = 1) -> int:
    found = Order.objects.get(pk=order)
    found.total += amount
    found.save()
    return int(found.total)


@task(priority=10, queue_name="mail")
async def add_async(order: int, amount: int = 1) -> int:
    found = await Order.objects.aget(pk=order)
    found.total += amount
    await found.asave()
    return int(found.total)


@task(takes_context=True)
@options(retry=trioq.Retry(max_attempts=2, base=0.001, cap=0.001))
def fail(context: Any, times: int) -> list[Any]:
    if context.attempt <= times:
        raise ValueError(f"attempt {context.attempt}")
    result = context.task_result
    return [context.attempt, [error.exception_class.__name__ for error in result.errors]]


@task()
def unfit() -> object:
    return object()


@task()
def repeat(text: str, times: int) -> str:
    return text * times


@task()
def was_connected() -> bool:
    """Whether the job before has left its connection."""
    was = connection.connection is not None
    Order.objects.count()
    return was


@app.job(result="1h")
async def count_async() -> int:
    return await Order.objects.acount()


@app.job(result="1h")
def count(job: trioq.Job, more: int) -> int:
    return int(Order.objects.count()) + more
