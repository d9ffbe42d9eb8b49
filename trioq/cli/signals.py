"""The signals of an engine's process: those it obeys, and what its children don't inherit."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import trio

from trioq.core.forked import in_each_fork

OBEYED = (signal.SIGINT, signal.SIGTERM)

#: What stood there before an engine took over; empty where none runs.
_before: dict[signal.Signals, Any] = {}


@contextmanager
def obeyed() -> Iterator[AsyncIterator[int]]:
    """SIGINT and SIGTERM as they come. A child that is forked meanwhile obeys its own."""
    before = {number: signal.getsignal(number) for number in OBEYED}
    if before[signal.SIGINT] is not signal.SIG_IGN:
        before[signal.SIGINT] = signal.default_int_handler  # trio's own is of no use there
    with trio.open_signal_receiver(*OBEYED) as signals:
        _before.update(before)
        try:
            yield signals
        finally:
            _before.clear()


def _give_back() -> None:
    """In a forked child: its signals would be told to a loop that doesn't run there, and wake up
    its parent's."""
    if not _before:
        return
    signal.set_wakeup_fd(-1)
    for number, handler in _before.items():
        if handler is not None:  # None: not set from Python
            signal.signal(number, handler)
    _before.clear()


in_each_fork(_give_back)
