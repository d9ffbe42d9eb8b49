"""Named places around every call that changes state, where a test makes things go wrong.

A place is a call and a moment: ``step.before`` is passed before the script is sent,
``step.after`` when it has been executed and its answer isn't used yet, ``step.used`` when
that is handed over. Off, a place costs one look at an empty dictionary, and there are a few
for each batch, none for each job of it but around its handler.

A process is told at its start, and a test in the same process by :func:`arm`. So that a variable
alone harms nobody, TRIOQ_TEST_FAILPOINTS=1 has to be set, too:

    TRIOQ_FAILPOINT="step.after:kill@3"       SIGKILL at the third pass
    TRIOQ_FAILPOINT="beat.before:stop"        SIGSTOP at the first
    TRIOQ_FAILPOINT="step.used:delay=0.5"     this many seconds later, at every pass
    TRIOQ_FAILPOINT="job.after:raise@2"       FailpointReached

The idea is that of FreeBSD's failpoints.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import attrs


class FailpointReached(Exception):
    """Raised where a test wants it."""


@attrs.define
class _Armed:
    act: Callable[[], None]
    nth: int
    """The pass at which it acts; 0: at each."""
    passes: int = 0


_armed: dict[str, _Armed] = {}
_lock = threading.Lock()


def armed() -> bool:
    """Whether a test has armed any place."""
    return bool(_armed)


def failpoint(call: str, moment: str) -> None:
    """A place. Does nothing unless a test has armed it."""
    if _armed:
        _reached(f"{call}.{moment}")


def _reached(place: str) -> None:
    with _lock:
        armed = _armed.get(place)
        if armed is None:
            return
        armed.passes += 1
        if armed.nth not in (0, armed.passes):
            return
    armed.act()


def arm(place: str, act: Callable[[], None], nth: int = 1) -> None:
    """Call ``act`` at the ``nth`` pass of this place; 0: at each."""
    with _lock:
        _armed[place] = _Armed(act, nth)


def disarm() -> None:
    """All places are harmless again."""
    with _lock:
        _armed.clear()


def arm_from(text: str) -> None:
    """Arm ``place:action[@nth]``.

    Raises:
      ValueError: That isn't one.
    """
    place, _, what = text.partition(":")
    action, _, nth = what.partition("@")
    verb, _, seconds = action.partition("=")
    if verb == "delay":
        arm(place, partial(time.sleep, float(seconds)), int(nth or 0))
    elif verb in _SIGNALS:
        arm(place, partial(os.kill, os.getpid(), _SIGNALS[verb]), int(nth or 1))
    elif verb == "raise":
        arm(place, partial(_raise, place), int(nth or 1))
    else:
        raise ValueError(f"no such failpoint: {text!r}")


#: Those that there are here: Windows has one of them.
_SIGNALS = {
    verb: getattr(signal, name)
    for verb, name in {"kill": "SIGKILL", "stop": "SIGSTOP", "term": "SIGTERM"}.items()
    if hasattr(signal, name)
}


def _raise(place: str) -> None:
    raise FailpointReached(place)


def is_idle(environ: Mapping[str, str]) -> bool:
    """Whether somebody has set a failpoint, and it isn't armed."""
    return bool(environ.get("TRIOQ_FAILPOINT")) and environ.get("TRIOQ_TEST_FAILPOINTS") != "1"


if (_told := os.environ.get("TRIOQ_FAILPOINT")) and not is_idle(os.environ):
    arm_from(_told)
