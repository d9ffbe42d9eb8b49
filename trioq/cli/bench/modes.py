"""The benchmarks that have a namespace of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs

from trioq.cli.bench.figures import Measured, Spread
from trioq.cli.bench.load import NS, offer
from trioq.cli.bench.namespace import LOOK_S, Bench, Run
from trioq.cli.bench.options import Wanted

#: How many single calls are timed, at most: each is a round trip.
SINGLE_CALLS = 5000

Told = Callable[[int], object]


def offer_load(bench: Bench, wanted: Wanted, told: Callable[[str], Told]) -> Measured:
    """Offer a load to engines that stand."""
    bench.start_engines(wanted.engines)
    offered = offer(bench.client, wanted.load, told("enqueued"))
    done, dead = _wait(bench, wanted, told("done"))
    runs = _last_of_each(bench.stop_engines())
    rates = {"offered": wanted.load.rate} if wanted.load.rate else {}
    rates |= {"enqueued": wanted.load.jobs / offered.took_s}
    if runs:
        rates["done"] = len(runs) / ((max(run.ended for run in runs) - offered.began_ns) / NS)
    times = _times(runs) | ({"enqueue call": Spread.of(offered.calls_s)} if offered.calls_s else {})
    return _measured(wanted, rates, times, done, dead)


def drain(bench: Bench, wanted: Wanted, told: Callable[[str], Told]) -> Measured:
    """Enqueue all, then let engines have it; their start doesn't count."""
    offer(bench.client, attrs.evolve(wanted.load, rate=0.0), told("enqueued"))
    bench.start_engines(wanted.engines)
    done, dead = _wait(bench, wanted, told("done"))
    runs = _last_of_each(bench.stop_engines())
    rates = {}
    if len(runs) > 1:
        took = max(run.ended for run in runs) - min(run.began for run in runs)
        rates["done"] = len(runs) / (took / NS)
    times = {"run": _times(runs)["run"]} if wanted.load.work_s else {}
    return _measured(wanted, rates, times, done, dead)


def enqueue(bench: Bench, wanted: Wanted, told: Callable[[str], Told]) -> Measured:
    """Single calls, then many in one; payloads are made before."""
    load_ = wanted.load
    calls = [load_.call(i, 0, *where) for i, where in enumerate(load_.places())]
    singles = calls[: max(1, min(SINGLE_CALLS, len(calls) // 2))]
    tell, calls_s = told("enqueued"), []
    for i, call in enumerate(singles, 1):
        before = time.perf_counter()
        bench.client.enqueue(call)
        calls_s.append(time.perf_counter() - before)
        tell(i)
    rates = {"single calls": len(singles) / sum(calls_s)}
    bulk = calls[len(singles) :]
    if bulk:
        before = time.perf_counter()
        bench.client.enqueue_many(bulk)
        rates["in bulk"] = len(bulk) / (time.perf_counter() - before)
    tell(len(calls))
    counts = {"enqueued one by one": len(singles), "enqueued in bulk": len(bulk)}
    return Measured(rates, {"enqueue call": Spread.of(calls_s)}, counts)


MODES: dict[str, Callable[[Bench, Wanted, Callable[[str], Told]], Measured]] = {
    "load": offer_load,
    "latency": offer_load,
    "drain": drain,
    "enqueue": enqueue,
}


def _wait(bench: Bench, wanted: Wanted, told: Told) -> tuple[int, int]:
    """Wait until all are done or dead, or nothing has ended for a while."""
    before, deadline = (0, 0), time.monotonic() + wanted.patience_s
    while True:
        now = bench.finished()
        told(sum(now))
        if sum(now) >= wanted.load.jobs:
            return now
        if now != before:
            before, deadline = now, time.monotonic() + wanted.patience_s
        elif time.monotonic() > deadline:
            return now
        time.sleep(LOOK_S)


def _last_of_each(runs: Sequence[Run]) -> list[Run]:
    """A job can be run twice, on a machine that stands still for longer than the lease."""
    last: dict[int, Run] = {}
    for run in runs:
        if run.i not in last or run.ended > last[run.i].ended:
            last[run.i] = run
    return list(last.values())


def _times(runs: Sequence[Run]) -> dict[str, Spread | None]:
    return {
        "wait": Spread.of([(run.began - run.due) / NS for run in runs]),
        "run": Spread.of([(run.ended - run.began) / NS for run in runs]),
        "end-to-end": Spread.of([(run.ended - run.due) / NS for run in runs]),
    }


def _measured(
    wanted: Wanted,
    rates: dict[str, float],
    times: dict[str, Spread | None],
    done: int,
    dead: int,
) -> Measured:
    unfinished = wanted.load.jobs - done - dead
    counts = {"done": done, "dead": dead, "unfinished": unfinished}
    gave_up = f"gave up: nothing had ended for {wanted.patience_s:g} s"
    notes = (gave_up,) if unfinished else ()
    return Measured(rates, times, counts, notes, complete=done == wanted.load.jobs)
