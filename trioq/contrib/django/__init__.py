"""trioq in Django: a backend of its Tasks, ``manage.py trioq``, and jobs that wait for a commit.

``"trioq.contrib.django"`` belongs into ``INSTALLED_APPS``. What is here is imported when it is
first used: settings have to be known by then, and whoever only enqueues needs no engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import django  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "django":
        raise
    told = "trioq.contrib.django needs Django: pip install 'trioq[django]'"
    raise ModuleNotFoundError(told, name="django") from None

if TYPE_CHECKING:
    from trioq.contrib.django.backend import TasksBackend
    from trioq.contrib.django.clients import client
    from trioq.contrib.django.commit import OnCommit, on_commit
    from trioq.contrib.django.jobs import app
    from trioq.contrib.django.registry import options
    from trioq.contrib.django.results import wait

__all__ = ["OnCommit", "TasksBackend", "app", "client", "on_commit", "options", "wait"]

_HOMES = {
    "OnCommit": "commit",
    "TasksBackend": "backend",
    "app": "jobs",
    "client": "clients",
    "on_commit": "commit",
    "options": "registry",
    "wait": "results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
