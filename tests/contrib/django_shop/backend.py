"""A backend that a project has made of trioq's."""

from __future__ import annotations

from trioq.contrib.django import TasksBackend


class Backend(TasksBackend):
    """It changes nothing."""
