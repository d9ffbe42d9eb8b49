"""``trioq job --follow``: what becomes of a job, until it has ended.

On a terminal a bar and the lines of the job's log, elsewhere a line for each change.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import click

from trioq.cli import FAILED, INTERRUPTED
from trioq.cli.common import note
from trioq.cli.screen import ago, cut, is_terminal, plain
from trioq.client.status import News, Status

Show = Callable[[Status, Sequence[str]], None]


def follow(statuses: Iterator[Status], *, as_json: bool) -> None:
    """Show each, until the job has ended.

    Ends the command with 0 if the job is done, and with 1 if it has come to another end.
    """
    last: Status | None = None
    news = News()
    try:
        with _json() if as_json else _bar() if is_terminal(sys.stdout) else _lines() as show:
            for status in statuses:
                show(status, news.lines(status))
                last = status
    except KeyboardInterrupt:
        if not as_json:
            note("the job goes on")
        raise click.exceptions.Exit(INTERRUPTED) from None
    if last is None or last.state != "done":
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _json() -> Iterator[Show]:
    """A line of JSON for each change; its ``log`` has what is new."""

    def show(status: Status, new: Sequence[str]) -> None:
        told = {name: value for name, value in attrs.asdict(status).items() if name != "logged"}
        _out(json.dumps({**told, "log": list(new)}, default=str))

    yield show


@contextmanager
def _lines() -> Iterator[Show]:
    said = ""

    def show(status: Status, new: Sequence[str]) -> None:
        nonlocal said
        for line in new:
            _out(f"  {plain(line)}")
        if (now := told(status)) != said:
            said = now
            _out(f"{time.strftime('%H:%M:%S')} {now}")

    yield show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.text import Text

    console = Console(highlight=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    last: Status | None = None
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, text="")

        def show(status: Status, new: Sequence[str]) -> None:
            nonlocal last
            last = status
            for line in new:
                console.print(Text(plain(line)))
            progress.update(
                task,
                description=where(status),
                total=None if status.progress is None else 1.0,
                completed=status.progress or 0.0,
                text=cut(plain(status.text or status.error)),
            )

        yield show
    if last is not None:
        _out(told(last))


def where(status: Status) -> str:
    """Where the job is, in a few words."""
    if status.state == "running":
        return f"running, attempt {status.attempt}"
    if status.state == "scheduled":
        return f"scheduled, due {ago(status.due_ms)}"
    return f"{status.state}: {plain(status.reason)}" if status.reason else status.state


def told(status: Status) -> str:
    """What is known of it, in a line."""
    parts = [where(status)]
    if status.progress is not None:
        parts.append(f"{status.progress:.0%}")
    if status.text:
        parts.append(plain(status.text))
    if status.error:
        parts.append(plain(status.error))
    return "  ".join(parts)


def _out(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
