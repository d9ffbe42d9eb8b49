"""What a peer's handlers tell the benchmark; runs in the peer's own environment.

Each process counts its jobs in a file that is mapped into memory, which costs a lock and an
addition: a key in the server would cost more than the job. Late jobs are lines of another file.
"""

from __future__ import annotations

import mmap
import os
import threading
import time

URL = os.environ.get("BENCH_URL", "")
DIRECTORY = os.environ.get("BENCH_NOTES", ".")
SLOTS = int(os.environ.get("BENCH_SLOTS", "16"))

_lock = threading.Lock()
_count: memoryview | None = None


def one() -> None:
    """A job ran."""
    global _count  # noqa: PLW0603
    with _lock:
        if _count is None:
            _count = _mapped()
        _count[0] += 1


def late(sent_ns: int) -> None:
    """A job has begun that was enqueued then, by the clock that all processes share."""
    line = f"{time.monotonic_ns() - sent_ns}\n".encode()
    fd = os.open(f"{DIRECTORY}/late-{os.getpid()}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(fd, line)
    os.close(fd)


def _mapped() -> memoryview:
    with open(f"{DIRECTORY}/count-{os.getpid()}", "w+b") as file:
        file.truncate(8)
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("Q")


def _forked() -> None:
    global _count, _lock
    _count, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forked)
