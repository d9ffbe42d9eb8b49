"""Looks at a file without ever stepping out of a directory, whatever the links say.

Resolves a path as the kernel does, but component by component from an open directory, so
that nobody can swap a link in between the check and the look: each directory is opened
with ``O_NOFOLLOW`` relative to the one above it, links are read and resolved by us, and
``..`` goes back to a directory that we still hold. What a link names outside isn't even
looked at, so a link to a dead network drive can't hang us. It is what ``openat2`` does
with ``RESOLVE_BENEATH``, for kernels and systems that don't have it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import TypeVar

import attrs

T = TypeVar("T")

# Windows has none of these. Nobody scans there, but the module is to be imported.
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

DIRECTORY = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_DIRECTORY", 0)
"""How directories are opened: never through a link, and never anything that could block."""

FILE = os.O_RDONLY | _NOFOLLOW | getattr(os, "O_NONBLOCK", 0)
"""How files are: likewise."""

MAX_LINKS = 40
"""As many as Linux follows before it calls them a loop."""

MAX_OPEN = 128
"""Directories held open at the same time: a limit on what a link's target can cost."""


class LeavesRoot(Exception):
    """The path leads out of the root. The argument is where the last link pointed."""


@attrs.frozen
class Root:
    """An open directory, beneath which everything is looked up. Close it after use."""

    fd: int
    spellings: tuple[str, ...]
    """Its absolute names, as configured and as resolved: links may be absolute."""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Root:
        """Resolve the path once; from here on its name doesn't matter.

        Raises:
          OSError: It's missing, isn't a directory, or can't be read.
        """
        real = os.path.realpath(path, strict=True)
        fd = os.open(real, DIRECTORY)
        return cls(fd, (absolute(path), real))

    def close(self) -> None:
        os.close(self.fd)

    def stat(self, path: str) -> os.stat_result:
        """The status of what ``path`` leads to, through links that stay beneath the root.

        Opens nothing but directories.

        Args:
          path: Relative to the root.

        Raises:
          LeavesRoot: A link points out of the root.
          OSError: As ``os.stat`` would: missing, unreadable, a loop of links.
        """
        return self._at(path, lambda here, part, status: status)

    def open_file(self, path: str) -> int:
        """A descriptor of what ``path`` leads to, for reading, on the same way.

        A pipe or a device isn't waited for: look at what was opened.

        Raises:
          LeavesRoot, OSError: As :meth:`stat`, and whatever ``os.open`` raises.
        """
        return self._at(path, lambda here, part, status: os.open(part, FILE, dir_fd=here))

    def _at(self, path: str, look: Callable[[int, str, os.stat_result], T]) -> T:
        """Go there, and look at it: from the directory that it's in, by its name there."""
        trail = _Trail(self.fd)
        todo = path.split("/")[::-1]
        links = 0
        try:
            while todo:
                part = todo.pop()
                if part == "..":
                    trail.up()
                    continue
                if part in ("", "."):
                    continue
                status = os.stat(part, dir_fd=trail.here, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if links > MAX_LINKS:
                        raise _error(errno.ELOOP)
                    todo += self._target(part, trail).split("/")[::-1]
                elif any(rest not in ("", ".") for rest in todo):
                    trail.down(part)
                else:
                    return look(trail.here, part, status)
            return look(trail.here, ".", os.stat(trail.here))
        finally:
            trail.home()

    def _target(self, link: str, trail: _Trail) -> str:
        """Where a link leads, as a path from where the trail then stands."""
        target = os.readlink(link, dir_fd=trail.here)
        trail.pointed = target
        if not target.startswith("/"):
            return target
        for spelling in self.spellings:
            if target == spelling or target.startswith(spelling.rstrip("/") + "/"):
                trail.home()
                return target[len(spelling) :]
        raise LeavesRoot(target)


@attrs.define
class _Trail:
    """The directories that were entered below the root, all open, so that ``..`` is safe."""

    root_fd: int
    opened: list[int] = attrs.Factory(list)
    pointed: str = ".."
    """Where the last link led."""

    @property
    def here(self) -> int:
        return self.opened[-1] if self.opened else self.root_fd

    def down(self, name: str) -> None:
        if len(self.opened) >= MAX_OPEN:
            raise _error(errno.ENAMETOOLONG)
        self.opened.append(os.open(name, DIRECTORY, dir_fd=self.here))

    def up(self) -> None:
        if not self.opened:
            raise LeavesRoot(self.pointed)
        os.close(self.opened.pop())

    def home(self) -> None:
        while self.opened:
            os.close(self.opened.pop())


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def absolute(path: str | os.PathLike[str]) -> str:
    """The path made absolute, with its links and its ``..`` left as they are."""
    path = os.fspath(path)
    # One that is absolute needs no working directory, which may be gone.
    return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
