"""Walks a directory tree and says which files are there to be enqueued, and what was left out.

Plain blocking generators, without trio: the producer runs them in a thread, a handful of
results at a time. They remember nothing from one scan to the next; what is new is for the
``seen`` hash to say, by :attr:`Found.mark`.

Memory doesn't grow with the tree. A directory is listed in pieces of 512 entries, each
piece in order of name, and a subdirectory is entered where it's met: small directories come
in order, a huge one streams. One descriptor is open for each level (two where a directory is
larger than a piece), all beneath the root's, which is resolved once: see
:mod:`trioq.engine.sources.scan.rooted`.

A symbolic link that stays in the root is followed to a file, which is then found under the
link's name too; links to directories are never followed, so there are no loops. Nothing but
directories is ever opened.

A file is *still being written* while its status changed less than ``settle_s`` ago. That is
``st_ctime``, not ``st_mtime``, which programs set as they like: an archive unpacked now has
files from last year. A time in the future is a clock that isn't ours (a file server's, or
ours before it was set right) and tells no age. Such a file is settled when :func:`look_again`,
at least ``settle_s`` after the first look, finds it unchanged. So a one-shot scan ends with a
second look at what was young, and a scan that is repeated does so too, or it would wait for
the clock. Who keeps the young files for that should keep a bounded number of them.
"""

from __future__ import annotations

import enum
import errno
import itertools
import os
import stat
from collections.abc import Callable, Generator, Iterable

import attrs

from trioq.engine.sources.scan.files import Found, Look, ScanRules, Skipped
from trioq.engine.sources.scan.rooted import DIRECTORY, LeavesRoot, Root, absolute
from trioq.errors import TrioqError

__all__ = ["Found", "ScanError", "ScanRules", "Skipped", "look_again", "scan"]

MAX_DEPTH = 64
"""Directories below the root that are entered; what is deeper is reported."""

PIECE = 512
"""Entries of one directory that are held, and put in order, at a time."""

PATH_MAX = 4096
"""Bytes of a path, with its end, that the system accepts: a longer one couldn't be opened."""

_SPECIAL = {
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}

_REPLACED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class ScanError(TrioqError):
    """The directory to be scanned isn't there, isn't a directory, or can't be read."""


def scan(
    rules: ScanRules, *, now_ns: Callable[[], int], check: Callable[[], None] | None = None
) -> Generator[Found | Skipped, None, None]:
    """Every wanted file once, and what was skipped, as it's met.

    Closing the generator closes every descriptor. It may run in one thread after another,
    but in one at a time.

    Args:
      now_ns: Epoch nanoseconds, to be compared with the files' times.
      check: Called every 512 entries, whether or not they were wanted, so that a scan
        that finds nothing can be stopped; it may raise, which ends the scan.

    Raises:
      ScanError: From the first ``next``: there is no such directory.
    """
    root = _open(rules)
    tree = _Tree(rules, root, absolute(rules.root), now_ns)
    stack: list[_Directory] = []
    try:
        stack.append(_Directory(os.dup(root.fd), ""))
        count = 0
        while stack:
            count += 1
            if check is not None and count % PIECE == 0:
                check()
            met = tree.step(stack[-1], depth=len(stack))
            if isinstance(met, _Directory):
                stack.append(met)
            elif met is _END:
                stack.pop().close()
            elif met is not None:
                yield met
    finally:
        for directory in stack:
            directory.close()
        root.close()


def look_again(
    rules: ScanRules, young: Iterable[str | Skipped], *, now_ns: Callable[[], int]
) -> Generator[Found | Skipped, None, None]:
    """A second look at what was ``still_written``; wait ``settle_s`` before it.

    What has changed since is skipped as ``still_written`` once more, with the new look.

    Args:
      young: What was skipped. A bare path does too, but is then judged by the clock alone,
        which never settles a file with a time in the future.

    Raises:
      ScanError: From the first ``next``: the root has gone.
    """
    root = _open(rules)
    tree = _Tree(rules, root, absolute(rules.root), now_ns)
    try:
        for one in young:
            path, before = (one, None) if isinstance(one, str) else (one.path, one.look)
            yield tree.look(path, is_link=False, before=before)
    finally:
        root.close()


