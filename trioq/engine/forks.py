"""What becomes of a forked copy of an engine: nothing.

A handler may fork, and its child may do what it likes, as long as it ends there (``os._exit``)
or becomes another program. If it comes back into the event loop instead, it is a second engine
with the first one's sockets, claims and name. It would run the rest of all handlers once more.
So it ends at its first step.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import trio

from trioq.core.forked import in_each_fork

#: EX_SOFTWARE of sysexits.h: a fault in the program.
EXIT_CODE = 70

_engines: dict[int, str] = {}
"""The engines of this process: thread → name."""

_copies: set[str] = set()
"""Those that this process is a forked copy of."""


@contextmanager
def no_copies(name: str) -> Iterator[None]:
    """While this lasts, what is forked off this process doesn't go on as this engine."""
    thread = threading.get_ident()
    _engines[thread] = name
    try:
        yield
    finally:
        _engines.pop(thread, None)


def end_if_copy() -> None:
    """End the process if it is a forked copy of an engine: for threads, which come back here."""
    if _copies:
        _end()


class _Ending(trio.abc.Instrument):
    """Ends the process as soon as the task that forked gives way to the loop."""

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        _end()

    def before_io_wait(self, timeout: float) -> None:
        _end()


def _in_child() -> None:
    _copies.update(_engines.values())
    if threading.get_ident() in _engines:
        # Costs nothing before there is a fork. It isn't a trio task that forks in a thread.
        with contextlib.suppress(RuntimeError):
            trio.lowlevel.add_instrument(_Ending())


def _end() -> NoReturn:
    """Without any of the clean-up that is the original's to do."""
    names = ", ".join(sorted(_copies))
    line = (
        f"trioq: process {os.getpid()} is a forked copy of engine {names} and has come back"
        " into its event loop; it ends here. A child that a handler forks must end with"
        " os._exit(), or exec another program.\n"
    )
    with contextlib.suppress(OSError):
        os.write(2, line.encode())
    os._exit(EXIT_CODE)


in_each_fork(_in_child)
