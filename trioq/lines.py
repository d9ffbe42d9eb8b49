"""Lines to a stream that somebody else may not read: nobody here waits for them.

A pipe is full when its reader stands still, and a terminal when somebody presses Ctrl-S; a disk
is slow. Whoever writes there himself stands still too. So lines are put into a queue of bounded
size, and one thread for each stream writes them. What doesn't fit is dropped and counted, and a
line says so when the rest has been read.

Lines that still wait when a program is killed are lost. At an ordinary end they are written, for
as long as :data:`FLUSH_S` allows.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import select
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TextIO

import attrs

from trioq.core.forked import in_each_fork

#: What may wait to be written; some ten thousand lines. Full, it takes nothing until half of
#: it is written, so that losses are told once and not for each line.
QUEUE_BYTES = 4 << 20

#: What one write takes: lines of several processes on one pipe stay whole up to this.
WRITE_BYTES = select.PIPE_BUF

#: How long the end of a program waits for its last lines.
FLUSH_S = 2.0

#: Of a terminal: erase the line the cursor is in.
ERASE = b"\r\x1b[K"


@attrs.frozen
class _Waiting:
    """A line in the queue."""

    data: bytes
    tells: int = 0
    """How many dropped lines it tells of; 0: it is a line like any."""


class Lines:
    """The way to one stream, for all threads.

    Args:
      stream: One with a file descriptor. It may be closed while this exists: then lines are lost.
      told: The line that says how many were dropped.
    """

    def __init__(self, stream: TextIO, told: Callable[[int], str] | None = None) -> None:
        self.told = told or (lambda count: f"trioq: {count} lines were dropped; nobody read them")
        self.dropped = 0
        """Lines that nobody will see."""
        self._fd = stream.fileno()
        self._encoding = stream.encoding or "utf-8"
        self._stream = weakref.ref(stream, lambda _: self._end())
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        """Of what waits and of what is being written."""
        self._full = False
        self._untold = 0
        self._below: bytes | None = None
        self._drawn = False
        """Whether the line below stands on the terminal as it should."""
        self._ended = False
        self._is_a_childs = False
        self._in_parent()
        with contextlib.suppress(RuntimeError):
            self._start()

    def msg(self, line: str) -> None:
        """Have a line written, soon. Never waits and never raises."""
        data = (line + "\n").encode(self._encoding, "backslashreplace")
        with self._changed:
            if self._is_a_childs:
                self._write(data)
            elif self._full or self._bytes + len(data) > QUEUE_BYTES:
                self._full = True
                self._drop()
            else:
                self._put(_Waiting(data))

    def show_below(self, text: str | None) -> None:
        """Keep a line, which has its colours, below all others of a terminal; None: leave it."""
        with self._changed:
            if text is None and self._below is not None:
                self._put(_Waiting(self._below + b"\n"))
            self._below = None if text is None else text.encode(self._encoding, "replace")
            self._drawn = False
            self._changed.notify_all()

    def flush(self, timeout_s: float = FLUSH_S) -> bool:
        """Wait until all is written; False: it wasn't in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._bytes and self._thread is not None:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._ended:
                    return False
                self._changed.wait(left_s)
            return not self._bytes

    def forked(self) -> None:
        """In a child, which has no such thread and may end without warning: it writes itself."""
        self._is_a_childs = True
        self._waiting.clear()  # the parent has them
        self._in_parent()

    def _in_parent(self) -> None:
        # Reentrant, because looking for garbage may end in a line.
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _put(self, one: _Waiting) -> None:
        self._waiting.append(one)
        self._bytes += len(one.data)
        if self._thread is None:
            try:
                self._start()
            except RuntimeError:  # no thread to be had, now
                self._waiting.pop()
                self._bytes -= len(one.data)
                self._drop()
                return
        self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="trioq:lines", daemon=True)
        thread.start()
        self._thread = thread

    def _drop(self) -> None:
        self.dropped += 1
        self._untold += 1

    # -- the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        stands = False  # the line below, where the next ones go
        while True:
            with self._changed:
                while not self._waiting and (self._below is None or self._drawn):
                    if self._ended:
                        return
                    self._changed.wait()
                some = self._some()
                below, self._drawn = self._below, True
            erase = ERASE if stands or below is not None else b""
            stands = below is not None
            written = self._write(b"".join([erase, *(one.data for one in some), below or b""]))
            with self._changed:
                self._bytes -= sum(len(one.data) for one in some)
                self._after(some, written=written)
                self._changed.notify_all()

    def _some(self) -> list[_Waiting]:
        """The next lines, as many as one write takes, but at least one."""
        some: list[_Waiting] = []
        size = 0
        while self._waiting and (not some or size + len(self._waiting[0].data) <= WRITE_BYTES):
            some.append(self._waiting.popleft())
            size += len(some[-1].data)
        return some

    def _after(self, some: list[_Waiting], *, written: bool) -> None:
        for one in some if not written else ():
            if one.tells:
                self._untold += one.tells
            else:
                self._drop()
        self._full = self._full and self._bytes > QUEUE_BYTES // 2
        if self._untold and written and not self._full:
            told = (self.told(self._untold) + "\n").encode(self._encoding, "backslashreplace")
            self._put(_Waiting(told, tells=self._untold))
            self._untold = 0

    def _write(self, data: bytes) -> bool:
        """Whether it was written. A full disk and a reader that has gone cost the line."""
        stream = self._stream()
        if stream is None or stream.closed:
            return False
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # somebody has made it so for his own purposes
                waiter = select.poll()
                waiter.register(self._fd, select.POLLOUT)
                waiter.poll()
            except OSError:
                return False
        return True


_all: weakref.WeakKeyDictionary[TextIO | io.TextIOBase, Lines] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def lines_to(stream: TextIO) -> Lines | None:
    """The way to this stream, one for the process.

    Returns:
      None: it has no file descriptor, so nobody can keep us waiting there.
    """
    with _making, contextlib.suppress(OSError, ValueError):
        if stream not in _all:
            _all[stream] = Lines(stream)
        return _all[stream]
    return None


def stands_for(stand_in: io.TextIOBase, lines: Lines) -> None:
    """Have lines to a stand-in for a stream go the stream's own way."""
    with _making:
        _all[stand_in] = lines


def say(line: str) -> None:
    """A line on stderr, wherever that leads to by now."""
    if sys.stderr is None:
        return
    lines = lines_to(sys.stderr)
    if lines is not None:
        lines.msg(line)
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")


def dropped() -> int:
    """How many lines of this process were dropped so far."""
    return sum(one.dropped for one in {*_all.values()})


def flush(timeout_s: float = FLUSH_S) -> None:
    """Wait until all lines to all streams are written, for a bounded time."""
    deadline = time.monotonic() + timeout_s
    for one in tuple(_all.values()):
        one.flush(deadline - time.monotonic())


def _forked() -> None:
    global _making  # noqa: PLW0603  another thread may have had it
    _making = threading.Lock()
    for one in tuple(_all.values()):
        one.forked()
    _all.clear()  # who logs to the same stream from now on is set up anew


atexit.register(flush)
in_each_fork(_forked)
