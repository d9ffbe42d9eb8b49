"""What has a benchmark of its own, and a line here."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import trio

from benchmarks import invoke, limiter, scan, worlds
from benchmarks.million import Millions
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.support import bench


@row("limiter", rounds=1, slow=True)
def producers(scale: Scale) -> Figures:
    counts = limiter.measure(100.0, 20, 3, 22.0)
    return {"limiter, most above rate × time": limiter.most_above(counts, 100.0)}


@row("invoke")
def invoked(scale: Scale) -> Figures:
    cost = trio.run(invoke.measure, invoke.nothing, {}, scale.of(100_000, 2_000), scale.of(5, 1))
    return {"invoke a handler, beyond running it": cost.above}


@row("worlds")
def tested(scale: Scale) -> Figures:
    took = worlds.measure(worlds.CASES["six retries in an hour"], scale.of(10, 2))
    return {"a test with an hour of retries": min(took)}


@row("scan")
def scanned(scale: Scale) -> Figures:
    files = scale.of(50_000, 1_000)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        scan.make_tree(root, files, 100)
        scan.scan_all(root)
        started = time.perf_counter()
        scan.scan_all(root)
        return {"scan a directory": files / (time.perf_counter() - started)}


@row("million", rounds=1, slow=True)
def operators(scale: Scale) -> Figures:
    with bench() as b:
        millions = Millions(b, scale.of(1_000_000, 2_000))
        millions.fill()
        rows = millions.measure()
    return {"longest request of operators' commands": max(r["longest_ms"] for r in rows.values())}
