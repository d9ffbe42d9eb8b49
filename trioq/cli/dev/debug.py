"""Debuggers in an engine: ``breakpoint()`` has the terminal, and no timeout runs meanwhile."""

from __future__ import annotations

import os
import pdb
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import trio

from trioq.lines import flush

#: The loop looks at its clock at least so often while a debugger of another kind is there; when
#: more time has passed, that one has held all threads.
LOOK_S = 0.5
HELD_S = 2.0


@attrs.define
class Clock(trio.abc.Clock):
    """The time of the engine's loop, which stands still while somebody is at a prompt: else the
    job that is looked at would be timed out."""

    _lost_s: float = attrs.field(default=0.0, init=False)
    _read_at: float = attrs.field(factory=time.perf_counter, init=False)
    _stopped_at: float | None = attrs.field(default=None, init=False)
    _prompts: int = attrs.field(default=0, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    @property
    def stands(self) -> bool:
        """Whether somebody is at a prompt."""
        return self._prompts > 0

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While somebody is at a prompt; in any thread."""
        with self._lock:
            self._prompts += 1
            if self._stopped_at is None:
                self._stopped_at = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._prompts -= 1
                if not self._prompts:
                    self._lost_s += time.perf_counter() - self._stopped_at
                    self._read_at, self._stopped_at = time.perf_counter(), None

    def start_clock(self) -> None:
        """It goes already."""

    def current_time(self) -> float:
        """In seconds."""
        with self._lock:
            if self._stopped_at is not None:
                return self._stopped_at - self._lost_s
            now = time.perf_counter()
            if now - self._read_at > HELD_S and is_debugged():
                self._lost_s += now - self._read_at
            self._read_at = now
            return now - self._lost_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """For how long to wait for something else."""
        left_s = deadline - self.current_time()
        if self.stands:
            return max(left_s, LOOK_S)
        return min(left_s, LOOK_S) if is_debugged() else left_s


def is_debugged() -> bool:
    """Whether a debugger like VS Code's is in this process, which stops all threads."""
    return "pydevd" in sys.modules


class _Prompt(pdb.Pdb):
    """Python's own, one prompt at a time, by the clock of the engine."""

    turn = threading.RLock()

    def __init__(self, clock: Clock) -> None:
        super().__init__(nosigint=True)  # Ctrl-C ends the engine, also later
        self._clock = clock

    def interaction(self, *args: Any, **options: Any) -> None:
        with self.turn, self._clock.stopped():
            flush()  # what led to it comes first
            super().interaction(*args, **options)


def have_prompts(clock: Clock) -> None:
    """``breakpoint()`` leads to a prompt by whose time the clock stands still, unless somebody has
    said where else it is to lead."""
    if sys.breakpointhook is not sys.__breakpointhook__ or "PYTHONBREAKPOINT" in os.environ:
        return

    def hook(*args: object, **options: object) -> None:
        frame: FrameType = sys._getframe(1)
        _Prompt(clock).set_trace(frame)

    sys.breakpointhook = hook
