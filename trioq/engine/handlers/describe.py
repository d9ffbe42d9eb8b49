"""What went wrong, in bounded text, whatever was raised."""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Iterator
from types import TracebackType

from trioq.core.outcome import Error

MESSAGE_BYTES = 1000
TRACEBACK_BYTES = 8000
TYPE_BYTES = 200

#: Of a group with very many exceptions, these are named.
SHOWN_LEAVES = 10

#: Of a deep recursion, and of a long chain of causes, the end is shown.
SHOWN_FRAMES = 30
SHOWN_CAUSES = 4

#: Where a handler was called from tells its author nothing.
_OURS = ("trioq.engine.handlers", "trio", "outcome")


def describe(error: BaseException) -> Error:
    """The error as the job's history keeps it. Never raises.

    A group with one exception in it is that exception; of others, all are named.
    """
    leaves = leaves_of(error)
    if len(leaves) == 1:
        error = leaves[0]
        message = text_of(error)
    else:
        parts = [f"{_name(leaf)}: {text_of(leaf)}" for leaf in leaves[:SHOWN_LEAVES]]
        if len(leaves) > SHOWN_LEAVES:
            parts.append("…")
        message = f"{len(leaves)} errors: " + "; ".join(parts)
    return Error(
        clip(_name(error), TYPE_BYTES),
        clip(message, MESSAGE_BYTES),
        clip_front(_traceback(leaves), TRACEBACK_BYTES),
    )


def leaves_of(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, and in its groups; an error that isn't one is its own leaf."""
    leaves, nodes = [], [error]
    while nodes:  # not recursive: groups may be nested deeper than Python's stack is
        node = nodes.pop()
        if isinstance(node, BaseExceptionGroup):
            nodes += reversed(node.exceptions)
        else:
            leaves.append(node)
    return leaves


def text_of(error: BaseException) -> str:
    """What the error says; a substitute where saying it fails."""
    try:
        return str(error)
    except BaseException as broken:
        return f"<its text can't be made: {type(broken).__name__}>"


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


def _escaped(text: str) -> bytes:
    """UTF-8, also of a text that holds half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace")


def _name(error: BaseException) -> str:
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _traceback(leaves: list[BaseException]) -> str:
    try:
        return "\n".join(itertools.chain.from_iterable(map(_chain, leaves[:SHOWN_LEAVES])))
    except Exception as broken:  # a loader of the handler's own, say, that can't give its lines
        return f"<no traceback: {type(broken).__name__}>"


def _chain(error: BaseException) -> Iterator[str]:
    """The frames of an error, after those of what caused it."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(links) < SHOWN_CAUSES:  # which also ends a circle
        links.append(link)
        link = link.__cause__ if link.__suppress_context__ else link.__context__
    for link in reversed(links):
        frames = traceback.format_tb(_without_ours(link.__traceback__), limit=-SHOWN_FRAMES)
        if frames:
            yield "".join(frames) + clip(f"{_name(link)}: {text_of(link)}", MESSAGE_BYTES)


def _without_ours(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_ours(tb.tb_frame.f_globals.get("__name__") or ""):
        tb = tb.tb_next
    return tb


def _is_ours(module: str) -> bool:
    return any(module == ours or module.startswith(f"{ours}.") for ours in _OURS)
