"""Pictures of lines and of bars, as SVG, for light and dark pages. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import attrs

Points = Sequence[tuple[float, float]]

WIDTH = 720
LEFT, RIGHT, TOP, BOTTOM = 64, 132, 56, 52
LINES_HEIGHT = 380
BAR, GAP = 20, 8

#: Where the largest value is so many times the smallest, a scale is logarithmic. Of what there is
#: more and more of, equal factors are equal steps much sooner.
LOG_FROM = 20.0
LOG_FROM_ACROSS = 5.0

#: Labels closer than this would touch.
LABEL_PX = 16.0

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.quiet { fill: #57606a; font-size: 12px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
.bar { fill: #afb8c1 }
.ours { fill: #0969da }
.c0 { stroke: #0969da; fill: #0969da }
.c1 { stroke: #bc4c00; fill: #bc4c00 }
.c2 { stroke: #1a7f37; fill: #1a7f37 }
.c3 { stroke: #8250df; fill: #8250df }
text.c0, text.c1, text.c2, text.c3 { stroke: none }
path.c0, path.c1, path.c2, path.c3 { fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .quiet { fill: #9198a1 }
  .grid { stroke: #3d444d }
  .bar { fill: #656c76 }
  .ours { fill: #4493f8 }
  .c0 { stroke: #4493f8; fill: #4493f8 }
  .c1 { stroke: #f0883e; fill: #f0883e }
  .c2 { stroke: #3fb950; fill: #3fb950 }
  .c3 { stroke: #ab7df8; fill: #ab7df8 }
}
""".strip()


@attrs.frozen
class Axis:
    """From values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float
    is_log: bool

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.is_log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        part = (at - low) / (high - low) if high > low else 0.5
        return round(self.start_px + part * (self.end_px - self.start_px), 1)

    @property
    def ticks(self) -> list[float]:
        """Round values inside."""
        if self.is_log:
            powers = range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            return [10.0**power for power in powers]
        step = nice((self.high - self.low) / 5)
        count = math.floor((self.high - self.low) / step + 1e-9)
        return [self.low + n * step for n in range(count + 1)]


def nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, …"""
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * part for part in (1, 2, 5, 10) if power * part >= value * (1 - 1e-9))


def axis(
    values: Sequence[float], start_px: float, end_px: float, log_from: float = LOG_FROM
) -> Axis:
    """For these values: from zero, or logarithmic where they lie far apart."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= log_from:
        return Axis(low, high, start_px, end_px, is_log=True)
    top = nice(high / 5) * 5 if high > 0 else 1.0
    return Axis(0.0, top, start_px, end_px, is_log=False)


def lines(title: str, x: str, y: str, series: Mapping[str, Points]) -> str:
    """Lines, with their names at their ends."""
    every = [point for points in series.values() for point in points]
    across = axis([px for px, _ in every], LEFT, WIDTH - RIGHT, LOG_FROM_ACROSS)
    up = axis([py for _, py in every], LINES_HEIGHT - BOTTOM, TOP)
    drawn = [_text(LEFT - 44, 24, title, "title"), _text(LEFT - 44, 42, y, "quiet")]
    for tick in up.ticks:
        at = up(tick)
        drawn.append(f'<path class="grid" d="M{LEFT} {at}H{WIDTH - RIGHT}"/>')
        drawn.append(_text(LEFT - 8, at + 4, short(tick), "quiet", "end"))
    bottom = LINES_HEIGHT - BOTTOM
    for tick in across.ticks:
        drawn.append(_text(across(tick), bottom + 20, short(tick), "quiet", "middle"))
    drawn.append(_text((LEFT + WIDTH - RIGHT) / 2, LINES_HEIGHT - 12, x, "quiet", "middle"))
    ends = apart([up(points[-1][1]) for points in series.values()])
    for n, ((name, points), end) in enumerate(zip(series.items(), ends, strict=True)):
        path = "L".join(f"{across(px)} {up(py)}" for px, py in points)
        drawn.append(f'<path class="line c{n % 4}" d="M{path}"/>')
        drawn += [
            f'<circle class="c{n % 4}" cx="{across(px)}" cy="{up(py)}" r="3"/>' for px, py in points
        ]
        drawn.append(_text(WIDTH - RIGHT + 10, end + 4, name, f"c{n % 4}"))
    return _picture(LINES_HEIGHT, title, drawn)


def bars(title: str, unit: str, values: Mapping[str, float], *, ours: str) -> str:
    """Lying bars from zero, in the order given; names that begin with ``ours`` stand out."""
    height = TOP + len(values) * (BAR + GAP) + GAP
    left = 120
    across = Axis(0.0, max(values.values()), left, WIDTH - RIGHT + 40, is_log=False)
    drawn = [_text(20, 24, title, "title"), _text(20, 42, unit, "quiet")]
    for n, (name, value) in enumerate(values.items()):
        top = TOP + n * (BAR + GAP)
        kind = "ours" if name.startswith(ours) else "bar"
        width = round(across(value) - left, 1)
        drawn.append(_text(left - 10, top + 15, name, "", "end"))
        drawn.append(
            f'<rect class="{kind}" x="{left}" y="{top}" width="{width}" height="{BAR}" rx="2"/>'
        )
        drawn.append(_text(left + width + 8, top + 15, short(value), "quiet"))
    return _picture(height, title, drawn)


def apart(places: Sequence[float]) -> list[float]:
    """The same places, moved down as far as is needed for none to touch another."""
    moved = list(places)
    below = -math.inf
    for n in sorted(range(len(places)), key=places.__getitem__):
        moved[n] = below = max(places[n], below + LABEL_PX)
    return moved


def short(value: float) -> str:
    """``20k``, ``1M``, ``0.5``."""
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(height: int, title: str, drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    told = f"<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>"
    return "\n".join([head, told, *drawn, "</svg>", ""])
