"""What an embedded server wrote into its log, and what that means."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from trioq.store.embedded.binary import ServerBinary
from trioq.store.embedded.directory import APPENDONLY, MANIFEST
from trioq.store.embedded.errors import DataUnusable, EmbeddedError

#: The log keeps this much from earlier runs.
LOG_BYTES = 1 << 20

_LOG = "server.log"

# "123:M 24 Nov 2026 10:00:00.000 * What happened" without all before the mark.
_PREFIX = re.compile(r"^\d+:\w .*?\d\d:\d\d:\d\d\.\d+ [.\-*#] ")

_OVER = "or move the directory away to begin with no jobs"


def tell(line: str) -> None:
    """Tell what a person should know where nobody else does: as a warning of Python's logging."""
    logging.getLogger("trioq.server").warning(line)


class ServerLog:
    """The log from one start on: what was there before is not this server's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._from = self._size()

    def last_words(self) -> str:
        """Its last lines, in one."""
        return " / ".join([line for line in self._lines() if line][-2:])

    def notices(self) -> Iterator[str]:
        """What the server had to mend when it loaded its data."""
        if any("loaded anyway" in line for line in self._lines()):
            yield (
                f"{self._directory}: the last write to the append-only file was torn and has been"
                " cut off; everything before it is there"
            )

    def why_it_ended(self, binary: ServerBinary) -> EmbeddedError:
        """One line on a server that didn't start, with the way out where there is one."""
        text = "\n".join(self._lines())
        if "No space left on device" in text:
            return EmbeddedError(f"{self._directory}: no space left on the disk: make room")
        appendonly = self._directory / APPENDONLY
        if damaged := re.search(r"Bad file format reading the append only file ([^\s:]+)", text):
            file = appendonly / Path(damaged[1]).name
            return DataUnusable(
                f"{file}: damaged in the middle, so the server doesn't load it; copy the directory,"
                f" then cut the file off at the damage (what came after is lost):"
                f" {_check_aof(binary)} --fix {file}; {_OVER}"
            )
        if "RDB reading" in text or "loading DB" in text:
            return DataUnusable(
                f"{_base(appendonly)}: damaged, so the server doesn't load it; put a copy of the"
                f" directory back, {_OVER}"
            )
        if missing := re.search(r"(?:AOF|append log) file (\S+) (?:length|doesn't exist)", text):
            file = appendonly / Path(missing[1]).name
            return DataUnusable(
                f"{file}: missing, so the server doesn't load the others; put it back, {_OVER}"
            )
        if re.search(r"AOF MANIFEST FILE ERROR|AOF manifest", text):
            return DataUnusable(
                f"{appendonly / MANIFEST}: damaged, so the server doesn't load the data; put a"
                f" copy of the directory back, {_OVER}"
            )
        last = self.last_words() or "without a word in its log; is the disk full?"
        return EmbeddedError(f"{self._directory}: the server ended at its start: {last}")

    def trim(self) -> None:
        """Before a start: keep the end of a log that has grown long."""
        path = self._directory / _LOG
        if self._size() > LOG_BYTES:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with open(fd, "r+b") as file:
                file.seek(-LOG_BYTES // 2, os.SEEK_END)
                rest = file.read()
                file.seek(0)
                file.write(rest)
                file.truncate()
        self._from = self._size()

    def _size(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return (self._directory / _LOG).stat().st_size
        return 0

    def _lines(self) -> list[str]:
        try:
            with open(self._directory / _LOG, "rb") as file:
                file.seek(self._from)
                lines = file.read(LOG_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        return [_PREFIX.sub("", line).strip() for line in lines]


def _check_aof(binary: ServerBinary) -> str:
    """How to call the tool that mends files: the server itself, by another name."""
    name = f"{binary.kind}-check-aof"
    return name if shutil.which(name) else f"bash -c 'exec -a {name} {binary.path} \"$@\"' -"


def _base(appendonly: Path) -> Path:
    """The piece that everything else is added to."""
    with contextlib.suppress(OSError):
        text = (appendonly / MANIFEST).read_text()
        if listed := re.search(r"file (\S+) seq \d+ type b", text):
            return appendonly / listed[1]
    return appendonly
