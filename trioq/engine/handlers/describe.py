"""What went wrong, in bounded text, whatever was raised.

An error of a handler is looked at here and nowhere else. Its class may lie, and each of its
attributes and methods may raise; so it is asked by what Python itself keeps of it, and what
its own code has to say is taken with care.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from contextvars import copy_context
from types import TracebackType
from typing import Any

from trioq.core import result
from trioq.core.formats import payload
from trioq.core.outcome import Error

MESSAGE_BYTES = 1000
TRACEBACK_BYTES = 8000
TYPE_BYTES = 200

#: Of an error's arguments, as JSON.
ARGS_BYTES = 1000

#: Of a group with very many exceptions, these are named.
SHOWN_LEAVES = 10

#: Of a deep recursion, and of a long chain of causes, the end is shown.
SHOWN_FRAMES = 30
SHOWN_CAUSES = 4

#: Where a handler was called from tells its author nothing.
_OURS = ("trioq.engine.handlers", "trioq.contrib", "trio", "outcome", "contextlib")

# What Python itself keeps of an error and of a class, whatever their own code says.
_members = BaseExceptionGroup.__dict__["exceptions"].__get__
traceback_of = BaseException.__dict__["__traceback__"].__get__
with_traceback = BaseException.with_traceback
_args = BaseException.__dict__["args"].__get__
_cause = BaseException.__dict__["__cause__"].__get__
_context = BaseException.__dict__["__context__"].__get__
_hides_context = BaseException.__dict__["__suppress_context__"].__get__
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__


class Raised(Exception):
    """Carries what a handler raised through trio, which isn't as careful as we are."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()


def is_a(error: object, *kinds: type) -> bool:
    """Whether it is of one of these classes. ``isinstance`` asks the object, which may lie."""
    return issubclass(type(error), kinds)


def describe(error: BaseException) -> Error:
    """The error as the job's history keeps it. Never raises.

    A group with one exception in it is that exception; of others, all are named.
    """
    leaves = leaves_of(error)
    if len(leaves) == 1:
        error = leaves[0]
        message = text_of(error)
    else:
        parts = [f"{name_of(leaf)}: {text_of(leaf)}" for leaf in leaves[:SHOWN_LEAVES]]
        if len(leaves) > SHOWN_LEAVES:
            parts.append("…")
        message = f"{len(leaves)} errors: " + "; ".join(parts)
    while type(error) is Raised:
        error = error.error
    return Error(
        clip(name_of(error), TYPE_BYTES),
        clip(message, MESSAGE_BYTES),
        clip_front(_traceback(leaves), TRACEBACK_BYTES),
    )


def args_of(error: BaseException) -> tuple[Any, ...] | None:
    """Its arguments as JSON has them; None where it can't, or not in so few bytes. Never raises."""
    try:
        return tuple(payload.loads(copy_context().run(_encoded_args, error)))
    except BaseException:
        return None


def _encoded_args(error: BaseException) -> bytes:
    return result.encode(list(_args(error)), ARGS_BYTES)


def leaves_of(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, and in its groups; an error that isn't one is its own leaf."""
    leaves, nodes = [], [error]
    while nodes:  # not recursive: groups may be nested deeper than Python's stack is
        node = nodes.pop()
        if type(node) is Raised:
            nodes.append(node.error)
        elif is_a(node, BaseExceptionGroup):
            nodes += reversed(_members(node))
        else:
            leaves.append(node)
    return leaves


def text_of(error: BaseException) -> str:
    """What the error says; a substitute where saying it fails."""
    try:
        return _plain(str(error))
    except BaseException as broken:
        return f"<its text can't be made: {name_of(broken)}>"


def without_caller(error: BaseException) -> BaseException:
    """The same error, whose traceback begins below the frame that has caught it."""
    tb = traceback_of(error)
    return with_traceback(error, None if tb is None else tb.tb_next)


def name_of(error: BaseException) -> str:
    """Its class, with the module where that isn't obvious."""
    name, module = _plain(_qualname(type(error))), module_of(type(error))
    return name if module in ("", "builtins", "__main__") else f"{module}.{name}"


def module_of(kind: type) -> str:
    """The module of a class; empty where it doesn't say."""
    module = _module(kind)
    return _plain(module) if is_a(module, str) else ""


def clip(text: str, limit: int) -> str:
    """The beginning of a text: valid UTF-8, at most ``limit`` bytes."""
    encoded = _escaped(text[:limit])
    if len(encoded) <= limit and len(text) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def clip_front(text: str, limit: int) -> str:
    """The end of a text, from the beginning of a line where it has one."""
    encoded = _escaped(text[-limit:])
    if len(encoded) <= limit and len(text) <= limit:
        return encoded.decode()
    rest = encoded[-(limit - 4) :]
    _, newline, lines = rest.partition(b"\n")
    return "…\n" + (lines if newline and lines else rest).decode("utf-8", "ignore")


def _plain(text: str) -> str:
    """The same text as a ``str`` and nothing else: a subclass may raise whatever is done to it."""
    return str.__str__(text)


def _escaped(text: str) -> bytes:
    """UTF-8, also of a text that holds half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace")


def _traceback(leaves: list[BaseException]) -> str:
    try:
        return "\n".join(itertools.chain.from_iterable(map(_chain, leaves[:SHOWN_LEAVES])))
    except BaseException as broken:  # a loader of the handler's own, that can't give its lines
        return f"<no traceback: {name_of(broken)}>"


def _chain(error: BaseException) -> Iterator[str]:
    """The frames of an error, after those of what caused it."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(links) < SHOWN_CAUSES:  # which also ends a circle
        links.append(link)
        link = _cause(link) if _hides_context(link) else _context(link)
    for link in reversed(links):
        frames = traceback.format_tb(_without_ours(traceback_of(link)), limit=-SHOWN_FRAMES)
        if frames:
            yield "".join(frames) + clip(f"{name_of(link)}: {text_of(link)}", MESSAGE_BYTES)


def _without_ours(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_ours(dict.get(tb.tb_frame.f_globals, "__name__")):
        tb = tb.tb_next
    return tb


def _is_ours(module: Any) -> bool:
    return type(module) is str and any(
        module == ours or module.startswith(f"{ours}.") for ours in _OURS
    )
