"""Django's Tasks API, from whichever package this project has it.

It is ``django.tasks`` from Django 6.0 on, unless ``django_tasks``, the backport, is an installed
app.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def _package() -> str:
    names = set(settings.INSTALLED_APPS)
    if apps.app_configs:
        names |= {each.name for each in apps.get_app_configs()}
    if find_spec("django.tasks") is not None and "django_tasks" not in names:
        return "django.tasks"
    if find_spec("django_tasks") is not None:
        return "django_tasks"
    raise ImproperlyConfigured(
        "this Django has no Tasks yet: pip install django-tasks, and add 'django_tasks' to"
        " INSTALLED_APPS (Django 6.0 has them)"
    )


PACKAGE = _package()

_root: Any = import_module(PACKAGE)
_base: Any = import_module(f"{PACKAGE}.base")
_exceptions: Any = import_module(f"{PACKAGE}.exceptions")
signals: Any = import_module(f"{PACKAGE}.signals")

BaseTaskBackend: Any = import_module(f"{PACKAGE}.backends.base").BaseTaskBackend
Task: Any = _base.Task
TaskContext: Any = _base.TaskContext
TaskError: Any = _base.TaskError
TaskResult: Any = _base.TaskResult
TaskResultStatus: Any = _base.TaskResultStatus
DEFAULT_QUEUE: str = _base.DEFAULT_TASK_QUEUE_NAME
TaskResultDoesNotExist: Any = _exceptions.TaskResultDoesNotExist
InvalidTask: Any = getattr(_exceptions, "InvalidTask", None) or _exceptions.InvalidTaskError
task_backends: Any = _root.task_backends
normalize_json: Any = (
    import_module("django.utils.json")
    if PACKAGE == "django.tasks"
    else import_module(f"{PACKAGE}.utils")
).normalize_json
