"""What Django knows of trioq."""

from __future__ import annotations

from django.apps import AppConfig


class TrioqConfig(AppConfig):  # type: ignore[misc]
    """The app of ``INSTALLED_APPS``."""

    name = "trioq.contrib.django"
    label = "trioq"
    verbose_name = "trioq"

    def ready(self) -> None:
        """Have ``manage.py check`` look at what trioq is told."""
        from trioq.contrib.django import checks  # noqa: F401
