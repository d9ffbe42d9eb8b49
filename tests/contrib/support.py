"""Which Tasks of Django there are."""

from __future__ import annotations

from importlib.util import find_spec


def _package() -> str | None:
    if find_spec("django") is None:
        return None
    names = ("django.tasks", "django_tasks")
    return next((name for name in names if find_spec(name) is not None), None)


TASKS_OF = _package() or ""
"""Django's own, from 6.0 on, or the backport; empty: neither is installed."""
