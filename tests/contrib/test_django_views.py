"""Views of Django that enqueue, in a test's world."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from trioq import App
from trioq.core.config import Config
from trioq.testing import World


@pytest.fixture
def orders(project: None) -> Iterator[Any]:
    """The orders; views are those of this module, and no server is there."""
    from django.db import connections
    from django.test import override_settings

    from tests.contrib.django_shop.models import Order

    nowhere = {"redis": {"url": "redis://localhost:1"}}
    with override_settings(TRIOQ=nowhere, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
        Order.objects.all().delete()
        yield Order.objects
        connections.close_all()


@pytest.fixture
def trioq_app(orders: Any) -> App:
    from trioq.contrib.django.engine import app

    return app


@pytest.fixture
def trioq_config(orders: Any) -> Config:
    from trioq.contrib.django import conf

    return conf.made().config


@pytest.fixture
def browser(tq: World) -> Any:
    from django.test import Client

    return Client()


def buy(request: Any) -> Any:
    """A view: an order, a task and a job that wait for its commit; or for none."""
    from django.db import transaction
    from django.http import HttpResponse

    from tests.contrib.django_shop.models import Order
    from tests.contrib.django_shop.tasks import add, count
    from trioq.contrib.django import on_commit

    with transaction.atomic():
        order = Order.objects.create(total=1)
        task = add.enqueue(order.pk, 2)
        job = on_commit(count.call(10))
        if "fail" in request.GET:
            transaction.set_rollback(True)
    return HttpResponse(f"{task.id} {job.id}")


def urls() -> list[Any]:
    from django.urls import path

    return [path("buy", buy)]


def __getattr__(name: str) -> Any:
    if name == "urlpatterns":
        return urls()
    raise AttributeError(name)


def test_what_a_view_enqueues_is_there_after_its_commit_and_runs_when_the_test_says(
    tq: World, browser: Any, orders: Any
) -> None:
    from tests.contrib.django_shop.tasks import add
    from trioq.contrib.django import client

    task, job = browser.post("/buy").content.decode().split()
    assert add.get_result(task).status == "READY"
    assert tq.run(tq.drain).done == 2
    result = add.get_result(task)
    assert (result.status, result.return_value) == ("SUCCESSFUL", 3)
    assert client().handle(job).result() == 11
    assert orders.get().total == 3


def test_what_a_view_enqueues_that_rolls_back_is_nowhere(
    tq: World, browser: Any, orders: Any
) -> None:
    browser.post("/buy?fail=1")
    assert tq.run(tq.drain).done == 0
    assert tq.space.alive == 0


def test_a_test_case_of_djangos_runs_what_waits_for_a_commit_that_never_comes(
    tq: World, browser: Any, orders: Any
) -> None:
    """It is all in one transaction, as ``TestCase`` has it."""
    from django.test import TestCase

    class Case(TestCase):
        def runTest(self) -> None:  # noqa: N802
            with self.captureOnCommitCallbacks(execute=True):
                browser.post("/buy")

    outcome = Case().run()
    assert outcome.errors == outcome.failures == []  # type: ignore[union-attr]
    assert tq.space.alive == 2
