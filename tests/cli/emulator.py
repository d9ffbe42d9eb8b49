"""A command on a terminal that is emulated, so that what stands on its screen can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import attrs
import pyte

from tests.cli.terminal import START
from tests.support import PATIENCE_S

#: What the sixteen colours are called here; anything else is one of more.
SIXTEEN = {"default", "black", "red", "green", "brown", "blue", "magenta", "cyan", "white"}


@attrs.define
class Emulator:
    """A screen, and keys to press."""

    process: subprocess.Popen[bytes]
    screen: pyte.HistoryScreen
    _stream: pyte.ByteStream
    _fd: int

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def see(self, what: str | Callable[[Emulator], object]) -> str:
        """Wait until this stands on the screen; the first line that has it."""
        fits = what if callable(what) else lambda it: what in it.text
        deadline = time.monotonic() + PATIENCE_S
        while not fits(self):
            if time.monotonic() > deadline or not self._read(deadline):
                raise AssertionError(f"not shown: {what!r}; but:\n{self.text}")
        return next((line for line in self.lines if isinstance(what, str) and what in line), "")

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        _set_size(self._fd, columns, lines)

    def colours(self) -> set[str]:
        """All that are used."""
        cells = (cell for row in self.screen.buffer.values() for cell in row.values())
        return {colour.removeprefix("bright") for cell in cells for colour in (cell.fg, cell.bg)}

    def end(self) -> int:
        """Wait for its end; the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE_S)

    def scrolled(self) -> int:
        """How many lines have left the screen at its upper end."""
        return len(self.screen.history.top)

    def modes(self) -> list[object]:
        """How the terminal is set."""
        return termios.tcgetattr(self._fd)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select(
            [self._fd], [], [], max(0, min(0.1, deadline - time.monotonic()))
        )
        if not ready:
            return self.process.poll() is None
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self._stream.feed(data)
        return bool(data)


def _set_size(fd: int, columns: int, lines: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def emulated(
    *arguments: object, columns: int = 80, lines: int = 24, env: Mapping[str, str] | None = None
) -> Iterator[Emulator]:
    """Run the command line on a terminal of this size."""
    ours, theirs = pty.openpty()
    _set_size(ours, columns, lines)
    without = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", START, *map(str, arguments)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**without, "TERM": "xterm-16color", "LANG": "C.UTF-8", **(env or {})},
    )  # fmt: skip
    os.close(theirs)
    screen = pyte.HistoryScreen(columns, lines)
    try:
        yield Emulator(process, screen, pyte.ByteStream(screen), ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
