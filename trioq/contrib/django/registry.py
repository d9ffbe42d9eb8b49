"""The tasks that this process has seen, and what their functions say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

#: What a task's function may say: options of ``@app.job``.
OPTIONS = (
    "timeout", "retry", "on_lease_loss", "isolation", "result", "breaker", "limits",
)  # fmt: skip

_SAID = "__trioq_options__"

tasks: dict[str, Any] = {}
"""The path of a function → the task that was made of it."""


def options(**said: Any) -> Callable[[F], F]:
    """Say how trioq runs a task: stands below ``@task``, with options of ``@app.job``.

    Args:
      said: ``timeout``, ``retry``, ``on_lease_loss``, ``isolation``, ``result``, ``breaker``,
          ``limits``, as :meth:`trioq.App.job` has them.

    Raises:
      TypeError: It is none of these, or it stands above ``@task``.
    """
    for name in said:
        if name not in OPTIONS:
            raise TypeError(f"options: there is no {name!r}: expected {', '.join(OPTIONS)}")

    def mark(function: F) -> F:
        if not callable(function):
            raise TypeError("options stands below @task: its order is @task, @options(…), def")
        setattr(function, _SAID, said)
        return function

    return mark


def options_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """What :func:`options` has said of it."""
    said: Mapping[str, Any] = getattr(function, _SAID, {})
    return said


def remember(task: Any) -> None:
    """Know a task by its function; one that is made of another has the same."""
    known = tasks.get(task.module_path)
    if known is None or known.func is not task.func:
        tasks[task.module_path] = task
