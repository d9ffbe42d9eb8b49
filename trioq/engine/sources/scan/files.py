"""What a scan is asked, and what it answers.

The walk itself is in :mod:`trioq.engine.sources.scan.walk`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from trioq.engine.sources.scan.globs import Globs

Reason = Literal[
    "unreadable",  # a directory or a file's status; the detail is the system's message
    "symlink_outside",  # it leads out of the root
    "symlink_directory",  # it leads to a directory
    "symlink_broken",  # it leads nowhere, or in a circle
    "special",  # a FIFO, a socket, a device
    "vanished",  # it was there a moment ago, or was something else
    "too_deep",  # more than MAX_DEPTH directories
    "path_too_long",  # no program could open it by its name
    "still_written",  # look again later
]


@attrs.frozen
class ScanRules:
    """What is looked for, where, and which queue it goes to.

    Raises:
      ConfigError: Patterns that are wrong, all of them.
    """

    root: Path
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    queue_of_extension: Mapping[str, str]
    """Lower-cased extension with its dot → queue; ``.tar.gz`` goes before ``.gz``."""
    default_queue: str
    settle_s: float = 1.0
    """How long a file must have been left alone."""
    ignore_ctime: bool = False
    """Whether marks leave out the status time."""
    globs: Globs = attrs.field(init=False, eq=False, repr=False)

    @globs.default
    def _compile(self) -> Globs:
        return Globs(self.include, self.exclude)

    def queue_of(self, name: str) -> str:
        """The queue for a file of this name: by its longest extension that has one.

        Leading dots don't begin an extension: ``.pdf`` is a hidden file without any.
        """
        rest = name.lower().lstrip(".")
        while (dot := rest.find(".")) >= 0:
            if queue := self.queue_of_extension.get(rest[dot:]):
                return queue
            rest = rest[dot + 1 :]
        return self.default_queue


@attrs.frozen
class Look:
    """What one look at a file saw, and when."""

    size: int
    mtime_ns: int
    ctime_ns: int
    at_ns: int
    """By our clock."""

    def is_settled(self, settle_ns: int, before: Look | None = None) -> bool:
        """Has it been left alone for this long, by the clock or since an earlier look?"""
        if settle_ns <= 0 or self.at_ns - self.ctime_ns >= settle_ns:
            return True
        return (
            before is not None
            and self.at_ns - before.at_ns >= settle_ns
            and (self.size, self.mtime_ns, self.ctime_ns)
            == (before.size, before.mtime_ns, before.ctime_ns)
        )


@attrs.frozen
class Found:
    """A file to be enqueued, unless it has been."""

    path: str
    """Relative to the root, with ``/``; bytes that aren't UTF-8 as lone surrogates
    (``os.fsencode`` gives the bytes back)."""
    size: int
    mtime_ns: int
    ctime_ns: int | None
    """None: it isn't gone by."""
    queue: str
    root: str = attrs.field(default="", repr=False)
    """Absolute, as configured."""

    @property
    def mark(self) -> str:
        """What is remembered of it (:mod:`trioq.core.seen`)."""
        return f"{self.size}:{self.mtime_ns}:{'' if self.ctime_ns is None else self.ctime_ns}"

    def payload(self) -> dict[str, Any]:
        """What the handler gets: the absolute path, bytes, and seconds since 1970."""
        path = os.path.join(self.root, self.path)
        return {"path": path, "size": self.size, "mtime": self.mtime_ns / 1_000_000_000}


@attrs.frozen
class Skipped:
    """Something that would have been taken, and why it wasn't."""

    path: str
    """As in :class:`Found`; the root itself is ``.``."""
    reason: Reason
    detail: str = ""
    look: Look | None = None
    """With ``still_written``: what :func:`look_again` compares."""
