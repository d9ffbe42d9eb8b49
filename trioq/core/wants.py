"""What an engine is itself short of: descriptors, processes, threads, memory.

That is never a job's fault, so it costs no attempt. What a handler's own code is short of is
the handler's failure: nobody can tell there who has taken all of it.
"""

from __future__ import annotations

import errno

#: By the number of the error that a system call for a new process gives.
WANTS = {
    errno.EMFILE: "file descriptors (this process may open no more: ulimit -n)",
    errno.ENFILE: "file descriptors (the whole system has no more)",
    errno.EAGAIN: "processes (this user may start no more: ulimit -u, pids.max)",
    errno.ENOMEM: "memory",
}

THREADS = "threads (this user may start no more: ulimit -u, pids.max, or memory)"


class NothingLeft(Exception):
    """A handler can't be started now, for want of something. It hasn't been called."""

    def __init__(self, want: str) -> None:
        self.want = want
        super().__init__(f"no more {want}")


def want_of(error: BaseException) -> str | None:
    """What was wanting, if that is why something of our own couldn't be started."""
    if isinstance(error, OSError):
        return WANTS.get(error.errno or 0)
    if isinstance(error, MemoryError):
        return WANTS[errno.ENOMEM]
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return THREADS  # Python has no class for it
    return None
