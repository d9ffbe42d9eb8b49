"""Starts the server of a directory, or joins the one that runs.

Naive ways lose data: a second server on the same directory starts, steals the socket and
writes into the same append-only file. So whoever finds ``server.lock`` free starts the
server and hands it the locked descriptor; whoever finds it taken waits for an answer.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import attrs

from trioq.store.answers import no_descriptors
from trioq.store.embedded import keeper
from trioq.store.embedded.binary import ServerBinary, find_server
from trioq.store.embedded.directory import check_data, has_data, make_ready
from trioq.store.embedded.errors import EmbeddedError
from trioq.store.embedded.launch import unmasked
from trioq.store.embedded.locks import shared, try_exclusive
from trioq.store.embedded.log import ServerLog

SOCKET = "server.sock"

#: Waits between two looks at a server that isn't up yet grow up to this.
LOOK_S = 0.05

#: A server that was killed is started again this often at most, and waited for so long.
REVIVE_EVERY_S = 1.0

#: Nobody wants to hear of a wait that is shorter than this.
TELL_AFTER_S = 1.0
REVIVE_S = 5.0

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

#: Children of this process, so that none becomes a zombie; they outlive it all the same.
_CHILDREN: list[subprocess.Popen[bytes]] = []


def exists(directory: Path) -> bool:
    """Whether there is, or was, a server with its data in this directory."""
    return has_data(directory)


def start(
    directory: Path,
    *,
    timeout_s: float = 30.0,
    binary: ServerBinary | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> Embedded:
    """Start the directory's server, or join it; returns when it answers.

    Args:
      timeout_s: How long it may take to answer; loading its data doesn't count.
      log: Is told when there is something to wait for, and what had to be mended; from any
          thread, also later, when the server was killed and is started again.

    Raises:
      EmbeddedError: It can't be started; one line with the way out.
    """
    until = time.monotonic() + timeout_s
    directory = directory.absolute()  # the program may change its own
    binary = binary or find_server()
    try:
        make_ready(directory, log)
        users_fd = shared(directory / "users.lock", until=until)
        if users_fd is None:
            raise EmbeddedError(f"{directory}: the last server is still shutting down; try again")
        embedded = Embedded(directory, binary, users_fd, log)
        try:
            embedded._bring_up(until)
        except BaseException:
            embedded.close()
            raise
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise EmbeddedError(f"{directory}: {no_descriptors(error)}") from None
        raise EmbeddedError(f"{directory}: can't be written: {error.strerror}") from None
    return embedded


@attrs.define(eq=False)
class Embedded:
    """The use of a directory's server. Closing it ends the use, and the last use the server."""

    directory: Path
    _binary: ServerBinary
    _users_fd: int | None
    _log: Callable[[str], None]
    started_here: bool = attrs.field(default=False, init=False)
    """Whether this use started the server."""
    _directory_fd: int = attrs.field(init=False)
    _closing: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Held where ``_users_fd`` is closed or copied."""
    _revived_at: float = attrs.field(default=float("-inf"), init=False)
    _told: str = attrs.field(default="", init=False)
    """Why the last revival failed: said once."""

    def __attrs_post_init__(self) -> None:
        self._directory_fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _IN_USE.add(self)

    @property
    def socket_path(self) -> str:
        """Where the server listens, for this process; short, however long the directory's name."""
        return f"/proc/self/fd/{self._directory_fd}/{SOCKET}"

    def close(self) -> None:
        """Give up the use. The last one's end shuts the server down, its data complete."""
        with self._closing:
            self._drop_use()
            if self._directory_fd >= 0:
                os.close(self._directory_fd)
                self._directory_fd = -1
        _reap_children()

    def revive(self) -> bool:
        """Start the server again if it is gone. Returns whether it is worth another try."""
        now = time.monotonic()
        with self._closing:
            if now - self._revived_at < REVIVE_EVERY_S or self._users_fd is None:
                return False
            self._revived_at = now
            # A copy, so that a close meanwhile leaves no server without a user and a keeper.
            use = os.dup(self._users_fd)
        try:
            self._bring_up(now + REVIVE_S)
        except (EmbeddedError, OSError) as error:
            told, self._told = self._told, str(error)
            if self._told != told and self._users_fd is not None:
                self._log(self._told)
            return False
        finally:
            os.close(use)
        self._told = ""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _drop_use(self) -> None:
        if self._users_fd is not None:
            os.close(self._users_fd)
            self._users_fd = None

    # -- bringing it up ----------------------------------------------------------------------

    def _bring_up(self, until: float) -> None:
        self._ensure_keeper()
        pause_s, told, tell_at = 0.002, False, time.monotonic() + TELL_AFTER_S
        log = ServerLog(self.directory)
        process = self._try_to_start(log)
        while self._directory_fd >= 0:
            answer = self._ping()
            if answer == "up":
                break
            if answer == "loading":
                until = max(until, time.monotonic() + 1.0)
                if not told and time.monotonic() >= tell_at:
                    self._log(f"{self.directory}: the server is loading its data")
                    told = True
            if process is not None and process.poll() is not None:
                raise log.why_it_ended(self._binary)
            if process is None:
                process = self._try_to_start(log)
            if time.monotonic() >= until:
                raise EmbeddedError(
                    f"{self.directory}: the server doesn't answer; its last line: "
                    f"{log.last_words() or 'none'}"
                )
            time.sleep(pause_s)
            pause_s = min(LOOK_S, pause_s * 1.5)
        else:
            raise EmbeddedError(f"{self.directory}: given up meanwhile")
        if process is not None:
            self.started_here = True
            for notice in log.notices():
                self._log(notice)

    def _ensure_keeper(self) -> None:
        """There is a keeper before there is a server, so that no server is left alone."""
        fd = try_exclusive(self.directory / "keeper.lock")
        if fd is not None:
            try:
                self._spawn([sys.executable, "-I", "-S", keeper.__file__, ".", str(fd)], fd)
            finally:
                os.close(fd)

    def _try_to_start(self, log: ServerLog) -> subprocess.Popen[bytes] | None:
        """Start the server if nobody else has."""
        fd = try_exclusive(self.directory / "server.lock")
        if fd is None:
            return None
        try:
            check_data(self.directory, self._binary)
            log.trim()
            return self._spawn([str(self._binary.path), *SETTINGS], fd)
        finally:
            os.close(fd)  # the server has it now, and holds the lock with it

    def _spawn(self, argv: list[str], fd: int) -> subprocess.Popen[bytes]:
        _reap_children()
        process = subprocess.Popen(
            [*unmasked(), *argv],
            cwd=self.directory,
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Payloads are nobody else's to read.
            umask=0o077,
            # Ctrl-C goes to the terminal's process group: not to the server.
            start_new_session=True,
        )
        _CHILDREN.append(process)
        return process

    def _ping(self) -> str:
        """What the server is: up, loading, or silent."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1.0)
            try:
                sock.connect(self.socket_path)
                sock.sendall(b"PING\r\n")
                reply = sock.recv(256)
            except OSError:
                return "silent"
        if reply.startswith(b"-LOADING"):
            return "loading"
        # An error is an answer too: a server on a full disk answers PING with one.
        return "up" if reply else "silent"


#: Uses that a forked child must not keep alive: it isn't a user of its own.
_IN_USE: weakref.WeakSet[Embedded] = weakref.WeakSet()


def _drop_uses() -> None:
    for use in list(_IN_USE):
        use._closing = threading.Lock()  # a thread that isn't here may have held it
        use._drop_use()


os.register_at_fork(after_in_child=_drop_uses)


def _reap_children() -> None:
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
