"""The server and its keeper as processes that were started from here.

They outlive this process; while it lives, none of them becomes a zombie.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trioq.store.embedded import keeper
from trioq.store.embedded.launch import unmasked

SOCKET = "server.sock"

SETTINGS: Sequence[str] = (
    "--port", "0",
    "--unixsocket", SOCKET,
    "--unixsocketperm", "700",
    "--dir", ".",
    "--logfile", "server.log",
    "--daemonize", "no",
    "--appendonly", "yes",
    # The keeper syncs, every second: see docs/decisions/11-embedded-fsync.md.
    "--appendfsync", "no",
    "--aof-load-truncated", "yes",
    "--save", "",
    "--maxmemory-policy", "noeviction",
    # A short hash is a list that is searched from its beginning. With the server's own limit, 512,
    # what an engine holds is one: a batch of 200 jobs would cost a quarter more.
    "--hash-max-listpack-entries", "32",
)  # fmt: skip

#: What a step frees and the next one needs again, several pieces for each job, is handed out again
#: by size: without this only the last 7 of a size are, and what is beyond them is put together and
#: cut up anew, a tenth of all that the server does. At most 64 MB wait so. Other libraries than
#: glibc ignore it.
ALLOCATION = "glibc.malloc.tcache_count=2000"


class _Child(subprocess.Popen[bytes]):
    def __del__(self) -> None:
        """At the end of this process it may go on, and is meant to: nobody is warned of that."""


#: Those that may run still.
_RUNNING: list[subprocess.Popen[bytes]] = []

#: The last that was started of each kind in each directory, also when it has ended.
_LAST: dict[tuple[Path, str], subprocess.Popen[bytes]] = {}


def start_server(program: Path, directory: Path, fd: int) -> subprocess.Popen[bytes]:
    """Start the directory's server; the descriptor is its lock.

    Raises:
      OSError: It can't be started.
    """
    # Where somebody has said something of their own, that comes last, and counts.
    said = filter(None, (ALLOCATION, os.environ.get("GLIBC_TUNABLES")))
    env = {**os.environ, "GLIBC_TUNABLES": ":".join(said)}
    return _spawn("server", [str(program), *SETTINGS], directory, fd, env)


def start_keeper(directory: Path, fd: int) -> None:
    """Start the server's keeper; the descriptor is its lock.

    Raises:
      OSError: It can't be started.
    """
    argv = [sys.executable, "-I", "-S", keeper.__file__, ".", str(fd)]
    _spawn("keeper", argv, directory, fd)


def _spawn(
    kind: str, argv: Sequence[str], directory: Path, fd: int, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    reap()
    process = _Child(
        [*unmasked(), *argv],
        cwd=directory,
        env=env,
        pass_fds=(fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Payloads are nobody else's to read.
        umask=0o077,
        # Ctrl-C goes to the terminal's process group: not to the server.
        start_new_session=True,
    )
    _RUNNING.append(process)
    _LAST[directory, kind] = process
    return process


def reap() -> None:
    """Let those go that have ended."""
    for process in list(_RUNNING):
        if process.poll() is not None:
            with contextlib.suppress(ValueError):  # another thread was as fast
                _RUNNING.remove(process)


def fate(kind: str, directory: Path) -> str:
    """What became of the last ``server`` or ``keeper``, in words: it is there no more."""
    process = _LAST.pop((directory, kind), None)
    code = None if process is None else process.poll()
    if not code:
        return "was gone"  # somebody else has started it
    if code > 0:
        return f"had ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
