"""What the page costs beside millions of jobs: time, commands, and how long the server is held.

    python -m benchmarks.pages [--jobs 1000000] [--rounds 5] [--undisturbed] [--json]

So many jobs are ready, as many parked behind one name, scheduled, and dead (`benchmarks.million`).
Each page is asked for in this process, without a network in between; the first time doesn't count.
Prints the median of the times, how many commands of Redis one takes, and the longest time that one
request kept the server from serving others.
"""

from __future__ import annotations

import argparse
import statistics
import time

import httpx
import trio
from starlette.types import ASGIApp

from benchmarks.million import DEAD, PARKED, READY, SCHEDULED, Millions, uid
from benchmarks.support import bench, show
from trioq.web.application import make
from trioq.web.desk import Desk


def pages(jobs: int) -> tuple[str, ...]:
    """All that read much."""
    middle = jobs // 2
    return (
        "/", "/?hours=24", "/queues", "/queues/low", "/jobs", "/jobs?newest=1",
        "/jobs?q=name:thumbnail", "/jobs?q=name:nobody", "/jobs?q=error:nothing&state=dead",
        "/jobs?state=scheduled", "/jobs?state=parked", "/jobs?state=dead", "/jobs?state=done",
        "/dead", "/dead/group", "/dead/group?name=nobody",
        *(f"/jobs/{uid(kind, middle)}" for kind in (READY, PARKED, SCHEDULED, DEAD)),
        "/engines", "/limits", "/schedules", "/doctor", "/api/v1/stats", "/api/v1/minutes?hours=24",
        "/api/v1/jobs?limit=100", "/api/v1/dead?limit=100",
    )  # fmt: skip


async def asked(app: ASGIApp, path: str, times: int) -> list[float]:
    """Milliseconds that each of these took."""
    transport, took = httpx.ASGITransport(app), list[float]()
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for _ in range(times):
            began = time.perf_counter()
            answer = await client.get(path, timeout=60.0)
            took.append(1000 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status_code}")
    return took


def measure(millions: Millions, app: ASGIApp, rounds: int) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    b = millions.bench
    b.admin.call("CONFIG", "SET", "slowlog-log-slower-than", 200)
    b.admin.call("CONFIG", "SET", "slowlog-max-len", 100_000)
    b.admin.call("CONFIG", "SET", "latency-monitor-threshold", 1)
    for path in pages(millions.jobs):
        trio.run(asked, app, path, 1)
        before = float(b.info("stats")["total_commands_processed"])
        with millions.watched(rows, path):
            took = trio.run(asked, app, path, rounds)
        done = float(b.info("stats")["total_commands_processed"]) - before
        row = rows[path]
        rows[path] = {
            "ms": statistics.median(took),
            "commands": done / rounds,
            "longest_ms": row["longest_ms"],
        }
    return rows


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    made.add_argument("--jobs", type=int, default=1_000_000, help="so many of each kind")
    made.add_argument("--rounds", type=int, default=5, help="median of this many")
    made.add_argument("--undisturbed", action="store_true", help="the server goes first; for root")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    options = made.parse_args()
    with bench() as b:
        millions = Millions(b, options.jobs)
        millions.fill()
        if options.undisturbed:
            millions.go_first()
        app = make(Desk(b.config, b.connector))
        show(options, measure(millions, app, options.rounds))


if __name__ == "__main__":
    main()
