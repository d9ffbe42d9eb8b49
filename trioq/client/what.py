"""What people hand to a client to be run: a call, or a handler's name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from trioq.core.call import Call
from trioq.core.call_options import over


def call_or_name(what: Any) -> Call | str:
    """What is to be run.

    Raises:
      TypeError: It is neither; a coroutine is closed.
    """
    if isinstance(what, Call):
        return what
    if isinstance(what, str):
        return str.__str__(what)  # of a member of an enumeration, say
    if name := _handler(what):
        raise TypeError(f"enqueue takes a call, not the handler {name!r} itself: {name}.call(…)")
    kind = f"a {type(what).__name__}"
    if inspect.iscoroutine(what):
        kind = f"the coroutine {what.__qualname__}()"
        what.close()
    raise TypeError(
        f"enqueue takes handler.call(…) or a handler's name, not {kind};"
        " handler(…) without .call runs it here and now"
    )


def _handler(what: Any) -> str | None:
    """The name of the handler that this is."""
    # Whoever has one has loaded this already, with all that runs handlers; others needn't.
    home = sys.modules.get("trioq.handler")
    return what.registered.name if home is not None and isinstance(what, home.Handler) else None


def name_of(what: Call | str) -> str:
    """The name of the job that this makes.

    Raises:
      TypeError: It makes none.
    """
    if type(what) is not Call:
        what = call_or_name(what)
    return what.name if isinstance(what, Call) else what


def fields(payload: Any) -> dict[str, Any]:
    """A payload that was given beside a handler's name.

    Raises:
      TypeError: It is no mapping.
    """
    if payload is None:
        return {}
    if not isinstance(payload, Mapping):
        kind = type(payload).__name__
        raise TypeError(f"payload is a dict with the handler's arguments by name, not a {kind}")
    return dict(payload)


def handler_of(value: Any) -> tuple[str, Any]:
    """A handler's name, and what it says of how its jobs end.

    Raises:
      TypeError: It is none.
    """
    if _handler(value) is None:
        raise TypeError(f"of is a handler, as @app.job made it, not a {type(value).__name__}")
    return value.registered.name, value.registered


def many(calls: Any) -> Iterable[Any]:
    """Calls, one after the other.

    Raises:
      TypeError: It is a single one, or nothing that has any.
    """
    if isinstance(calls, Call | str | bytes | Mapping) or not isinstance(calls, Iterable):
        kind = "a single call" if isinstance(calls, Call) else f"a {type(calls).__name__}"
        raise TypeError(f"enqueue_many takes calls, [handler.call(…), …], not {kind}")
    return calls


def asked_of(what: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What one call of ``enqueue`` asks for: its arguments, and where these say nothing, what the
    call that it is given asks for itself."""
    return over(what.options, given) if isinstance(what, Call) and what.options else given
