"""One line on a terminal that shows an engine at work."""

from __future__ import annotations

import attrs
import trio
from rich.console import Console
from rich.live import Live
from rich.text import Text

from trioq.core import events as e
from trioq.core.events import Event

#: How often the line is drawn anew.
EVERY_S = 0.2


@attrs.define
class Tally:
    """A listener that counts."""

    found: int = 0
    enqueued: int = 0
    started: int = 0
    done: int = 0
    failed: int = 0
    dead: int = 0
    running: int = 0
    away: bool = False

    def __call__(self, event: Event) -> None:
        match event:
            case e.JobStarted():
                self.running += 1
            case e.JobSucceeded():
                self.running -= 1
                self.done += 1
            case e.JobFailed():
                self.running -= 1
                self.failed += 1
            case e.JobDied():
                self.running = max(0, self.running - 1)
                self.dead += 1
            case e.JobReleased() | e.JobSnoozed():
                self.running = max(0, self.running - 1)
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


async def show(tally: Tally, console: Console) -> None:
    """Draw the line until cancelled, and leave it as it was last."""
    before, at = tally.done, trio.current_time()
    rate = 0.0
    with Live(tally.line(rate), console=console, auto_refresh=False) as live:
        try:
            while True:
                await trio.sleep(EVERY_S)
                now = trio.current_time()
                rate += 0.3 * ((tally.done - before) / (now - at) - rate)
                before, at = tally.done, now
                live.update(tally.line(rate), refresh=True)
        finally:
            live.update(tally.line(rate), refresh=True)
