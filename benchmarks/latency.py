"""How long an idle engine takes to start a job.

    python -m benchmarks.latency [--jobs 300] [--rounds 3] [--json]

From just before the enqueue to the handler's first line, an engine and a client in one process;
beside it a bare thread that does ``BLPOP`` and a claim. Then jobs with a delay: from the moment
at which they are due. Goals: 1.3 times the bare thread at p50 and twice at p99; due jobs
within 10 ms at p99. All times in milliseconds.
"""

from __future__ import annotations

import os
import threading
import time

import trio

from benchmarks import prototype
from benchmarks.support import Bench, Row, bench, median, parser, percentile, show
from trioq import App, Call, Engine, connect_sync
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines

#: Between two jobs: everything is idle again.
PAUSE_S = 0.01
DELAY_S = 0.2


async def trioq_latency(b: Bench, jobs: int, delay_s: float) -> list[float]:
    """Milliseconds from when each job was wanted to its handler's first line."""
    app, took_ms = App(), list[float]()
    wanted, ran = [0.0], [trio.Event()]

    @app.job("noop")
    async def noop() -> None:
        took_ms.append((time.perf_counter() - wanted[0]) * 1000)
        ran[0].set()

    def enqueue() -> None:
        # The thread is there already, as the bare one's client is: a hop to it isn't counted.
        wanted[0] = time.perf_counter() + delay_s
        client.enqueue(Call("noop", {}), delay=delay_s)

    with open(os.devnull, "w") as log, connect_sync(b.config) as client:  # noqa: ASYNC230
        report = LogLines(logger("warning", "json", log))
        async with trio.open_nursery() as nursery:
            engine = await nursery.start(Engine(app, b.config, report=report).run)
            for _ in range(jobs):
                ran[0] = trio.Event()
                await trio.sleep(PAUSE_S)
                await trio.to_thread.run_sync(enqueue)
                await ran[0].wait()
            engine.drain()
    return took_ms


def bare_latency(b: Bench, jobs: int) -> list[float]:
    """The same for a thread that waits with BLPOP and claims one job."""
    took_ms, wanted = list[float](), [0.0]
    ready, record, running = "{bare}:ready", "{bare}:jobs", "{bare}:running"
    ran = threading.Semaphore(0)

    def work() -> None:
        lane = b.connector.lane("bare")
        sha = lane.call("SCRIPT", "LOAD", prototype.STEP).decode()
        keys = (ready, running, record, "{bare}:done", "{bare}:stats")
        for _ in range(jobs):
            lane.call("BLPOP", "{bare}:bell", 10)
            lane.call("EVALSHA", sha, len(keys), *keys, "1", 1, 1000, 0)
            took_ms.append((time.perf_counter() - wanted[0]) * 1000)
            ran.release()

    thread = threading.Thread(target=work)
    thread.start()
    lane = b.connector.lane("bare-client")
    for n in range(jobs):
        time.sleep(PAUSE_S)
        wanted[0] = time.perf_counter()
        lane.pipeline(
            [
                ("HSET", record, n, b"{}"),
                ("LPUSH", ready, n),
                ("LPUSH", "{bare}:bell", 1),
            ]
        )
        ran.acquire()
    thread.join()
    return took_ms


def _row(took_ms: list[float]) -> Row:
    return {"p50": percentile(took_ms, 0.5), "p99": percentile(took_ms, 0.99)}


def main() -> None:
    made = parser(__doc__, rounds=3)
    made.add_argument("--jobs", type=int, default=300)
    options = made.parse_args()
    rounds: dict[str, list[Row]] = {"trioq": [], "bare thread": [], "due": []}
    with bench() as b:
        for _ in range(options.rounds):
            rounds["trioq"].append(_row(trio.run(trioq_latency, b, options.jobs, 0.0)))
            rounds["bare thread"].append(_row(bare_latency(b, options.jobs)))
            due = trio.run(trioq_latency, b, options.jobs // 10, DELAY_S)
            rounds["due"].append(_row(due))
    medians = {name: median(rows) for name, rows in rounds.items()}
    ours, theirs = medians["trioq"], medians["bare thread"]
    parts = [(f"times the bare thread, {p}", ours[p] / theirs[p]) for p in ("p50", "p99")]
    show(options, medians, parts)


if __name__ == "__main__":
    main()
