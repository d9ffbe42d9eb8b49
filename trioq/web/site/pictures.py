"""Lines and bars, as the paths of an SVG: pure, and the same in every browser."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

#: What a picture is drawn in; the page stretches it.
WIDTH, HEIGHT = 600, 80


@attrs.frozen
class Picture:
    """A line, and the area under it. Where nothing is known there is a gap."""

    line: str
    area: str
    top: float
    """What the upper edge stands for."""
    last: float | None
    """The newest value that is known."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known at all."""
        return not self.line


def picture(values: Sequence[float | None], least_top: float = 1.0) -> Picture:
    """Values, the oldest first, from the left to the right edge.

    Args:
      values: None: not known.
      least_top: The upper edge stands for so much at least.
    """
    known = [value for value in values if value is not None]
    top = nice(max([least_top, *known]))
    step = WIDTH / max(1, len(values) - 1)
    lines, areas = list[str](), list[str]()
    for start, piece in _pieces(values):
        points = [
            (f"{(start + i) * step:.1f}", f"{HEIGHT - HEIGHT * value / top:.1f}")
            for i, value in enumerate(piece)
        ]
        if len(points) == 1:  # a dot is a short line
            x, y = points[0]
            points.append((f"{float(x) + 1:.1f}", y))
        lines.append("M" + "L".join(f"{x} {y}" for x, y in points))
        areas.append(f"{lines[-1]}L{points[-1][0]} {HEIGHT}L{points[0][0]} {HEIGHT}Z")
    return Picture("".join(lines), "".join(areas), top, known[-1] if known else None)


def nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 … above it."""
    power = 1.0
    while power < value:
        power *= 10
    while power / 10 >= value:
        power /= 10
    return next(part * power for part in (0.1, 0.2, 0.5, 1.0) if part * power >= value)


def _pieces(values: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    found = list[tuple[int, list[float]]]()
    for i, value in enumerate(values):
        if value is None:
            continue
        if found and found[-1][0] + len(found[-1][1]) == i:
            found[-1][1].append(value)
        else:
            found.append((i, [value]))
    return found
