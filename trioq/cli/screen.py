"""Tables and times for people: fitted to a terminal, plain columns elsewhere.

What comes from jobs may hold anything: markup that isn't meant, or bytes that would
command the terminal. So texts are never read as markup, and what doesn't print is shown
escaped.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TextIO

import attrs
import click

#: A cell of free text, such as a payload, is cut to this.
CELL = 60

#: Columns of free text that are narrower than this say nothing.
LEAST = 20

#: Seconds in each, from the largest.
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


@attrs.frozen
class Column:
    """How one column is shown."""

    title: str
    right: bool = False
    """Numbers stand at the right."""
    free: bool = False
    """Free text: cut where the terminal is too narrow. Such columns come last."""


def numbers(*titles: str) -> list[Column]:
    return [Column(title, right=True) for title in titles]


def texts(*titles: str) -> list[Column]:
    return [Column(title) for title in titles]


def free_texts(*titles: str) -> list[Column]:
    return [Column(title, free=True) for title in titles]


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """Print a table. Nothing but free text is ever cut."""
    lines = [[column.title for column in columns]]
    lines += [[plain(str(cell)) for cell in row] for row in rows]
    if not is_terminal(sys.stdout):
        for line in _placed(columns, lines):
            click.echo(line)
        return
    header, *shown = _fitted(columns, lines, shutil.get_terminal_size().columns)
    click.secho(header, bold=True)
    for line in shown:
        click.echo(line)


def _placed(columns: Sequence[Column], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        placed = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )  # fmt: skip
        yield "  ".join(placed).rstrip()


def _fitted(columns: Sequence[Column], lines: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The table on a terminal: free text is cut, or stands below where it had no room."""
    firm = [i for i, column in enumerate(columns) if not column.free]
    free = [i for i, column in enumerate(columns) if column.free]
    room = width - sum(max(len(line[i]) for line in lines) + 2 for i in firm)
    each = room // len(free) - 2 if free else 0
    if not free or each >= LEAST:
        cut_lines = [[cut(c, each) if i in free else c for i, c in enumerate(li)] for li in lines]
        yield from _placed(columns, cut_lines)
        return
    placed = _placed([columns[i] for i in firm], [[line[i] for i in firm] for line in lines])
    for number, (line, above) in enumerate(zip(lines, placed, strict=True)):
        yield above
        if number and (below := "  ".join(line[i] for i in free if line[i])):
            yield cut(f"  {below}", width)


def plain(text: str, *, lines: bool = False) -> str:
    """A text as it may be printed; ``lines`` keeps the ends of lines."""
    if text.isprintable():
        return text
    keep = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def cut(text: str, length: int = CELL) -> str:
    """A text that fits into a cell."""
    return text if len(text) <= length else text[: length - 1] + "…"


def ago(at_ms: int | None, now_ms: int | None = None) -> str:
    """How long ago, or in how long: ``3 min ago``, ``in 2 h``."""
    if not at_ms:
        return ""
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    seconds = abs(now_ms - at_ms) / 1000
    for unit, size in UNITS:
        if seconds >= size:
            amount = f"{int(seconds // size)} {unit}"
            return f"{amount} ago" if now_ms >= at_ms else f"in {amount}"
    return "now"


def lasting(seconds: float) -> str:
    """How long something takes, in the largest unit in which it is whole: ``24 h``, ``90 s``."""
    for unit, size in UNITS[1:]:
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:g} s"


def moment(at_ms: int | None) -> str:
    """A point in time, in the local zone, and how far away that is."""
    if not at_ms:
        return "unknown"
    when = datetime.fromtimestamp(at_ms / 1000).astimezone()
    return f"{when.isoformat(sep=' ', timespec='milliseconds')} ({ago(at_ms)})"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody sits there. None: the program was started without this stream."""
    return stream is not None and stream.isatty()
