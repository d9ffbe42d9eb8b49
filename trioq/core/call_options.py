"""What a call asks for itself, before it is enqueued: the options that ``enqueue`` has for a job.

They are kept as they were given, by name: a time from now counts from the enqueue. All that can be
wrong with them is told where they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from trioq.core import arguments, valid
from trioq.core.arguments import INHERIT
from trioq.core.same import Same
from trioq.core.wall import wall_ms
from trioq.errors import PayloadRejected

CallOptions = Mapping[str, Any]

NO_CALL_OPTIONS: Final[CallOptions] = {}

#: Each of these says when a job is due; one of them takes the place of all that were said before.
_SAY_WHEN = frozenset({"delay", "at", "debounce"})
_BESIDE_DEBOUNCE = frozenset({"max_wait"})

_ABOUT_IDS = "on_conflict", "debounce", "max_wait", "cooldown", "id_retention", "id_dead"

#: What an id that isn't known yet stands for.
_SOME_ID = "?"


def said(given: CallOptions) -> CallOptions:
    """Those of these that say something."""
    return {
        name: value
        for name, value in given.items()
        if value is not (INHERIT if name == "deadline" else None)
    }


def over(first: CallOptions, then: CallOptions) -> dict[str, Any]:
    """Two together: what the second says takes the place of what the first does.

    Args:
      then: Also with what says nothing.
    """
    then = said(then)
    gone = _SAY_WHEN | _BESIDE_DEBOUNCE if _SAY_WHEN & then.keys() else frozenset()
    return {name: value for name, value in first.items() if name not in gone} | dict(then)


def apart(options: CallOptions) -> tuple[Same, dict[str, Any]]:
    """What of them is about other jobs with the same id, and what isn't."""
    others = {name: value for name, value in options.items() if name not in _ABOUT_IDS}
    return Same.said(**{name: options.get(name) for name in _ABOUT_IDS}), others


def check(options: CallOptions) -> None:
    """Refuse what no job can have, all of it.

    Args:
      options: Only what says something.

    Raises:
      TypeError: Something is of the wrong kind, or contradicts something else.
      PayloadRejected: All is of the right kind, and something can't be.
    """
    faults = list(_faults(options))
    if not faults:
        return
    told = "; ".join(str(fault) for fault in faults)
    is_kind = any(isinstance(fault, TypeError) for fault in faults)
    raise TypeError(told) if is_kind else PayloadRejected(told)


def _faults(options: CallOptions) -> Iterator[Exception]:
    now_ms = wall_ms()
    checks: dict[str, Callable[[Any], Any]] = {
        "id": arguments.caller_id,
        "delay": lambda delay: arguments.seconds("delay", delay, valid.DELAY_S),
        "at": lambda at: arguments.wall_clock(at, options.get("delay")),
        "queue": arguments.queue_name,
        "max_attempts": arguments.attempts,
        "timeout": lambda timeout: arguments.seconds("timeout", timeout, valid.TIMEOUT_S),
        "result": lambda result: arguments.keep("result", result),
        "deadline": lambda when: when is None or arguments.moment("deadline", when, now_ms),
        "expires": lambda when: arguments.moment("expires", when, now_ms),
        "fair_key": lambda key: arguments.fair(key, None),
        "weight": lambda weight: arguments.fair(None, weight),
    }
    for name, check_one in checks.items():
        if name in options:
            try:
                check_one(options[name])
            except (TypeError, PayloadRejected) as fault:
                yield fault
    try:
        # Its id may still come, from whoever enqueues it or from its payload.
        same, others = apart(options)
        delay, at = others.get("delay"), others.get("at")
        same.settled(options.get("id", _SOME_ID), delay, at)
    except (TypeError, PayloadRejected) as fault:
        yield fault
