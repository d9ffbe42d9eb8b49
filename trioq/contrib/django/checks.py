"""What ``manage.py check`` tells of trioq."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from trioq import PayloadRejected
from trioq.contrib.django import conf
from trioq.contrib.django.registry import OPTIONS
from trioq.core.arguments import keep

#: What ``OPTIONS`` of a backend may have.
KNOWN = ("priorities", "on_commit", "database", "result")


def settings_faults(app_configs: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """What is wrong in ``settings.TRIOQ``."""
    try:
        conf.made()
    except ImproperlyConfigured as error:
        return [checks.Error(line, id="trioq.E001") for line in str(error).splitlines()]
    return []


checks.register(settings_faults)


def schedule_faults(app_configs: Any = None, **_: Any) -> Iterator[checks.CheckMessage]:
    """Tasks of ``SCHEDULES`` that there aren't, or that can't be called like this."""
    try:
        conf.made()
    except ImproperlyConfigured:
        return  # told above
    for name, each in (getattr(settings, "TRIOQ", {}).get("SCHEDULES") or {}).items():
        if "task" in each and (wrong := _wrong_call(each)):
            said = f"settings.TRIOQ: SCHEDULES: {name!r}: {wrong}"
            yield checks.Error(said, id="trioq.E007")


checks.register(schedule_faults)


def _wrong_call(said: Mapping[str, Any]) -> str | None:
    from trioq.contrib.django import calls
    from trioq.contrib.django import tasks_api as api

    task = said["task"]
    if isinstance(task, str):
        try:
            task = import_string(task)
        except ImportError as error:
            return f"there is no task {said['task']!r}: {error}"
    if not isinstance(task, api.Task):
        return f"{said['task']!r} is no task: @task makes one of a function"
    try:
        calls.payload_of(task, said.get("args", ()), said.get("kwargs", {}), task.backend)
    except TypeError as error:
        return str(error)
    return None


def backend_faults(
    alias: str, queues: Sequence[str], options: Mapping[str, Any]
) -> Iterator[checks.CheckMessage]:
    """What is wrong in a backend's part of ``settings.TASKS``."""
    here = f"settings.TASKS: {alias!r}"
    if not apps.is_installed("trioq.contrib.django"):
        yield checks.Warning(
            f"{here}: 'trioq.contrib.django' isn't in INSTALLED_APPS: manage.py has no trioq",
            id="trioq.W001",
        )
    for key in settings.TASKS[alias] if alias in getattr(settings, "TASKS", {}) else ():
        if key not in ("BACKEND", "QUEUES", "OPTIONS"):
            yield checks.Warning(
                f"{here}: nobody reads {key!r}",
                hint=f"{key} belongs into OPTIONS."
                if key in KNOWN
                else "There are BACKEND, QUEUES, OPTIONS.",
                id="trioq.W002",
            )
    try:
        keep("result", options.get("result", 1))
    except (TypeError, PayloadRejected) as error:
        yield checks.Error(f"{here}: OPTIONS: {error}", id="trioq.E008")
    for key in options:
        if key not in KNOWN:
            hint = f"There are {', '.join(KNOWN)}."
            if key in OPTIONS:
                hint = f"Of a single task: @options({key}=…) below @task."
            yield checks.Error(f"{here}: OPTIONS: unknown key {key!r}", hint=hint, id="trioq.E002")
    if not queues:
        yield checks.Error(
            f"{here}: QUEUES is empty: engines have to know which queues there are",
            hint='List them, such as "QUEUES": ["default", "mail"].',
            id="trioq.E003",
        )
    database = options.get("database")
    if database is not None and database not in settings.DATABASES:
        yield checks.Error(
            f"{here}: OPTIONS: database: there is no {database!r} in DATABASES",
            hint=f"There are {', '.join(settings.DATABASES)}.", id="trioq.E006",
        )  # fmt: skip
    try:
        wanted = conf.priorities(options).queues(queues)
    except ValueError as error:
        yield checks.Error(f"{here}: OPTIONS: priorities: {error}", id="trioq.E004")
        return
    try:
        known = conf.made().config.queue_names
    except ImproperlyConfigured:
        return  # told above
    missing = [name for name in wanted if name not in known]
    if missing:
        yield checks.Error(
            f"{here}: tasks go to {', '.join(missing)}, and trioq's configuration lists"
            f" {', '.join(known)} only",
            hint='List them as queues, or say in OPTIONS which there are: "priorities": {1: "high",'
            ' -100: "low"}; {} leaves priorities out.',
            id="trioq.E005",
        )
