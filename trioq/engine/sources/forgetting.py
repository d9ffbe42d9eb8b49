"""Forgets the paths whose files have been gone for ``forget_after``.

Each scan is followed by a look at a part of what is remembered, a page after another. Who is
gone is noted, by the server's clock; who finds it gone once more after ``forget_after``, and its
note unchanged, has it forgotten. So it doesn't matter how many engines look at the directory,
which of them are killed, or when anything of that is executed.

A directory that is missing, or empty, may be one that isn't mounted: nothing is noted then, and
nothing forgotten.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs
import trio

from trioq.core.events import FilesForgotten, ForgettingPaused, Report
from trioq.core.seen import Sighting, parts
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.sources.scan.rooted import Root

#: Paths asked for, and looked at, at a time.
PAGE = 200

#: After one scan so many are looked at, and so many more for each file that the scan has found to
#: be new: each that comes is to be looked at twice when it has gone, or more would come than go.
LOOKS = 10_000
LOOKS_FOR_EACH = 4


@attrs.define(kw_only=True)
class Forgetter:
    """One producer's.

    Args:
      forget_after_s: 0: nothing is ever forgotten, nor looked for.
    """

    caller: Caller
    directory: Path
    forget_after_s: float
    outage: Outage
    report: Report
    _cursor: str = attrs.field(default="", init=False)
    """Where the round of looks has got to; empty: the next begins."""
    _paused: Literal["missing", "empty"] | None = attrs.field(default=None, init=False)
    """What was told of the directory."""

    async def look(self, new: int | None = None) -> None:
        """Look at some of what is remembered, at all of it at most.

        Args:
          new: How many files the scan before has found to be new; None: look at all.
        """
        if not self.forget_after_s:
            return
        root = await trio.to_thread.run_sync(_open, self.directory)
        if isinstance(root, str):
            await self._pause(root)
            return
        self._paused = None
        try:
            await self._look_through(root, new)
        finally:
            root.close()

    async def _look_through(self, root: Root, new: int | None) -> None:
        left = None if new is None else LOOKS + LOOKS_FOR_EACH * new
        forgotten = 0
        while left is None or left > 0:
            known = await self._page()
            sightings = await trio.to_thread.run_sync(_sightings, root, known)
            for at in range(0, len(sightings), PAGE):
                forgotten += await self.note(sightings[at : at + PAGE])
            if not self._cursor:
                break
            if left is not None:
                left -= len(known)
        if forgotten:
            self.report(FilesForgotten(forgotten))

    async def note(self, sightings: Sequence[Sighting]) -> int:
        """Have it remembered how these are; returns how many are forgotten."""
        caller, after_ms = self.caller, round(self.forget_after_s * 1000)
        return await self.outage.until_answered(
            "scan", lambda: caller.call(caller.store.note_files, sightings, after_ms)
        )

    async def _page(self) -> dict[str, str]:
        caller, cursor = self.caller, self._cursor
        self._cursor, known = await self.outage.until_answered(
            "scan", lambda: caller.call(caller.store.seen_from, cursor, PAGE)
        )
        return known

    async def _pause(self, why: Literal["missing", "empty"]) -> None:
        """Say so, once, if there was anything."""
        if self._paused != why:
            self._cursor = ""
            if await self._page():
                self._paused = why
                self.report(ForgettingPaused(str(self.directory), why))
            self._cursor = ""


def _open(directory: Path) -> Root | Literal["missing", "empty"]:
    """The directory, if there is anything in it. All is looked up beneath what was opened: if
    something else is mounted there, or nothing any more, that isn't looked at."""
    try:
        root = Root.open(directory)
    except OSError:
        return "missing"
    try:
        with os.scandir(root.fd) as entries:
            if next(entries, None) is not None:
                return root
    except OSError:
        pass
    root.close()
    return "empty"


def _sightings(root: Root, known: dict[str, str]) -> list[Sighting]:
    """Of these paths, those of which something else is to be remembered."""
    sightings = []
    for path, remembered in known.items():
        _, ctime_ns, gone_ms = parts(remembered)
        is_there = _is_there(root, path)
        if is_there is False:
            sightings.append(Sighting(path, remembered, True))
        # Where its status time isn't known, the next scan finds it to be new.
        elif is_there and gone_ms is not None and ctime_ns:
            sightings.append(Sighting(path, remembered, False))
    return sightings


def _is_there(root: Root, path: str) -> bool | None:
    """Whether there is a file, or a link that might lead to one; None: that can't be told."""
    try:
        mode = os.stat(path, dir_fd=root.fd, follow_symlinks=False).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return None
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
