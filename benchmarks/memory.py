"""How much memory an engine takes, idle and after many jobs.

    python -m benchmarks.memory [--jobs 200000] [--json]

Starts ``trioq serve`` with metrics on, and reads the resident memory of its process: when it is
idle, and after each tenth of the jobs, which do nothing. The goals: 64 MB idle, and flat: the
second half of a million jobs adds nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.support import Bench, Row, bench, parser, show
from trioq import Call, connect_sync

HANDLERS = """
import trioq

app = trioq.App()


@app.job("noop")
async def noop(pad: str) -> None:
    pass
"""


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def counted(b: Bench, field: str) -> int:
    return int(b.admin.call("HGET", "{bench}:stats", field) or 0)


def measure(b: Bench, jobs: int) -> dict[str, Row]:
    """Resident memory by how many jobs were done."""
    (b.directory / "bench_handlers.py").write_text(HANDLERS)
    rows: dict[str, Row] = {}
    with (
        (b.directory / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "trioq", "serve", b.file], cwd=b.directory, stderr=log
        ) as engine,
    ):
        try:
            while not b.admin.call("HLEN", "{bench}:steps"):
                time.sleep(0.05)
            time.sleep(2.0)
            rows["idle"] = {"MB": resident_mb(engine.pid)}
            with connect_sync(b.config) as client:
                for part in range(1, 11):
                    client.enqueue_many(Call("noop", {"pad": "x"}) for _ in range(jobs // 10))
                    while counted(b, "done") < jobs // 10 * part:
                        time.sleep(0.05)
                    rows[f"{jobs // 10 * part:,} jobs"] = {"MB": resident_mb(engine.pid)}
        finally:
            engine.terminate()
    return rows


def main() -> None:
    made = parser(__doc__, rounds=1)
    made.add_argument("--jobs", type=int, default=200_000)
    options = made.parse_args()
    with bench(top='app = "bench_handlers:app"', bind="127.0.0.1:0") as b:
        rows = measure(b, options.jobs)
    values = [row["MB"] for row in rows.values()]
    show(options, rows, [("grown in the second half, MB", values[-1] - values[len(values) // 2])])


if __name__ == "__main__":
    main()
