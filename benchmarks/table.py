"""Text tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs


@attrs.frozen
class Column:
    """A heading, and on which side its cells lie."""

    name: str
    right: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """Lines of cells, as wide as the widest; no spaces at the ends of lines."""
    cells = [[column.name for column in columns], *map(list, rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
    lines = []
    for row in cells:
        laid = (
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, widths, columns, strict=True)
        )
        lines.append("  ".join(laid).rstrip())
    return "\n".join(lines)


def number(value: float) -> str:
    """Three digits that mean something, more in front of the point."""
    for limit, digits in ((100.0, 0), (10.0, 1), (1.0, 2)):
        if abs(value) >= limit:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"
