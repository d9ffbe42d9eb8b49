"""The rows of the comparison, and how they are taken, laid out and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Literal

import attrs

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.measure import Load, Rig
from benchmarks.table import Column, number, table

Best = Literal["most", "least"]


@attrs.frozen
class Taken:
    """Something that is measured in one go."""

    what: str
    columns: tuple[str, ...]
    take: Callable[[Rig, int], Mapping[str, float]]
    """By a rig and a number of jobs for what goes one by one."""
    async_only: bool = False
    best: Best = "most"


def _one(name: str, take: Callable[[Rig], float | None]) -> Callable[[Rig, int], dict[str, float]]:
    def taken(rig: Rig, jobs: int) -> dict[str, float]:
        value = take(rig)
        return {} if value is None else {name: value}

    return taken


ROWS = (
    Taken("one", ("one/s",), _one("one/s", lambda rig: rig.drain(Load()))),
    Taken("two", ("two/s",), _one("two/s", lambda rig: rig.drain(Load(processes=2)))),
    Taken("single", ("single/s",), _one("single/s", lambda rig: rig.single())),
    Taken("bulk", ("bulk/s",), _one("bulk/s", lambda rig: rig.bulk())),
    Taken(
        "idle",
        ("p50", "p99", "server µs", "commands"),
        lambda rig, jobs: rig.idle(jobs),
        best="least",
    ),
    Taken("10 kB", ("10 kB/s",), _one("10 kB/s", lambda rig: rig.drain(Load(size=10_000)))),
    Taken(
        "await 1 ms",
        ("await/s",),
        _one("await/s", lambda rig: rig.drain(Load("wait", slots=64))),
        async_only=True,
    ),
)

LEGEND = """\
one/s, two/s     no-op jobs that one and two worker processes run, 200 B payloads
single/s, bulk/s enqueues by one client, one after the other and many at a time
p50, p99         ms from just before an enqueue to its handler, the worker idle
server µs, commands  what one such job costs the server, its enqueue included
10 kB/s          as one/s, with payloads of 10,000 bytes
await/s          jobs that wait 1 ms, 64 at a time in one process"""


@attrs.define
class Line:
    """What is known of one peer."""

    peer: Peer
    version: str
    rounds: dict[str, list[float]] = attrs.field(factory=dict[str, list[float]])
    told: list[str] = attrs.field(factory=list[str])
    """What couldn't be measured, and why."""

    def add(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.rounds.setdefault(name, []).append(value)

    @property
    def medians(self) -> dict[str, float]:
        return {name: median(values) for name, values in self.rounds.items()}

    @property
    def void(self) -> str:
        """Why nothing of this line may be used; empty: it may."""
        rate = self.medians.get("one/s")
        if rate is None or rate >= self.peer.floor:
            return ""
        return f"{rate:,.0f} jobs/s, less than half of what is published ({self.peer.floor:,.0f})"

    def as_json(self) -> dict[str, Any]:
        spread = {name: [min(values), max(values)] for name, values in self.rounds.items()}
        return {
            "version": self.version,
            "figures": self.medians,
            "spread": spread,
            "void": self.void,
            "told": self.told,
        }


def best(lines: Sequence[Line]) -> dict[str, str]:
    """Who is ahead in each column; void lines aren't asked."""
    found = {}
    for row in ROWS:
        for column in row.columns:
            values = {
                line.peer.name: line.medians[column]
                for line in lines
                if column in line.medians and not line.void
            }
            if values:
                pick = max if row.best == "most" else min
                found[column] = pick(values, key=values.__getitem__)
    return found


def laid_out(lines: Sequence[Line]) -> str:
    """The table; the best of each column has a star, a void line an exclamation mark."""
    ahead = best(lines)
    columns = [Column(""), Column("version")]
    names = [name for row in ROWS for name in row.columns]
    columns += [Column(name, right=True) for name in names]
    rows = []
    for line in lines:
        figures = line.medians
        cells = [
            number(figures[name]) + ("*" if ahead.get(name) == line.peer.name else " ")
            if name in figures
            else "– "
            for name in names
        ]
        rows.append([line.peer.name + ("!" if line.void else ""), line.version, *cells])
    return table(columns, rows)
