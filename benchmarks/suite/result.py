"""What a run of the suite found, laid out, saved, and beside another. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Self

import attrs

from benchmarks.goals import FIGURES
from benchmarks.suite.row import Curve
from benchmarks.table import Column, number, table


@attrs.define
class Result:
    """Figures of all rounds, and curves."""

    machine: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    rounds: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    curves: dict[str, Curve] = attrs.field(factory=dict[str, Curve])
    failed: list[str] = attrs.field(factory=list[str])
    """What couldn't be measured, and why."""

    def add(self, figures: Mapping[str, float]) -> None:
        """What one row found in one round.

        Raises:
          KeyError: A figure that nobody knows.
        """
        for name, value in figures.items():
            if name not in FIGURES:
                raise KeyError(f"{name!r} isn't in benchmarks/goals.py")
            self.rounds.setdefault(name, []).append(value)

    @property
    def medians(self) -> dict[str, float]:
        """In the order of the goals."""
        return {name: median(self.rounds[name]) for name in FIGURES if name in self.rounds}

    def as_json(self) -> dict[str, Any]:
        figures = {
            name: {
                "median": value,
                "rounds": self.rounds[name],
                "unit": FIGURES[name].unit,
                "goal": str(FIGURES[name]),
                "met": FIGURES[name].met(value),
            }
            for name, value in self.medians.items()
        }
        curves = {name: attrs.asdict(curve) for name, curve in self.curves.items()}
        return {
            "machine": dict(self.machine),
            "figures": figures,
            "curves": curves,
            "failed": self.failed,
        }

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A saved run; a figure that isn't measured any more is left out."""
        told = json.loads(text)
        figures = {n: f["rounds"] for n, f in told["figures"].items() if n in FIGURES}
        curves = {
            name: Curve(
                curve["title"],
                curve["x"],
                curve["y"],
                {what: tuple((x, y) for x, y in line) for what, line in curve["lines"].items()},
            )
            for name, curve in told["curves"].items()
        }
        return cls(told["machine"], figures, curves, told["failed"])


def laid_out(result: Result, against: Result | None = None) -> str:
    """The table: each figure, its goal, and how many times better it is than in another run."""
    columns = [Column(""), Column("median", right=True), Column(""), Column("least – most"),
               Column("goal", right=True), Column("met")]  # fmt: skip
    before = against.medians if against else {}
    if against:
        columns.append(Column("× better", right=True))
    rows = []
    for name, value in result.medians.items():
        goal, all_ = FIGURES[name], result.rounds[name]
        met = {True: "yes", False: "NO", None: ""}[goal.met(value)]
        spread = f"{number(min(all_))} – {number(max(all_))}" if len(all_) > 1 else ""
        cells = [name, number(value), goal.unit, spread, str(goal), met]
        if against:
            cells.append(f"{goal.gain(value, before[name]):.2f}" if name in before else "–")
        rows.append(cells)
    return table(columns, rows)


def unlike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """In what two machines differ, so that rates of their runs can't be compared."""
    names = sorted(ours.keys() | theirs.keys())
    return [
        f"{name}: {theirs.get(name, 'unknown')}, now {ours.get(name, 'unknown')}"
        for name in names
        if ours.get(name) != theirs.get(name)
    ]


def span(points: Sequence[tuple[float, float]]) -> float:
    """The dearest of a curve by its cheapest: 1 is flat."""
    costs = [y for _, y in points]
    return max(costs) / min(costs)


def above_line(points: Sequence[tuple[float, float]]) -> float:
    """By how many times a curve is at most above the straight line between its ends: 1 is on it
    or below, as what costs so much for each job and so much for each byte."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return max(y / (y0 + (y1 - y0) * (x - x0) / (x1 - x0)) for x, y in points)
