"""A command on a terminal of its own, as somebody sits at it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from tests.support import PATIENCE_S

#: Takes the terminal for its own, so that Ctrl-C comes as a signal, and becomes trioq.
START = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("trioq", run_name="__main__", alter_sys=True)
"""


@attrs.define
class Terminal:
    """What a command shows, and keys to press."""

    process: subprocess.Popen[bytes]
    _fd: int
    shown: str = ""

    def see(self, pattern: str) -> str:
        """Wait until this is shown; all that was shown until then."""
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.shown):
            if not self._read(deadline):
                raise AssertionError(f"not shown: {pattern!r}; but: {self.shown!r}")
        return self.shown

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def end(self) -> int:
        """Wait for its end; the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self, deadline: float) -> bool:
        """More of what is shown; False: that was all."""
        ready, _, _ = select.select([self._fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # nobody has the other end any more
            return False
        # Without what moves the cursor or colours the text.
        self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data.decode("utf-8", "replace"))
        return bool(data)


@contextmanager
def on_terminal(*arguments: object) -> Iterator[Terminal]:
    """Run the command line with a terminal for stdin, stdout and stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", START, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
