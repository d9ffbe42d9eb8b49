"""The call of a task, as the payload of its job."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.functional import Promise

from trioq.contrib.django import tasks_api as api


def payload_of(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], backend: str
) -> dict[str, Any]:
    """The payload of a task's job.

    Raises:
      TypeError: The function can't be called like this, or JSON can't hold an argument.
    """
    check_call(task, args, kwargs)
    payload: dict[str, Any] = {
        "args": [_json(task, f"argument {i + 1}", value) for i, value in enumerate(args)],
        "kwargs": {name: _json(task, repr(name), value) for name, value in kwargs.items()},
        "backend": backend,
        "queue": task.queue_name,
    }
    if task.priority:
        payload["priority"] = task.priority
    if task.run_after is not None:
        payload["run_after"] = task.run_after.isoformat()
    return payload


def check_call(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Whether a task's function can be called like this.

    Raises:
      TypeError: It can't.
    """
    first = (None,) if task.takes_context else ()
    try:
        inspect.signature(task.func).bind(*first, *args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{task.module_path}: {error}") from None


def _json(task: Any, which: str, value: Any) -> Any:
    try:
        return api.normalize_json(value)
    except (TypeError, ValueError):
        raise TypeError(f"{task.module_path}: {which} {unfit(value)}") from None


def unfit(value: Any) -> str:
    """What is wrong with a value that JSON can't hold, and what to give instead."""
    inner = _innermost(value)
    kind = type(inner).__name__
    what, instead = f"a {kind}", "a text, a number, a list or a dict"
    if isinstance(inner, Promise):
        what, instead = "a lazy text", "str(…) of it"
    elif hasattr(inner, "pk"):
        instead = "its primary key"
    verb = "is" if inner is value else "has in it"
    return f"{verb} {what}, which JSON can't hold: give {instead}"


def _innermost(value: Any) -> Any:
    """The part of a list or a dict that JSON can't hold, or all of it."""
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = (*value, *value.values())
    elif isinstance(value, list | tuple):
        parts = value
    for part in parts:
        try:
            api.normalize_json(part)
        except (TypeError, ValueError):
            return _innermost(part)
    return value
