"""Work in many small requests: paced, shown, and stopped by Ctrl-C between two of them."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self

import attrs
import click

from trioq.cli import INTERRUPTED, WRONG_USE
from trioq.cli.common import FASTEST, fail, note
from trioq.cli.number import Number
from trioq.cli.screen import is_terminal
from trioq.client.admin import PAGE
from trioq.errors import TrioqError

#: A pause looks this often whether Ctrl-C was pressed.
LOOK_S = 0.05

#: Less than this is done before anybody has looked.
BAR_FROM = 1000

#: Requests in a second at least, so that a slow pace isn't a jerky one.
BEATS = 10


class Stop:
    """Ctrl-C asks to stop after the request under way; a second one stops at once."""

    def __init__(self) -> None:
        self.wanted = False
        self.is_at_once = False
        """Nothing is under way now: the first one stops at once, too."""

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self.want)
        return self

    def __exit__(self, *error: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def want(self, number: int, frame: FrameType | None) -> None:
        """A signal's handler."""
        if self.wanted or self.is_at_once:
            raise KeyboardInterrupt
        self.wanted = True


@attrs.define
class Pace:
    """Keeps to a number of jobs per second. None: as fast as it goes."""

    rate: float | None
    started: float = attrs.field(factory=time.monotonic)

    @property
    def page(self) -> int:
        """How many jobs to take at a time."""
        return PAGE if self.rate is None else max(1, min(PAGE, int(self.rate / BEATS)))

    def keep(self, done: int, stop: Stop) -> None:
        """Wait until so many may be done."""
        if self.rate is None:
            return
        until = self.started + done / self.rate
        while not stop.wanted and (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_S, left))


def through(pages: Iterable[int], pace: Pace, *, total: int, done_word: str) -> int:
    """Go through pages of work; how many jobs it was.

    Ends the command with a line that says how far it came if it is interrupted or fails.

    Args:
      total: How many jobs there are, for the bar and for that line.
      done_word: What was done to them: ``revived``.
    """
    done = 0
    with Stop() as stop, bar(total, done_word) as advance:
        try:
            for count in pages:
                done += count
                advance(count)
                pace.keep(done, stop)
                if stop.wanted:
                    break
        except TrioqError:
            note(f"{done:,} of {total:,} {done_word} before this:")
            raise
    if stop.wanted:
        interrupted(f"{done:,} of {total:,} {done_word}; the same command goes on from there")
    return done


def interrupted(how_far: str) -> NoReturn:
    """End after Ctrl-C."""
    fail(f"interrupted: {how_far}", INTERRUPTED)


@contextmanager
def bar(total: int, what: str, *, unit: str = "jobs") -> Iterator[Callable[[int], Any]]:
    """A progress bar on stderr, if that is a terminal; call it with each advance."""
    if not is_terminal(sys.stderr) or total < BAR_FROM:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    counted = "{task.completed:,.0f} of {task.total:,.0f} " + unit
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(counted))
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that can't be undone; ends the command unless the answer is yes."""
    if yes:
        return
    if not is_terminal(sys.stdin):
        fail("nobody can be asked, because stdin is no terminal: --yes goes ahead", WRONG_USE)
    try:
        click.echo(f"{question} [y/N] ", nl=False, err=True)
        # Not input(): a Ctrl-C while that gets the terminal ready is only seen with the next key.
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):  # Ctrl-C or Ctrl-D
        click.echo(err=True)
    if answer.strip().lower() not in ("y", "yes"):
        fail("nothing was changed")


with_yes = click.option("--yes", "-y", is_flag=True, help="Don't ask.")
with_dry_run = click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
with_rate = click.option(
    "--rate",
    type=Number(min=0, min_open=True, max=FASTEST),
    metavar="N",
    help="At most so many jobs per second; absent: as fast as it goes.",
)