def _open(rules: ScanRules) -> Root:
    try:
        return Root.open(rules.root)
    except OSError as error:
        raise ScanError(f"can't scan {os.fspath(rules.root)!r}: {error.strerror}") from None


@attrs.frozen
class _Directory:
    """A level of the walk: an open directory and what is left of its entries."""

    fd: int
    prefix: str
    """Empty for the root, else ``a/b/``."""
    entries: Generator[os.DirEntry[str], None, None] = attrs.field(init=False)

    @entries.default
    def _list(self) -> Generator[os.DirEntry[str], None, None]:
        return _entries(self.fd)

    def close(self) -> None:
        self.entries.close()
        os.close(self.fd)


def _entries(fd: int) -> Generator[os.DirEntry[str], None, None]:
    """The entries, in pieces that are in order; a small directory's listing is closed early."""
    with os.scandir(fd) as listing:
        while len(piece := list(itertools.islice(listing, PIECE))) == PIECE:
            yield from sorted(piece, key=_name)
    yield from sorted(piece, key=_name)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


class _End(enum.Enum):
    """There's nothing left in a directory."""

    END = enum.auto()


_END = _End.END


@attrs.frozen
class _Tree:
    """The tree of one scan: decides about each entry that the walk meets."""

    rules: ScanRules
    root: Root
    root_name: str
    now_ns: Callable[[], int]

    def step(self, here: _Directory, *, depth: int) -> _Directory | Found | Skipped | _End | None:
        """Take the next entry of a directory; a listing that fails ends it, and is reported."""
        try:
            entry = next(here.entries, None)
        except OSError as error:
            return _failed(here.prefix.rstrip("/") or ".", error)
        return _END if entry is None else self.visit(entry, here, depth=depth)

    def visit(
        self, entry: os.DirEntry[str], here: _Directory, *, depth: int
    ) -> _Directory | Found | Skipped | None:
        """A directory to enter, a file, something skipped, or nothing that is wanted."""
        path = here.prefix + entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if self.rules.globs.prunes(path):
                    return None
                if depth > MAX_DEPTH:
                    return Skipped(path, "too_deep", f"more than {MAX_DEPTH} directories")
                return _Directory(os.open(entry.name, DIRECTORY, dir_fd=here.fd), path + "/")
            if not self.rules.globs.takes(path):
                return None
            if entry.is_symlink():
                return self.look(path, is_link=True)
            return self.judge(path, entry.stat(follow_symlinks=False))
        except OSError as error:
            return _failed(path, error)

    def look(self, path: str, *, is_link: bool, before: Look | None = None) -> Found | Skipped:
        """Look at a path from the root down, through links that stay beneath it."""
        try:
            status = self.root.stat(path)
        except LeavesRoot as error:
            return Skipped(path, "symlink_outside", f"leads to {error}")
        except OSError as error:
            if is_link and error.errno in _REPLACED:
                return Skipped(path, "symlink_broken", error.strerror or "")
            return _failed(path, error)
        if is_link and stat.S_ISDIR(status.st_mode):
            return Skipped(path, "symlink_directory")
        return self.judge(path, status, before)

    def judge(
        self, path: str, status: os.stat_result, before: Look | None = None
    ) -> Found | Skipped:
        """Decide from a file's status; the name has been accepted."""
        if not stat.S_ISREG(status.st_mode):
            what = _SPECIAL.get(stat.S_IFMT(status.st_mode))
            if what is None:
                return Skipped(path, "vanished", "replaced during the scan")
            return Skipped(path, "special", what)
        if len(os.fsencode(self.root_name)) + len(os.fsencode(path)) + 2 > PATH_MAX:
            return Skipped(path, "path_too_long", f"more than {PATH_MAX} bytes")
        look = Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns, self.now_ns())
        if not look.is_settled(round(self.rules.settle_s * 1e9), before):
            return Skipped(path, "still_written", "changed a moment ago", look)
        queue = self.rules.queue_of(path.rpartition("/")[2])
        ctime_ns = None if self.rules.ignore_ctime else look.ctime_ns
        return Found(path, look.size, look.mtime_ns, ctime_ns, queue, self.root_name)


def _failed(path: str, error: OSError) -> Skipped:
    """A look that failed: gone or replaced meanwhile, or not for us to see."""
    detail = error.strerror or type(error).__name__
    return Skipped(path, "vanished" if error.errno in _REPLACED else "unreadable", detail)
