"""The end of an engine's process, which threads that a handler left behind may hold up.

Python waits at its end for the threads of a pool that is still busy, say, and for all others
that aren't daemons; and for processes of multiprocessing. Somebody who looks at a process that
doesn't end wants to know why, and whoever waits for it wants it to end. All jobs are settled or
given back by then.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

import attrs

from trioq.lines import FLUSH_S, flush

#: An end that takes no longer than this is none to speak of: log lines may wait for a reader.
SOON_S = FLUSH_S + 1.0

#: What runs a thread's function tells nobody where it stands.
_AROUND = ("threading", "concurrent.futures.thread")


@attrs.define
class Leaving:
    """What is done when the process is about to end.

    Args:
      patience_s: How long threads that still run are waited for.
      tell: Is given the message and its fields.
    """

    patience_s: float
    tell: Callable[..., object]

    def watch(self, code: int) -> None:
        """Look on, beside whoever waits for the threads, and then end with this exit code."""
        with contextlib.suppress(RuntimeError):  # no more threads
            threading.Thread(target=self._watch, args=(code,), daemon=True).start()

    def _watch(self, code: int) -> None:
        time.sleep(SOON_S)
        self.tell("end_held_up", by=_left(), ends_in_s=self.patience_s)
        time.sleep(self.patience_s)
        self.tell("end_forced", by=_left())
        flush()
        os._exit(code)


def _left() -> list[str]:
    """Who holds up the end, and where each stands: threads, or else what the end itself does."""
    stacks = {ident: _stack_of(frame) for ident, frame in sys._current_frames().items()}
    main = threading.main_thread()
    threads = [thread for thread in threading.enumerate() if thread is not main]
    holding = [t for t in threads if not t.daemon or _is_of_a_pool(stacks.get(t.ident or 0, []))]
    return [f"{t.name}: {_where(stacks.get(t.ident or 0, []))}" for t in holding or [main]]


def _stack_of(innermost: FrameType) -> list[FrameType]:
    return [frame for frame, _ in traceback.walk_stack(innermost)][::-1]


def _is_of_a_pool(stack: list[FrameType]) -> bool:
    """Those are waited for though they may be daemons, as a pool's maker's thread was one."""
    return any(frame.f_globals.get("__name__") == _AROUND[1] for frame in stack)


def _where(stack: list[FrameType]) -> str:
    """The line of whoever gave the thread its work, and the one deep in a library."""
    own = [frame for frame in stack if frame.f_globals.get("__name__") not in _AROUND]
    lines = [
        f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        for frame in dict.fromkeys((own or stack)[:1] + stack[-1:])
    ]
    return ", which waits at ".join(lines) or "unknown"


_leaving: list[Leaving] = []


def prepare(patience_s: float, tell: Callable[..., object]) -> None:
    """An engine runs in this process: its end is to be looked after."""
    _leaving[:] = [Leaving(patience_s, tell)]


def look_after(code: object) -> None:
    """The process is about to end with this exit code."""
    for leaving in _leaving:
        leaving.watch(code if isinstance(code, int) else 0 if code is None else 1)
