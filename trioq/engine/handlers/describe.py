"""What went wrong, in bounded text, whatever was raised."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import TracebackType

from trioq.core.outcome import Error

MESSAGE_CHARS = 1000
TRACEBACK_CHARS = 8000

#: Frames above the handler's own tell a user nothing.
_OURS = ("trioq.engine", "trio.", "outcome")


def describe(error: BaseException) -> Error:
    """The error as the job's history keeps it. Never raises."""
    leaves = list(leaves_of(error))
    if len(leaves) == 1:
        error = leaves[0]
        message = _text(error)
    else:
        parts = "; ".join(f"{_name(leaf)}: {_text(leaf)}" for leaf in leaves)
        message = f"{len(leaves)} errors: {parts}"
    return Error(_name(error), _clean(message[:MESSAGE_CHARS]), _clean(_traceback(error)))


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in a group, and in its groups; an error that isn't one is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves_of(inner)
    else:
        yield error


def _name(error: BaseException) -> str:
    kind = type(error)
    module = kind.__module__
    return (
        kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:
        return f"<its text can't be made: {type(broken).__name__}>"


def _traceback(error: BaseException) -> str:
    try:
        frames = "".join(traceback.format_tb(_handlers_own(error.__traceback__), limit=-50))
    except Exception:
        return ""
    return frames[-TRACEBACK_CHARS:]


def _handlers_own(tb: TracebackType | None) -> TracebackType | None:
    first = tb
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        tb = tb.tb_next
    return tb or first


def _clean(text: str) -> str:
    """Valid UTF-8, also where a message holds half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
