"""A process that begins again, as what it was started as: the same pid, terminal and parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs

from trioq.cwd import working_directory
from trioq.lines import flush
from trioq.processes.interpreter import python

ENDS = (signal.SIGINT, signal.SIGTERM)


@attrs.frozen
class Again:
    """What it began with, before modules of its user could change any of it."""

    arguments: Sequence[str]
    environ: Mapping[str, str] = attrs.field(factory=lambda: dict(os.environ))
    directory: str = attrs.field(factory=lambda: str(working_directory() or "."))

    def begin(self) -> None:
        """Become a new process. Returns never; may be called in any thread, which is enough to end
        all others.

        Raises:
          OSError: There is no such program any more.
        """
        flush()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        # A signal ends the process now, or waits for its successor. Python's handler would only
        # take note of it, for a main thread that runs no more.
        if threading.current_thread() is threading.main_thread():
            for number in ENDS:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        with suppress(OSError):  # it was removed
            os.chdir(self.directory)
        argv = [*python(), "-m", "trioq", "dev", *self.arguments]
        os.execve(sys.executable, argv, self.environ)


def heed() -> None:
    """Signals come again; those too that have waited since :meth:`Again.begin`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
