"""What it costs to keep an embedded server's answers on disk, and what a killed one loses.

    python -m benchmarks.fsync [--jobs 20000] [--disk-ms 0] [--rounds 3] [--json]

Each way of writing the append-only file in turn: enqueueing in bulk, one by one, by eight
clients at once, and a drain by one engine. Then the server is killed under eight clients, and
what they were told is compared with what is there.

- ``everysec``: Redis's default. While a sync takes long, what was answered waits in memory.
- ``waitaof``: the same, and each enqueue asks for ``WAITAOF 1 0`` before it counts.
- ``keeper``: ``appendfsync no``, and the server's keeper syncs its file every second: ours.
- ``always``: each turn of the server's loop ends with a sync, before it answers.

``--disk-ms`` makes each sync take so much longer, as a slower disk does; it needs a C compiler.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from benchmarks.drain import Countdown, run_engine
from benchmarks.support import Bench, Row, bench, median, parser, show
from trioq import Call, connect_sync
from trioq.store.embedded import start
from trioq.store.lane import Lane
from trioq.store.scripts import Script

CLIENTS = 8
KILLED_AFTER_S = 4.0
WAYS = ("keeper", "everysec", "waitaof", "always")
CALL = Call("noop", {"pad": "x" * 200})
SHIM = Path(__file__).parent.parent / "tests" / "faults" / "fsync.c"


@contextmanager
def way_of(b: Bench, name: str) -> Iterator[None]:
    """The server writes in this way."""
    setting = {"keeper": "no", "waitaof": "everysec"}.get(name, name)
    b.admin.call("CONFIG", "SET", "appendfsync", setting)
    run = Lane.run

    def run_and_wait(lane: Lane, script: Script, *rest: Any) -> Any:
        answer = run(lane, script, *rest)
        if script.name == "enqueue":
            lane.call("WAITAOF", 1, 0, 10_000, timeout_s=15.0)
        return answer

    if name == "waitaof":
        Lane.run = run_and_wait  # type: ignore[method-assign]
    try:
        yield
    finally:
        Lane.run = run  # type: ignore[method-assign]


def bulk(b: Bench, jobs: int) -> float:
    with connect_sync(b.config) as client:
        started = time.perf_counter()
        for _ in range(jobs // 500):
            client.enqueue_many(CALL for _ in range(500))
        return jobs / (time.perf_counter() - started)


def single(b: Bench, seconds: float) -> float:
    with connect_sync(b.config) as client:
        started, count = time.perf_counter(), 0
        while (took := time.perf_counter() - started) < seconds:
            client.enqueue(CALL)
            count += 1
        return count / took


def together(b: Bench, seconds: float) -> float:
    rates: list[float] = []
    threads = [
        threading.Thread(target=lambda: rates.append(single(b, seconds))) for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def drain(b: Bench, jobs: int) -> float:
    b.clear()
    with connect_sync(b.config) as client:
        client.enqueue_many(CALL for _ in range(jobs))
    started = time.perf_counter()
    with open(os.devnull, "w") as log:
        trio.run(run_engine, b.config, Countdown(jobs), log)
    return jobs / (time.perf_counter() - started)


def lost(b: Bench) -> dict[str, float]:
    """Kill the server under clients, start it again, and look for what they were told."""
    b.clear()
    told: list[str] = []

    def work() -> None:
        with connect_sync(b.config) as client:
            try:
                while not killed.is_set():
                    job = client.enqueue(CALL)
                    if not killed.is_set():
                        told.append(job.uid)
            except Exception:
                assert killed.is_set()

    killed = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    time.sleep(KILLED_AFTER_S)
    pid = int(b.info("server")["process_id"])
    killed.set()
    os.kill(pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    with start(b.directory / ".server"):
        lane = b.connector.lane("look")
        there = sum(lane.call("HEXISTS", "{bench}:jobs", uid) for uid in told)
    return {"told": len(told), "lost": len(told) - there}


def measured(name: str, jobs: int) -> Row:
    with bench() as b, way_of(b, name):
        b.clear()
        row = {
            "bulk/s": bulk(b, jobs),
            "single/s": single(b, 2.0),
            f"{CLIENTS} clients/s": together(b, 2.0),
            "drain/s": drain(b, jobs),
        }
        return row | lost(b)


def main() -> None:
    made = parser(__doc__, rounds=3)
    made.add_argument("--jobs", type=int, default=20_000)
    made.add_argument("--disk-ms", type=int, default=0, help="by how much a sync takes longer")
    made.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = made.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if options.disk_ms:
            if not (compiler := shutil.which("cc")):
                raise SystemExit("--disk-ms needs a C compiler")
            shim = Path(directory) / "fsync.so"
            subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, SHIM], check=True)
            os.environ |= {"LD_PRELOAD": str(shim), "TRIOQ_TEST_FSYNC_MS": str(options.disk_ms)}
        rounds: dict[str, list[Row]] = {name: [] for name in options.ways}
        for _ in range(options.rounds):
            for name in options.ways:
                rounds[name].append(measured(name, options.jobs))
    show(options, {name: median(rows) for name, rows in rounds.items()})


if __name__ == "__main__":
    main()
