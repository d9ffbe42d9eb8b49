"""The figures that ``make bench`` prints, in its order, and what each shall be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs


@attrs.frozen
class Goal:
    """What is measured in which unit, what is better, and how good it shall be."""

    unit: str
    better: Literal["more", "less"]
    limit: float | None = None
    """None: there is no goal, only a comparison with other runs."""

    def met(self, value: float) -> bool | None:
        """None: there is nothing to be met."""
        if self.limit is None:
            return None
        return value >= self.limit if self.better == "more" else value <= self.limit

    def gain(self, value: float, before: float) -> float:
        """How many times better than before; below 1: worse."""
        now, then = (value, before) if self.better == "more" else (before, value)
        return now / then if then else float("inf")

    def __str__(self) -> str:
        if self.limit is None:
            return ""
        limit = f"{self.limit:,.2f}".rstrip("0").rstrip(".")
        return f"{'≥' if self.better == 'more' else '≤'} {limit}"


def at_least(limit: float, unit: str) -> Goal:
    return Goal(unit, "more", limit)


def at_most(limit: float, unit: str) -> Goal:
    return Goal(unit, "less", limit)


#: Flat within 15 % to both sides: the dearest job of a curve by the cheapest.
FLAT = 1.15 / 0.85

FIGURES: Mapping[str, Goal] = {
    "drain, one engine": at_least(95_000, "jobs/s"),
    "… of the bare prototype": Goal("×", "more"),
    "… client, claim → ack": at_most(8, "µs"),
    "… server, claim → ack": at_most(4.5, "µs"),
    "… server, enqueue → ack": at_most(8, "µs"),
    "drain, two processes": at_least(120_000, "jobs/s"),
    "enqueue in bulk": at_least(200_000, "/s"),
    "enqueue one by one": Goal("/s", "more"),
    "… of redis-py's bare EVALSHA": at_least(0.95, "×"),
    "enqueue, 100 tasks at once": at_least(25_000, "/s"),
    "idle, enqueue → handler, p50": Goal("ms", "less"),
    "idle, enqueue → handler, p99": Goal("ms", "less"),
    "… of a bare thread, p50": at_most(1.6, "×"),
    "… of a bare thread, p99": at_most(1.8, "×"),
    "due → handler, p99": at_most(3, "ms"),
    "idle, handler's return → thread that waits, p50": Goal("ms", "less"),
    "… of enqueue → handler, thread": at_most(1.5, "×"),
    "idle, handler's return → task that waits, p50": Goal("ms", "less"),
    "… of enqueue → handler, task": at_most(1.5, "×"),
    "idle, cancel → trio.Cancelled in the handler, p50": Goal("ms", "less"),
    "… p99": at_most(20, "ms"),
    "… cancel → told that it was stopped, p99": Goal("ms", "less"),
    "10,000 that run, cancelled by name": at_most(5, "s"),
    "1,000 waits of one client, requests": at_most(2, "/s"),
    "… the server's CPU time": at_most(1, "% of a core"),
    "… the client's CPU time": at_most(1, "% of a core"),
    "await 1 ms, 64 workers, of bare tasks": at_least(0.8, "×"),
    "block 10 ms, 64 workers, of bare threads": at_least(0.9, "×"),
    "spin 1 ms, 64 workers, of a bare loop": at_least(0.95, "×"),
    "run a program, 64 workers, of bare ones": at_least(0.9, "×"),
    "4 × 1 s of computing, 2 runners": at_most(2.2, "s"),
    "tiny handlers, 2 runners": Goal("jobs/s", "more"),
    "tiny def handlers, 16 workers": at_least(20_000, "jobs/s"),
    "tiny def handlers, 64 workers": at_least(20_000, "jobs/s"),
    "tiny handlers in asyncio, 64 workers": Goal("jobs/s", "more"),
    "await 1 ms in asyncio, 64 workers, of trio's": at_least(0.5, "×"),
    "a job parameter, of the plain drain": at_least(0.5, "×"),
    "defaults, of the plain drain": at_least(0.5, "×"),
    "a dataclass, of the plain drain": at_least(0.5, "×"),
    "ids, of the plain drain": at_least(0.5, "×"),
    "options, of the plain drain": at_least(0.5, "×"),
    "tracing at 1 %, of the plain drain": at_least(0.5, "×"),
    "results, of the plain drain": at_least(0.6, "×"),
    "… each that is kept": Goal("B", "less"),
    "10⁶ results of 1 s: gone after": at_most(60, "s"),
    "… the namespace, of before": at_most(1.1, "×"),
    "a rate, of the plain drain": Goal("×", "more"),
    "slots, of the plain drain": Goal("×", "more"),
    "1,000 fair keys, of the plain drain": Goal("×", "more"),
    "a rate, slots and 1,000 fair keys, of the plain drain": at_least(0.5, "×"),
    "100,000 wait for a slot: the server for other jobs": at_most(1.15, "×"),
    "… of that beside 100,000 in a queue that nobody serves": Goal("×", "less"),
    "a slot freed by another engine → handler, p99": at_most(50, "ms"),
    "a fair key's slot freed by another engine → handler, p99": at_most(50, "ms"),
    "a permit that falls due → handler, p99": at_most(50, "ms"),
    "a queue resumed → handler, p99": at_most(50, "ms"),
    "a limit raised → handler, p99": at_most(50, "ms"),
    "a schedule's tick → handler, p50": Goal("ms", "less"),
    "a schedule's tick → handler, p99": at_most(10, "ms"),
    "10,000 schedules, an idle engine: more commands": at_most(1, "/s"),
    "… more of the server's CPU time": at_most(0.5, "% of a core"),
    "… more of the client's CPU time": at_most(0.5, "% of a core"),
    "import trioq": at_most(30, "ms"),
    "import connect_sync": at_most(150, "ms"),
    "… trioq.aio.connect": at_most(200, "ms"),
    "… and connect, first call": at_most(300, "ms"),
    "packages of trioq": at_most(12, ""),
    "… of trioq[all]": at_most(50, ""),
    "trioq --help": at_most(100, "ms"),
    "serve → first job": at_most(0.6, "s"),
    "memory of serve, idle": at_most(64, "MB"),
    "… grown in the second half of the jobs": at_most(1, "MB"),
    "… with 1 MB payloads, at most": Goal("MB", "less"),
    "queued, 10³ → 10⁶: server": at_most(FLAT, "×"),
    "queued, 10³ → 10⁶: client": at_most(FLAT, "×"),
    "scheduled, 10³ → 10⁶: server": at_most(FLAT, "×"),
    "scheduled, 10³ → 10⁶: client": at_most(FLAT, "×"),
    "queues, 1 → 1,000: server": at_most(FLAT, "×"),
    "queues, 1 → 1,000: client": at_most(FLAT, "×"),
    "boots, 1 → 500: server": at_most(FLAT, "×"),
    "boots, 1 → 500: client": at_most(FLAT, "×"),
    "payloads, 100 B → 1 MB: above a straight line": at_most(1.15, "×"),
    "… 8.3 kB by 7.9 kB": at_most(1.15, "×"),
    "payloads of 8.3 kB, drained": Goal("MB/s", "more"),
    "… jobs of 8.3 kB": Goal("jobs/s", "more"),
    "… each kB of 8.3 kB": Goal("µs", "less"),
    "payloads of 100 kB, drained": Goal("MB/s", "more"),
    "… jobs of 100 kB": Goal("jobs/s", "more"),
    "… each kB of 100 kB": Goal("µs", "less"),
    "payloads of 1 MB, drained": Goal("MB/s", "more"),
    "… jobs of 1 MB": Goal("jobs/s", "more"),
    "… each kB of 1 MB": Goal("µs", "less"),
    "a killed engine's job runs again": at_most(7, "s"),
    "SIGTERM → gone, idle": at_most(100, "ms"),
    "limiter, most above rate × time": at_most(20, "jobs"),
    "invoke a handler, beyond running it": at_most(10, "µs"),
    "a test with an hour of retries": at_most(50, "ms"),
    "scan a directory": Goal("files/s", "more"),
    "longest request of operators' commands": Goal("ms", "less"),
}
