"""How soon the jobs of a killed engine run again on another.

    python -m benchmarks.recovery [--rounds 5] [--json]

Two engines with the default lease and reaper interval; one has a job and is killed with SIGKILL.
Prints the seconds from the kill to the start of the same job on the other one. The goal: less
than lease + 2 × reaper interval, 7 s by default, and less than 10 s.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.support import Bench, bench, median, parser, show
from trioq import Call, connect_sync

HANDLERS = """
import os, time
import trio
import trioq

app = trioq.App()


@app.job("hold")
async def hold(job: trioq.Job, note: str) -> None:
    with open(note, "a") as file:
        print(os.getpid(), time.monotonic(), file=file, flush=True)
    if job.attempt == 1 and sum(1 for _ in open(note)) == 1:
        await trio.sleep(60)
"""


def starts(note: Path) -> list[tuple[int, float]]:
    lines = note.read_text().splitlines() if note.exists() else []
    return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]


def one_kill(b: Bench, number: int) -> float:
    """Seconds from the kill to the second start."""
    note = b.directory / f"starts-{number}"
    engines = [
        subprocess.Popen(
            [sys.executable, "-m", "trioq", "serve", b.file],
            cwd=b.directory,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(2)
    ]
    try:
        while (b.admin.call("HLEN", "{bench}:steps") or 0) < len(engines):
            time.sleep(0.02)
        with connect_sync(b.config) as client:
            client.enqueue(Call("hold", {"note": str(note)}))
        while not starts(note):
            time.sleep(0.02)
        os.kill(starts(note)[0][0], signal.SIGKILL)
        killed = time.monotonic()
        while len(starts(note)) < 2:
            time.sleep(0.02)
        return starts(note)[1][1] - killed
    finally:
        for engine in engines:
            engine.terminate()
        for engine in engines:
            engine.wait()


def main() -> None:
    options = parser(__doc__, rounds=5).parse_args()
    with bench(top='app = "bench_handlers:app"') as b:
        (b.directory / "bench_handlers.py").write_text(HANDLERS)
        took = [{"seconds": one_kill(b, number)} for number in range(options.rounds)]
    rows = {"killed": median(took), "slowest": {"seconds": max(row["seconds"] for row in took)}}
    show(options, rows)


if __name__ == "__main__":
    main()
