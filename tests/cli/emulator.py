"""A terminal that is emulated in this process: everywhere, and quick."""

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import attrs
import pyte

from tests.cli.screens import Screen, colours_of
from tests.cli.terminal import START
from tests.support import PATIENCE_S


@attrs.define
class Emulator(Screen):
    """A screen of pyte's, at the other end of a pseudo-terminal."""

    process: subprocess.Popen[bytes]
    screen: pyte.HistoryScreen
    _stream: pyte.ByteStream
    _fd: int

    @property
    def pid(self) -> int:  # type: ignore[override]
        return self.process.pid

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        _set_size(self._fd, columns, lines)

    def colours(self) -> set[str]:
        return colours_of(self.screen)

    def end(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self._wait():
            assert time.monotonic() < deadline, f"it doesn't end:\n{self.text}"
        return self.process.wait(PATIENCE_S)

    def scrolled(self) -> int:
        return len(self.screen.history.top)

    def modes(self) -> list[object]:
        return termios.tcgetattr(self._fd)

    def has_cursor(self) -> bool:
        return not self.screen.cursor.hidden

    def _wait(self) -> bool:
        ready, _, _ = select.select([self._fd], [], [], 0.1)
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


def emulated(
    *arguments: object, columns: int = 80, lines: int = 24, env: Mapping[str, str] | None = None
) -> AbstractContextManager[Emulator]:
    """Run the command line on a terminal of this size."""
    argv = [sys.executable, "-c", START, *map(str, arguments)]
    return emulating(argv, columns=columns, lines=lines, env=env)


@contextmanager
def emulating(
    argv: Sequence[str], *, columns: int = 80, lines: int = 24, env: Mapping[str, str] | None = None
) -> Iterator[Emulator]:
    """Run anything there."""
    ours, theirs = pty.openpty()
    _set_size(ours, columns, lines)
    without = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        argv,
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
