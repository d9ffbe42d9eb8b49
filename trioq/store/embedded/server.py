"""Starts the server of a directory, or joins the one that runs.

Naive ways lose data: a second server on the same directory starts, steals the socket and
writes into the same append-only file. So whoever finds ``server.lock`` free starts the
server and hands it the locked descriptor; whoever finds it taken waits for an answer.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import os
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Self

import attrs

from trioq.core.forked import in_each_fork
from trioq.store.answers import no_descriptors
from trioq.store.embedded.binary import ServerBinary, find_server
from trioq.store.embedded.children import SOCKET, fate, reap, start_keeper, start_server
from trioq.store.embedded.directory import check_data, has_data, make_ready
from trioq.store.embedded.errors import DataUnusable, EmbeddedError
from trioq.store.embedded.locks import shared, try_exclusive
from trioq.store.embedded.log import ServerLog, tell

#: Waits between two looks at a server that isn't up yet grow up to this.
LOOK_S = 0.05

#: A server that was killed is started again this often at most, and waited for so long.
REVIVE_EVERY_S = 1.0

#: Nobody wants to hear of a wait that is shorter than this.
TELL_AFTER_S = 1.0
REVIVE_S = 5.0

#: How often somebody looks whether the keeper is there.
GUARD_EVERY_S = 1.0


def exists(directory: Path) -> bool:
    """Whether there is, or was, a server with its data in this directory."""
    return has_data(directory)


def start(
    directory: Path,
    *,
    timeout_s: float = 30.0,
    binary: ServerBinary | None = None,
    log: Callable[[str], None] = tell,
) -> Embedded:
    """Start the directory's server, or join it; returns when it answers.

    Args:
      timeout_s: How long it may take to answer; loading its data doesn't count.
      log: Is told when there is something to wait for, and what had to be mended; from any
          thread, also later, when the server or its keeper was killed and is started again. By
          default these are warnings of Python's logging, by ``trioq.server``.

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
            embedded._guard()
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
    why_gone: str = attrs.field(default="", init=False)
    """Why the last revival failed; empty: it didn't."""
    _is_kept: bool = attrs.field(default=False, init=False)
    """Whether it was up: who is started from now on takes the place of one that was killed."""
    _given_up: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Held until then."""

    def __attrs_post_init__(self) -> None:
        self._directory_fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._given_up.acquire()
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
        reap()

    def revive(self) -> bool:
        """Start the server again if it is gone. Returns whether it is worth another try.

        Raises:
          DataUnusable: It can't be until somebody mends its data.
        """
        now = time.monotonic()
        with self._closing:
            if now - self._revived_at < REVIVE_EVERY_S or self._users_fd is None:
                return False
            self._revived_at = now
            # A copy, so that a close meanwhile leaves no server without a user and a keeper.
            use = os.dup(self._users_fd)
        try:
            self._bring_up(now + REVIVE_S)
        except DataUnusable:
            raise
        except (EmbeddedError, OSError) as error:
            told, self.why_gone = self.why_gone, str(error)
            if self.why_gone != told and self._users_fd is not None:
                self._log(self.why_gone)
            return False
        finally:
            os.close(use)
        self.why_gone = ""
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _drop_use(self) -> None:
        if self._users_fd is not None:
            os.close(self._users_fd)
            self._users_fd = None
            self._given_up.release()

    # -- a keeper that was killed ------------------------------------------------------------

    def _guard(self) -> None:
        """From now on there is always a keeper, until the use is given up."""
        self._is_kept = True
        # Not by threading: a Ctrl-C in the midst of that can leave its locks as they are.
        with contextlib.suppress(RuntimeError):  # there is no thread to be had
            _thread.start_new_thread(self._stand_by, ())

    def _stand_by(self) -> None:
        while not self._given_up.acquire(timeout=GUARD_EVERY_S):
            reap()
            with self._closing:
                if self._users_fd is None:
                    return
                # The directory may be gone, or there are no descriptors: then the next time.
                with contextlib.suppress(OSError):
                    self._ensure_keeper()

    # -- bringing it up ----------------------------------------------------------------------

    def _bring_up(self, until: float) -> None:
        self._ensure_keeper()
        killed = fate("server", self.directory) if self._is_kept else ""
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
            if self._is_kept:
                self._log(
                    f"{self.directory}: the server {killed}, and was started again; what it had"
                    " answered is there"
                )
            for notice in log.notices():
                self._log(notice)

    def _ensure_keeper(self) -> None:
        """There is a keeper before there is a server, so that no server is left alone."""
        fd = try_exclusive(self.directory / "keeper.lock")
        if fd is not None:
            try:
                killed = fate("keeper", self.directory) if self._is_kept else ""
                start_keeper(self.directory, fd)
            finally:
                os.close(fd)
            if killed:
                self._log(
                    f"{self.directory}: the server's keeper {killed}, and was started again; in"
                    " between nothing was synced to the disk"
                )

    def _try_to_start(self, log: ServerLog) -> subprocess.Popen[bytes] | None:
        """Start the server if nobody else has."""
        fd = try_exclusive(self.directory / "server.lock")
        if fd is None:
            return None
        try:
            check_data(self.directory, self._binary)
            log.trim()
            return start_server(self._binary.path, self.directory, fd)
        finally:
            os.close(fd)  # the server has it now, and holds the lock with it

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


in_each_fork(_drop_uses)
