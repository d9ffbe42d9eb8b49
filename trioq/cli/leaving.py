"""The end of an engine's process, which handlers that go on may hold up, and what they left behind.

An engine waits for a handler in its loop that doesn't heed its cancellation; and Python at its end
for the threads of a pool that is still busy, say, and for all others that aren't daemons; and for
processes of multiprocessing. Somebody who looks at a process that doesn't end wants to know why,
and whoever waits for it wants it to end. All jobs are settled or given back by then, but those
whose handlers don't end: other engines take them when the lease is over.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType

import attrs

from trioq.engine.handlers import Lifespans
from trioq.lines import FLUSH_S, flush

#: An end that takes no longer than this is none to speak of: log lines may wait for a reader.
SOON_S = FLUSH_S + 1.0

#: How often it is looked whether lifespans are left.
LOOK_S = 0.1

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
    handlers: Callable[[], Mapping[str, int]] = dict[str, int]
    """How many handlers go on in the loop, by their names."""
    lifespans: Lifespans = attrs.field(factory=Lifespans)
    """Those that may be being left."""
    code: int = 0
    """The exit code."""
    _watched: bool = attrs.field(default=False, init=False)

    def watch(self) -> None:
        """Look on, beside whoever waits for handlers and threads, and then end."""
        if self._watched:
            return
        self._watched = True
        with contextlib.suppress(RuntimeError):  # no more threads
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        time.sleep(SOON_S)
        while time.monotonic() < self.lifespans.closing_until + SOON_S:
            time.sleep(LOOK_S)
        self.tell("end_held_up", by=self.holding(), ends_in_s=self.patience_s)
        time.sleep(self.patience_s)
        self.tell("end_forced", by=self.holding())
        end_now(1 if self.lifespans.leaving else self.code)

    def holding(self) -> list[str]:
        """Who holds up the end."""
        if self.lifespans.leaving:
            return [f"lifespan {self.lifespans.leaving}"]
        return [f"handler {name}, {n} of them" for name, n in self.handlers().items()] or _left()


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


def begin(handlers: Callable[[], Mapping[str, int]], lifespans: Lifespans) -> None:
    """The engine has stopped, or should have; the process is to end as soon as nothing goes on."""
    for leaving in _leaving:
        leaving.handlers, leaving.lifespans = handlers, lifespans
        leaving.watch()


def holding() -> list[str]:
    """Who holds up the end, and where each stands."""
    return [each for leaving in _leaving for each in leaving.holding()]


def end_now(code: int) -> None:
    """End the process, whatever goes on in it."""
    flush()
    os._exit(code)


def failed() -> None:
    """Something has failed at the end, however that ends."""
    for leaving in _leaving:
        leaving.code = 1


def look_after(code: object) -> None:
    """The process is about to end with this exit code."""
    for leaving in _leaving:
        leaving.code = code if isinstance(code, int) else 0 if code is None else 1
        leaving.watch()
