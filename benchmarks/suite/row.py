"""What a row of the suite is, and the list of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

Point: TypeAlias = tuple[float, float]


@attrs.frozen
class Curve:
    """What a job costs, by how much there is of something."""

    title: str
    x: str
    """What there is more and more of."""
    y: str
    lines: Mapping[str, tuple[Point, ...]]
    """Points by what they tell."""


@attrs.define
class Scale:
    """How much is measured, and where the curves go that are found on the way."""

    quick: bool = False
    """Just enough to see that all works; the figures say nothing."""
    curves: dict[str, Curve] = attrs.field(factory=dict[str, Curve])

    def of(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual


Figures: TypeAlias = Mapping[str, float]
"""By names of ``benchmarks/goals.py``."""


@attrs.frozen
class Row:
    """One thing to be measured."""

    name: str
    measure: Callable[[Scale], Figures]
    rounds: int | None = None
    """At most so many: it takes long, or hardly varies."""
    slow: bool = False
    """Left out of a quick run unless it is asked for."""


ROWS: dict[str, Row] = {}


def row(
    name: str, *, rounds: int | None = None, slow: bool = False
) -> Callable[[Callable[[Scale], Figures]], Callable[[Scale], Figures]]:
    """Puts a function on the list."""

    def add(measure: Callable[[Scale], Figures]) -> Callable[[Scale], Figures]:
        assert name not in ROWS, name
        ROWS[name] = Row(name, measure, rounds, slow)
        return measure

    return add
