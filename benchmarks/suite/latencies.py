"""How late a job starts on an engine that has nothing else to do."""

from __future__ import annotations

import trio

from benchmarks import latency
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.support import bench, percentile


@row("latency")
def idle(scale: Scale) -> Figures:
    jobs = scale.of(500, 30)
    with bench() as b:
        ours = trio.run(latency.trioq_latency, b, jobs, 0.0)
        bare = latency.bare_latency(b, jobs)
        due = trio.run(latency.trioq_latency, b, max(20, jobs // 5), latency.DELAY_S)
    figures = {"due → handler, p99": percentile(due, 0.99)}
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        figures[f"idle, enqueue → handler, {name}"] = percentile(ours, part)
        figures[f"… of a bare thread, {name}"] = percentile(ours, part) / percentile(bare, part)
    return figures
