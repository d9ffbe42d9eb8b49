"""Advisory locks on files, and who holds them.

A ``flock`` belongs to the open file, not to the process: a child that inherits the
descriptor holds the lock for as long as it lives, whatever becomes of its parent.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

#: How often a lock that is held is tried again.
TRY_S = 0.01


def open_lock(path: Path) -> int:
    """The lock file, not inherited unless somebody passes it on."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def try_exclusive(path: Path) -> int | None:
    """A descriptor that holds the lock, or None: somebody else does."""
    fd = open_lock(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def shared(path: Path, *, until: float) -> int | None:
    """A descriptor that holds the lock with others; None: not by this monotonic time."""
    fd = open_lock(path)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    os.close(fd)
                    return None
                time.sleep(TRY_S)
            else:
                return fd
    except BaseException:
        os.close(fd)
        raise
