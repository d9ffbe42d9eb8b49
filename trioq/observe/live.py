"""One line on a terminal that shows an engine at work."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

import attrs
import trio
from rich.console import Console
from rich.text import Text

from trioq.core import events as e
from trioq.core.events import Event
from trioq.core.job import Uid
from trioq.lines import Lines, lines_to, stands_for

#: How often the line is drawn anew.
EVERY_S = 0.2


@attrs.define
class Tally:
    """A listener that counts."""

    enqueued: int = 0
    done: int = 0
    failed: int = 0
    dead: int = 0
    away: bool = False
    _runs: set[Uid] = attrs.field(factory=set[Uid], init=False)

    @property
    def running(self) -> int:
        """Jobs whose handlers run. Some go back or die without one."""
        return len(self._runs)

    def __call__(self, event: Event) -> None:
        match event:
            case e.JobStarted():
                self._runs.add(event.uid)
            case e.JobSucceeded():
                self._runs.discard(event.uid)
                self.done += 1
            case e.JobFailed():
                self._runs.discard(event.uid)
                self.failed += 1
            case e.JobDied():
                self._runs.discard(event.uid)
                self.dead += 1
            case e.JobReleased() | e.JobSnoozed() | e.JobCancelled():
                self._runs.discard(event.uid)
            case e.FilesEnqueued(_, count):
                self.enqueued += count
            case e.RedisAway():
                self.away = True
            case e.RedisBack():
                self.away = False

    def line(self, rate: float) -> Text:
        """The line, with jobs per second."""
        text = Text.assemble(("trioq ", "bold"), f"{self.done:,} done")
        if self.enqueued:
            text.append(f" of {self.enqueued:,} found")
        text.append(f" · {self.running} running · {rate:,.0f}/s")
        if self.failed:
            text.append(f" · {self.failed:,} failed attempts", "yellow")
        if self.dead:
            text.append(f" · {self.dead:,} dead", "red")
        if self.away:
            text.append(" · Redis doesn't answer", "bold red")
        return text


def shows(stream: TextIO | None) -> bool:
    """Whether there is somebody who sees it, on a terminal that can move its cursor."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


async def show(tally: Tally, stream: TextIO) -> None:
    """Keep the line below whatever is written to a terminal until cancelled, and leave it as it
    was last."""
    lines = lines_to(stream)
    if lines is None:
        return
    before, at = tally.done, trio.current_time()
    rate = 0.0
    with _prints_above(lines):
        try:
            while True:
                lines.show_below(_drawn(tally.line(rate), stream))
                await trio.sleep(EVERY_S)
                now = trio.current_time()
                rate += 0.3 * ((tally.done - before) / (now - at) - rate)
                before, at = tally.done, now
        finally:
            lines.show_below(_drawn(tally.line(rate), stream))
            lines.show_below(None)


def _drawn(text: Text, stream: TextIO) -> str:
    """As the terminal takes it, in one row of it."""
    # Not the terminal itself: a console writes to its file, if only nothing, and would wait.
    columns = os.get_terminal_size(stream.fileno()).columns or 80
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=columns)
    # In the last column some terminals wrap.
    text.truncate(columns - 1, overflow="ellipsis")
    console.print(text, end="", no_wrap=True, overflow="ignore", crop=False)
    return drawn.getvalue()


@contextmanager
def _prints_above(lines: Lines) -> Iterator[None]:
    """What handlers print to the terminal meanwhile stands above the line, too."""
    with ExitStack() as stack:
        if shows(sys.stdout):
            above = stack.enter_context(redirect_stdout(Above(sys.stdout, lines)))
            stack.callback(above.flush_rest)
        if shows(sys.stderr):
            above = stack.enter_context(redirect_stderr(Above(sys.stderr, lines)))
            stack.callback(above.flush_rest)
        yield


class Above(io.TextIOBase):
    """Stands in for a terminal: whole lines go where all lines go."""

    def __init__(self, terminal: TextIO, lines: Lines) -> None:
        self._terminal = terminal
        self._lines = lines
        self._lock = threading.RLock()
        self._rest = ""
        stands_for(self, lines)

    def write(self, text: str) -> int:
        with self._lock:
            *whole, self._rest = (self._rest + text).split("\n")
            for line in whole:
                self._lines.msg(line)
        return len(text)

    def flush_rest(self) -> None:
        """Write what has no end yet."""
        if self._rest:
            self.write("\n")

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._terminal.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._terminal.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)
