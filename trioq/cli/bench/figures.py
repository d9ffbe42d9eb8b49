"""What was measured, as values, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs
from rich.console import Console
from rich.table import Table


@attrs.frozen
class Spread:
    """How a time is spread over all jobs, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float
    mean: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self | None:
        """By nearest rank; None of nothing."""
        if not seconds:
            return None
        ms = sorted(s * 1000 for s in seconds)
        p50, p95, p99 = (ms[math.ceil(part * len(ms)) - 1] for part in (0.5, 0.95, 0.99))
        return cls(p50, p95, p99, ms[-1], sum(ms) / len(ms))

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in attrs.asdict(self).items()}


@attrs.frozen
class Measured:
    """What was found."""

    rates: Mapping[str, float]
    """In jobs per second."""
    times: Mapping[str, Spread | None]
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()
    complete: bool = True
    """Whether all jobs were done."""


@attrs.frozen
class Report:
    """What was asked for, and what was found."""

    headline: str
    about: Mapping[str, Any]
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        """The shape of ``bench --json``."""
        found = self.measured
        return {
            **self.about,
            **{f"{_key(name)}_per_s": round(rate, 1) for name, rate in found.rates.items()},
            **{
                f"{_key(name)}_ms": spread and spread.rounded()
                for name, spread in found.times.items()
            },
            **{_key(name): count for name, count in found.counts.items()},
            "notes": list(found.notes),
        }

    def show(self, console: Console) -> None:
        """For people."""
        found = self.measured
        console.print(self.headline, soft_wrap=True, highlight=False)
        if found.rates:
            rates = Table(box=None, pad_edge=False)
            for name in found.rates:
                rates.add_column(name, justify="right")
            rates.add_row(*(f"{rate:,.1f}/s" for rate in found.rates.values()))
            console.print("", rates)
        if any(found.times.values()):
            console.print("", self._times())
        counts = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
        console.print("", counts, *found.notes, sep="\n", soft_wrap=True, highlight=False)

    def _times(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("ms")
        columns = [field.name for field in attrs.fields(Spread)]
        for column in columns:
            table.add_column(column, justify="right")
        for name, spread in self.measured.times.items():
            if spread is not None:
                table.add_row(name, *(_ms(getattr(spread, c)) for c in columns))
        return table


def _key(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")


def _ms(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:,.2f}"
