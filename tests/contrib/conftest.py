"""A project of Django's, on a SQLite file and a real server; and whole engines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import trioq
from tests.contrib.support import TASKS_OF
from tests.engine.rig import Rig, rig_on
from tests.support import Server

TASKS = {
    "default": {
        "BACKEND": "trioq.contrib.django.TasksBackend",
        "QUEUES": ["default", "mail"],
        "OPTIONS": {"on_commit": True},
    }
}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Django, set up once in this process."""
    if not TASKS_OF:
        pytest.skip("Django isn't installed, or it has no Tasks and django-tasks isn't, either")
    import django
    from django.conf import settings
    from django.core.management import call_command

    directory = tmp_path_factory.mktemp("django")
    zone = os.environ.get("TZ")
    settings.configure(
        BASE_DIR=directory,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": directory / "db.sqlite3"}
        },
        INSTALLED_APPS=[
            *(["django_tasks"] if TASKS_OF == "django_tasks" else []),
            "trioq.contrib.django",
            "tests.contrib.django_shop",
        ],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        LOGGING_CONFIG=None,
        TASKS=TASKS,
        TRIOQ={},
        USE_TZ=True,
        TIME_ZONE="Europe/Berlin",
    )
    # It is other tests' process, too.
    os.environ.pop("TZ", None)
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


@pytest.fixture
def said(server: Server, project: None) -> Iterator[dict[str, Any]]:
    """``settings.TRIOQ``, while it holds."""
    from django.db import connections
    from django.test import override_settings

    from tests.contrib.django_shop.models import Order

    trioq_says = {"redis": {"url": server.url}, "observability": {"bind": ""}}
    with override_settings(TRIOQ=trioq_says):
        Order.objects.all().delete()
        yield trioq_says
        connections.close_all()


Work = Callable[..., None]


@pytest.fixture
def work(said: dict[str, Any]) -> Work:
    """Run an engine until these tasks have ended."""
    from trioq.contrib.django import client, conf

    def run(*ids: str) -> None:
        from trioq.contrib.django.engine import app

        async def until_done() -> None:
            engine = trioq.Engine(app, conf.made().config, report=lambda event: None)
            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    await nursery.start(engine.run)
                    for id in ids:
                        await trio.to_thread.run_sync(lambda id=id: client().handle(id).wait(20))
                    engine.drain()

        trio.run(until_done)

    return run


@pytest.fixture
def shop() -> Path:
    """Where a project for ``manage.py`` lies."""
    return Path(__file__).parent / "django_shop"


@pytest.fixture
def rig(server: Server) -> Iterator[Rig]:
    """A rig on the shared server."""
    with rig_on(server) as rig:
        yield rig
