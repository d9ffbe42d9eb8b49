"""Marks: places that a handler names itself, for who explores it."""

from __future__ import annotations

from collections.abc import Callable

REACHED = object()
"""What a mark gives to a coroutine that is watched."""

watched: Callable[[str], bool] | None = None
"""Told of marks, once anything is explored; whether a coroutine has to tell of it."""


def mark(text: str = "") -> object:
    """A step of the handler that calls it, for :func:`trioq.testing.explore`; else nothing.

    A ``def`` handler can be stopped where it has called something in its own body; with a mark,
    also within what it calls. In ``async def`` functions each ``await`` is a step without it.

    Args:
      text: Its name, for people.
    """
    if watched is None:
        return None
    return REACHED if watched(repr(text) if text else "") else None
