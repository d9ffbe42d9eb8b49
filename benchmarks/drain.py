"""How fast one engine runs jobs that do nothing.

    python -m benchmarks.drain [--metrics both] [--jobs 50000] [--payload 200] [--rounds 5] [--json]

Enqueues the jobs, then lets one engine with everything on run them: fences, the last 1,000
summaries, metrics, logs at level info. In the same round, on the same server, the prototype of
``benchmarks/prototype.py`` runs as many. Prints medians: jobs per second by the
clock, and the CPU time of server and client for each job. The goals: 30,000 jobs/s or more,
and 0.75 of the prototype or more; at most 8 µs of the server for each job, 11 with enqueueing.

``--metrics both`` asks what metrics cost instead: each round runs an engine with and one
without, in turns, the first of them changing. The goal is 0.9 of the rate without. On a machine
that others use too, CPU time says more than the clock.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TextIO

import attrs
import trio

from benchmarks import prototype
from benchmarks.support import Bench, Row, bench, client_cpu_s, median, parser, show
from trioq import App, Call, Engine, connect_sync
from trioq.cli.engine import GARBAGE, SWITCH_S
from trioq.core.config import Config
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines


@attrs.define
class Cost:
    """What a part of a round took, and had of the server and of this process."""

    wall_s: float = 0.0
    server_s: float = 0.0
    client_s: float = 0.0


@contextmanager
def measured(b: Bench) -> Iterator[Cost]:
    """The cost of what is done inside."""
    gc.collect()
    cost, server_s = Cost(), b.cpu_s()
    client_s, started = client_cpu_s(), time.perf_counter()
    yield cost
    cost.wall_s = time.perf_counter() - started
    cost.client_s = client_cpu_s() - client_s
    cost.server_s = b.cpu_s() - server_s


@attrs.define
class Countdown:
    """An app whose handler does nothing but count."""

    left: int
    app: App = attrs.field(factory=App)
    all_run: trio.Event = attrs.field(factory=trio.Event)

    def __attrs_post_init__(self) -> None:
        @self.app.job("noop")
        async def noop(pad: str) -> None:
            self.one()

    def one(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.all_run.set()


async def run_engine(config: Config, countdown: Countdown, log: TextIO) -> None:
    """Run an engine until all is run and settled."""
    report = LogLines(logger("info", "json", log))
    async with trio.open_nursery() as nursery:
        engine = await nursery.start(Engine(countdown.app, config, report=report).run)
        await countdown.all_run.wait()
        engine.drain()


def trioq_round(b: Bench, jobs: int, payload: int, *, bind: str = "127.0.0.1:0") -> Row:
    """Enqueue, then drain, with metrics served at ``bind``."""
    b.clear()
    config = attrs.evolve(b.config, observability=attrs.evolve(b.config.observability, bind=bind))
    with measured(b) as enqueueing, connect_sync(b.config) as client:
        client.enqueue_many(Call("noop", {"pad": "x" * payload}) for _ in range(jobs))
    with open(os.devnull, "w") as log, measured(b) as draining:
        trio.run(run_engine, config, Countdown(jobs), log)
    done = int(b.admin.call("HGET", "{bench}:stats", "done"))
    if done != jobs:
        raise SystemExit(f"{done} of {jobs} jobs are done")
    return _row(jobs, draining, enqueueing)


def prototype_round(b: Bench, jobs: int, payload: int) -> Row:
    """The same, by the prototype."""
    b.clear()
    lane, countdown = b.connector.lane("prototype"), Countdown(jobs)
    with measured(b) as enqueueing:
        prototype.fill(lane, jobs, {"pad": "x" * payload})
    with measured(b) as draining:
        prototype.drain(lane, {"noop": lambda pad: countdown.one()})
    if countdown.left:
        raise SystemExit(f"the prototype left {countdown.left} jobs")
    return _row(jobs, draining, enqueueing)


def _row(jobs: int, draining: Cost, enqueueing: Cost) -> Row:
    return {
        "jobs/s": jobs / draining.wall_s,
        "server µs": draining.server_s / jobs * 1e6,
        "+ enqueue": (draining.server_s + enqueueing.server_s) / jobs * 1e6,
        "client µs": draining.client_s / jobs * 1e6,
    }


Way = Callable[[Bench, int, int], Row]

BESIDE_PROTOTYPE: dict[str, Way] = {"trioq": trioq_round, "prototype": prototype_round}
METRICS: dict[str, Way] = {
    "metrics on": trioq_round,
    "metrics off": partial(trioq_round, bind=""),
}


def main() -> None:
    made = parser(__doc__, rounds=5)
    made.add_argument("--jobs", type=int, default=50_000)
    made.add_argument("--payload", type=int, default=200, help="bytes")
    made.add_argument("--metrics", choices=["on", "both"], default="on", help="both: on and off")
    options = made.parse_args()
    sys.setswitchinterval(SWITCH_S)  # as `trioq serve` has it
    gc.set_threshold(GARBAGE)
    ways = METRICS if options.metrics == "both" else BESIDE_PROTOTYPE
    rounds: dict[str, list[Row]] = {name: [] for name in ways}
    with bench() as b:
        for way in ways.values():
            way(b, options.jobs // 10, options.payload)  # first uses don't count
        for number in range(options.rounds):
            in_turn = list(ways.items()) if number % 2 else list(reversed(ways.items()))
            for name, way in in_turn:
                rounds[name].append(way(b, options.jobs, options.payload))
    first, second = rounds.values()
    # Of each round, so that both saw the same good or bad moment of the machine.
    shares = median(
        [
            {
                "jobs/s": ours["jobs/s"] / other["jobs/s"],
                "client µs": other["client µs"] / ours["client µs"],
            }
            for ours, other in zip(first, second, strict=True)
        ]
    )
    if options.metrics == "both":
        compared = [
            ("part of the rate without metrics", shares["jobs/s"]),
            ("… by the client's CPU time", shares["client µs"]),
        ]
    else:
        compared = [("trioq's part of the prototype's rate", shares["jobs/s"])]
    show(options, {name: median(rows) for name, rows in rounds.items()}, compared)


if __name__ == "__main__":
    main()
