"""The port that an engine serves on: the configured one, or one of those after it.

Several engines on one machine share a configuration. When another engine has the port, the
next free one is used; when anything else has it, that is somebody's mistake, and said. What
tells the two apart: every engine marks its port with a Unix socket in Linux's abstract name
space, which belongs to the same network namespace as the port, is seen by all users, needs
no file, and ends with the process, however it ends.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import attrs

from trioq.errors import TrioqError

#: How many ports after the configured one are tried.
NEXT = 20

BACKLOG = 64

MARK = "trioq-http"

#: Of a page: another process of this machine that was to show it, too, finds that it is shown.
PAGE_MARK = "trioq-page"

#: The key that says where an engine's metrics are served.
OF_ENGINES = "observability.bind"


class PortError(TrioqError):
    """What is configured can't be served on."""


@attrs.define
class Bound:
    """A port of our own, taken and not yet served."""

    listener: socket.socket
    address: str
    """``host:port``, for people and for URLs."""
    _mark: socket.socket | None

    def close(self) -> None:
        """Give the port up."""
        self.listener.close()
        if self._mark is not None:
            self._mark.close()


def bind(host: str, port: int) -> Bound:
    """Take a port.

    Args:
      port: 0: any free one.

    Raises:
      PortError: Something else has it, all that may be used are taken, or the address isn't
          one of this machine's. The message says what to do.
    """
    family, where = _resolve(host, port)
    for candidate in range(port, min(port + NEXT, 65535) + 1):
        mark = _mark(candidate) if candidate else None
        try:
            return _listen(family, (where, candidate), mark)
        except OSError as error:
            if mark is not None:
                mark.close()
            is_taken = error.errno == errno.EADDRINUSE
            if not is_taken or (candidate == port and not is_marked(port)):
                raise _refused(host, candidate, error) from None
    raise PortError(
        f"{OF_ENGINES}: an engine has port {port}, and the {NEXT} after it are taken too;"
        f' choose "{shown(host, 0)}" for any free port, or "" for none'
    )


def bind_this(host: str, port: int, key: str) -> Bound:
    """Take this port for a page, and no other.

    Args:
      port: 0: any free one.
      key: What said so, for errors.

    Raises:
      PortError: It can't be had.
    """
    family, where = _resolve(host, port, key)
    mark = _mark(port, PAGE_MARK) if port else None
    try:
        return _listen(family, (where, port), mark, PAGE_MARK)
    except OSError as error:
        if mark is not None:
            mark.close()
        raise _refused(host, port, error, key) from None


def _resolve(host: str, port: int, key: str = OF_ENGINES) -> tuple[socket.AddressFamily, str]:
    try:
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise _refused(host, port, error, key) from None
    return family, str(where[0])


def _listen(
    family: socket.AddressFamily,
    where: tuple[str, int],
    mark: socket.socket | None,
    word: str = MARK,
) -> Bound:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port on which connections linger is free; one that is listened on isn't.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    host, port = listener.getsockname()[:2]
    return Bound(listener, shown(host, port), mark or _mark(port, word))


def _mark(port: int, word: str = MARK) -> socket.socket | None:
    """Say that an engine, or a page, has this port. It is said before the port is taken: who
    finds it taken must find the mark too."""
    if sys.platform != "linux":
        return None
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0{word}-{port}-{os.getpid()}-{id(mark)}")
    except OSError:
        mark.close()
        return None
    return mark


def is_marked(port: int, word: str = MARK) -> bool:
    """Whether an engine, or a page, has said that it has this port; where none can say so, we
    assume it."""
    try:
        sockets = Path("/proc/net/unix").read_text(errors="replace")
    except OSError:
        return True
    return f"@{word}-{port}-" in sockets


def _refused(host: str, port: int, error: OSError, key: str = OF_ENGINES) -> PortError:
    where = shown(host, port)
    if error.errno == errno.EADDRINUSE and key != OF_ENGINES:
        told = f"something has {where} already (`ss -ltnp` tells what); choose another port"
    elif error.errno == errno.EADDRINUSE:
        told = (
            f"something that isn't a trioq engine has {where} (`ss -ltnp` tells what);"
            f' set observability.bind to another port, "{shown(host, 0)}" for any free one, '
            'or "" for none'
        )
    elif error.errno == errno.EACCES:
        told = f"this user may not use {where}; choose a port above 1023"
    elif error.errno == errno.EADDRNOTAVAIL:
        told = f"{host} isn't an address of this machine"
    else:
        told = f"{where}: {error.strerror or error}"
    return PortError(f"{key}: {told}")


def shown(host: str, port: int) -> str:
    """``host:port``, as URLs have it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
