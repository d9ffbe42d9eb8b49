"""What a handler returned: a result, or something that still has to be run.

A generator, say, is a body of which nothing has run. A job whose handler returned one isn't
done, so what can be awaited is awaited, and the rest is an error that says so.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Generator, Sequence
from concurrent.futures import Future
from itertools import islice, starmap
from types import BuiltinFunctionType, CoroutineType, FunctionType, MethodType, NoneType
from typing import Any

from trioq.core.call import Call
from trioq.engine.handlers.describe import is_a
from trioq.engine.handlers.shape import async_manager, manager
from trioq.errors import JobControl

#: Surely results; most handlers return one of these. By identity: a class's own hash may raise.
PLAIN = frozenset(map(id, (NoneType, bool, int, float, str, bytes, dict)))

#: So many of a list's items are looked at: who forgot to await one forgot it for the first, too.
LOOKED_AT = 100


class BadHandler(TypeError):
    """The handler isn't one that can run here; another attempt is no use."""


#: What only runs when somebody runs it, and what would be right.
_UNDONE: tuple[tuple[str, str, tuple[type, ...]], ...] = (
    ("a generator", "go through it, and return when that is done", (Generator,)),
    ("an async generator", "go through it, and return when that is done", (AsyncGenerator,)),
    ("a lazy iterator", "go through it, and return when that is done", (map, filter, starmap)),
    (
        "a context manager",
        "enter it with a with statement",
        (type(manager()), type(async_manager())),
    ),
    (
        "a function",
        "call it (or a decorator lacks its parentheses)",
        (FunctionType, MethodType, BuiltinFunctionType, functools.partial),
    ),
    ("a Future", "return its result()", (Future,)),
    ("a call for later", "give it to a client's enqueue", (Call,)),
    ("a wish for its job", "raise it", (JobControl,)),
)


#: All of these.
_ALL_UNDONE = tuple(kind for _, _, kinds in _UNDONE for kind in kinds)


def is_finished(returned: object) -> bool:
    """Whether that is the result, and nothing of it has to be run: as :func:`finished` sees it."""
    kind = type(returned)
    if kind is list or kind is tuple:
        return not _has_coroutines(returned)  # type: ignore[arg-type]
    return not _can_be_awaited(returned) and not _is_one_of(returned, _ALL_UNDONE)


async def finished(returned: Any) -> Any:
    """The result of a handler that returned this: awaited, as often as that gives more to await.

    Raises:
      BadHandler: It's something that has to be run in another way.
      BaseException: Whatever is raised by what is awaited.
    """
    while _can_be_awaited(returned):
        returned = await returned
    for what, right, kinds in _UNDONE:
        if _is_one_of(returned, kinds):
            raise BadHandler(f"it returned {what}, which nobody runs: {right}")
    if (type(returned) is list or type(returned) is tuple) and _has_coroutines(returned):
        raise BadHandler("it returned coroutines, which nobody runs: await each of them")
    return returned


def _has_coroutines(returned: Sequence[object]) -> bool:
    return any(type(item) is CoroutineType for item in islice(returned, LOOKED_AT))


def _can_be_awaited(returned: object) -> bool:
    try:
        return hasattr(type(returned), "__await__")
    except BaseException:  # a class of a class that doesn't like to be asked
        return False


def _is_one_of(returned: object, kinds: tuple[type, ...]) -> bool:
    try:
        return is_a(returned, *kinds)
    except BaseException:
        return False
