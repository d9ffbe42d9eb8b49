"""Starts the server of a directory, or joins the one that runs.

Naive ways lose data: a second server on the same directory starts, steals the socket and
writes into the same append-only file. So whoever finds ``server.lock`` free starts the
server and hands it the locked descriptor; whoever finds it taken waits for an answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import attrs

from trioq.store.embedded import keeper
from trioq.store.embedded.binary import ServerBinary, find_server
from trioq.store.embedded.errors import EmbeddedError
from trioq.store.embedded.locks import shared, try_exclusive

SOCKET = "server.sock"

#: The server's log keeps this much from earlier runs.
LOG_BYTES = 1 << 20

#: Waits between two looks at a server that isn't up yet grow up to this.
LOOK_S = 0.05

#: A server that was killed is started again this often at most.
REVIVE_EVERY_S = 1.0

SETTINGS: Sequence[str] = (
    "--port", "0",
    "--unixsocket", SOCKET,
    "--unixsocketperm", "700",
    "--dir", ".",
    "--logfile", "server.log",
    "--daemonize", "no",
    "--appendonly", "yes",
    "--appendfsync", "everysec",
    "--aof-load-truncated", "yes",
    "--save", "",
    "--maxmemory-policy", "noeviction",
)  # fmt: skip

#: Children of this process, so that none becomes a zombie; they outlive it all the same.
_CHILDREN: list[subprocess.Popen[bytes]] = []


def exists(directory: Path) -> bool:
    """Whether there is, or was, a server with its data in this directory."""
    return (directory / "server.json").exists()


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
      log: Is told when there is something to wait for.

    Raises:
      EmbeddedError: It can't be started; one line with the way out.
    """
    until = time.monotonic() + timeout_s
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        users_fd = shared(directory / "users.lock", until=until)
    except OSError as error:
        raise EmbeddedError(f"{directory}: can't be written: {error.strerror}") from None
    if users_fd is None:
        raise EmbeddedError(f"{directory}: the last server is still shutting down; try again")
    embedded = Embedded(directory, binary or find_server(), users_fd, log)
    try:
        embedded._bring_up(until)
    except BaseException:
        embedded.close()
        raise
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
    notices: tuple[str, ...] = attrs.field(default=(), init=False)
    """What the server had to mend when it loaded its data."""
    _directory_fd: int = attrs.field(init=False)
    _revived_at: float = attrs.field(default=float("-inf"), init=False)

    def __attrs_post_init__(self) -> None:
        self._directory_fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # A forked child isn't a user of its own: it must not keep the server alive.
        os.register_at_fork(after_in_child=self._drop_use)

    @property
    def socket_path(self) -> str:
        """Where the server listens, for this process; short, however long the directory's name."""
        return f"/proc/self/fd/{self._directory_fd}/{SOCKET}"

    def close(self) -> None:
        """Give up the use. The last one's end shuts the server down, its data complete."""
        self._drop_use()
        if self._directory_fd >= 0:
            os.close(self._directory_fd)
            self._directory_fd = -1
        _reap_children()

    def revive(self) -> bool:
        """Start the server again if it is gone. Returns whether it is worth another try."""
        now = time.monotonic()
        if now - self._revived_at < REVIVE_EVERY_S or self._users_fd is None:
            return False
        self._revived_at = now
        try:
            self._bring_up(now + 5.0)
        except EmbeddedError:
            return False
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
        pause_s, told = 0.002, False
        process, log_from = self._try_to_start()
        while True:
            answer = self._ping()
            if answer == "PONG":
                break
            if answer == "LOADING":
                until = max(until, time.monotonic() + 1.0)
                if not told:
                    self._log(f"{self.directory}: the server is loading its data")
                    told = True
            if process is not None and process.poll() is not None:
                raise self._why_it_ended(log_from)
            if process is None:
                process, log_from = self._try_to_start()
            if time.monotonic() >= until:
                raise EmbeddedError(
                    f"{self.directory}: the server doesn't answer; its last line: "
                    f"{self._last_lines(log_from) or 'none'}"
                )
            time.sleep(pause_s)
            pause_s = min(LOOK_S, pause_s * 1.5)
        if process is not None:
            self.started_here = True
            self.notices = tuple(self._mended(log_from))

    def _ensure_keeper(self) -> None:
        """There is a keeper before there is a server, so that no server is left alone."""
        fd = try_exclusive(self.directory / "keeper.lock")
        if fd is not None:
            try:
                self._spawn([sys.executable, "-I", "-S", keeper.__file__, ".", str(fd)], fd)
            finally:
                os.close(fd)

    def _try_to_start(self) -> tuple[subprocess.Popen[bytes] | None, int]:
        """Start the server if nobody else has; returns it and where its log begins."""
        fd = try_exclusive(self.directory / "server.lock")
        if fd is None:
            return None, self._log_size()
        try:
            self._check_kind()
            self._trim_log()
            size = self._log_size()
            return self._spawn([str(self._binary.path), *SETTINGS], fd), size
        finally:
            os.close(fd)  # the server has it now, and holds the lock with it

    def _spawn(self, argv: list[str], fd: int) -> subprocess.Popen[bytes]:
        _reap_children()
        process = subprocess.Popen(
            argv,
            cwd=self.directory,
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C goes to the terminal's process group: not to the server.
            start_new_session=True,
        )
        _CHILDREN.append(process)
        return process

    def _check_kind(self) -> None:
        """Refuse data that another kind of server, or a newer one, has written."""
        path = self.directory / "server.json"
        ours = {"kind": self._binary.kind, "version": list(self._binary.version)}
        try:
            wrote = json.loads(path.read_text())
            kind, version = wrote["kind"], tuple(wrote["version"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            raise EmbeddedError(
                f"{path}: can't be read; it says which server wrote the data"
            ) from None
        else:
            if kind != self._binary.kind or version > self._binary.version:
                wrote_by = f"{kind} {'.'.join(map(str, version))}"
                raise EmbeddedError(
                    f"{self.directory}: the data was written by {wrote_by}, this is {self._binary};"
                    " use that server or a newer one, or another directory"
                )
        try:
            path.write_text(json.dumps(ours) + "\n")
        except OSError as error:
            raise EmbeddedError(f"{path}: can't be written: {error.strerror}") from None

    def _ping(self) -> str:
        """What the server says: PONG, LOADING, or nothing."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1.0)
            try:
                sock.connect(self.socket_path)
                sock.sendall(b"PING\r\n")
                reply = sock.recv(256)
            except OSError:
                return ""
        if reply.startswith((b"+PONG", b"-NOAUTH")):
            return "PONG"
        return "LOADING" if reply.startswith(b"-LOADING") else ""

    # -- its log -----------------------------------------------------------------------------

    def _log_size(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return (self.directory / "server.log").stat().st_size
        return 0

    def _trim_log(self) -> None:
        path = self.directory / "server.log"
        if self._log_size() > LOG_BYTES:
            path.write_bytes(path.read_bytes()[-LOG_BYTES // 2 :])

    def _lines(self, log_from: int) -> list[str]:
        try:
            with open(self.directory / "server.log", "rb") as file:
                file.seek(log_from)
                lines = file.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
        # "123:M 24 Nov 2026 10:00:00.000 * What happened" without all before the mark.
        return [re.sub(r"^\d+:\w .*?\d\d:\d\d:\d\d\.\d+ [.\-*#] ", "", line) for line in lines]

    def _last_lines(self, log_from: int) -> str:
        return " / ".join(self._lines(log_from)[-2:])

    def _mended(self, log_from: int) -> list[str]:
        if any("loaded anyway" in line for line in self._lines(log_from)):
            return [
                f"{self.directory}: the last write to the append-only file was torn and has been"
                " cut off; everything before it is there"
            ]
        return []

    def _why_it_ended(self, log_from: int) -> EmbeddedError:
        for line in self._lines(log_from):
            if match := re.search(r"Bad file format reading the append only file ([^\s:]+)", line):
                file = self.directory / "appendonlydir" / Path(match[1]).name
                return EmbeddedError(
                    f"{file}: damaged in the middle, so the server doesn't load it; make a copy of"
                    " the directory, then run valkey-check-aof --fix on the file, or move the"
                    " directory away to begin with no jobs"
                )
        last = self._last_lines(log_from)
        return EmbeddedError(
            f"{self.directory}: the server ended at its start: {last or 'no word'}"
        )


def _reap_children() -> None:
    _CHILDREN[:] = [child for child in _CHILDREN if child.poll() is None]
