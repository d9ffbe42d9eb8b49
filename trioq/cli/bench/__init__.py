"""``trioq bench``: how much, and how fast, on this server and this machine.

Three questions with a namespace of their own: what it does with a load (the default), how long
a single job takes on an idle system (``--latency``), and how fast a backlog is worked off
(``--drain``); one for the client alone (``--enqueue``); and one for engines that are there
already (``--engines existing``).
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trioq.cli import FAILED, WRONG_USE
from trioq.cli.bench.figures import Measured, Report, Spread
from trioq.cli.bench.load import NS, Load, offer
from trioq.cli.bench.place import LOOK_S, Place, Run, own_place
from trioq.cli.common import fail, show_json
from trioq.core.config import Config
from trioq.settings import load

#: Offered to an idle system: by far less than it can do, and never in step with anything.
IDLE_RATE = 25.0

#: How many single calls are timed, at most: each is a round trip.
SINGLE_CALLS = 5000

Told = Callable[[int], None]


@attrs.frozen
class Wanted:
    """What was asked for."""

    mode: str
    load: Load
    engines: int
    workers: int
    patience_s: float

    def as_json(self) -> dict[str, Any]:
        about: dict[str, Any] = {
            "mode": self.mode,
            "jobs": self.load.jobs,
            "payload_bytes": self.load.payload_bytes,
            "work_s": self.load.work_s,
            "queues": list(self.load.queues),
            "seed": self.load.seed,
        }
        if self.mode != "enqueue":
            about |= {"engines": self.engines, "workers": self.workers}
        return about

    def __str__(self) -> str:
        load_ = self.load
        rate = f" at {load_.rate:g}/s" if load_.rate else ""
        text = (
            f"{load_.jobs:,} jobs of {load_.payload_bytes:,} B into {'+'.join(load_.queues)}{rate}"
        )
        if load_.work_s:
            text += f", {load_.work_s:g} s each"
        if self.mode != "enqueue":
            text += f"; {self.engines} engine{'s'[: self.engines > 1]} of {self.workers} workers"
        return f"{text}; seed {load_.seed}"


@click.command()
@click.argument("config", type=click.Path())
@click.option("--latency", "mode", flag_value="latency", help="Single jobs on an idle system.")
@click.option("--drain", "mode", flag_value="drain", help="A backlog, enqueued before it is run.")
@click.option("--enqueue", "mode", flag_value="enqueue", help="The client alone; nothing runs.")
@click.option("-n", "--jobs", type=click.IntRange(min=1), help="How many.")
@click.option("--rate", type=click.FloatRange(min=0), help="Jobs per second; 0: all at once.")
@click.option("--payload", "payload_bytes", type=click.IntRange(0, 1 << 20), default=200,
              show_default=True, help="Bytes.")  # fmt: skip
@click.option("--work", "work_s", type=click.FloatRange(min=0), default=0.0,
              help="Seconds that each job takes.")  # fmt: skip
@click.option("--queue", "queues", multiple=True, help="Where to; several are mixed.")
@click.option("--engines", type=click.IntRange(1, 64), default=1, show_default=True,
              help="How many engines run them.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 1000), help="Of each engine.")
@click.option("--seed", type=int, default=1337, show_default=True,
              help="For payloads, queues and pauses.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(min=0.1), default=30.0, show_default=True,
              help="Seconds without any job done after which it gives up.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def bench(config: str, as_json: bool, **options: Any) -> None:
    """Measure throughput and latency, in a namespace of its own.

    Enqueues jobs that do nothing, at a rate, waits for exactly these, and reports how they
    fared. The jobs, counters and lists of others aren't touched; server and machine are
    shared with them. Exit code 1 if not all of the jobs were done.
    """
    made = load(config)
    wanted = _wanted(made, **options)
    signal.signal(signal.SIGTERM, _interrupt)
    with (
        _progress(wanted.load.jobs) as told,
        own_place(Path(config), made, wanted.workers) as place,
    ):
        measured = MODES[wanted.mode](place, wanted, told)
        about = {**wanted.as_json(), "server": place.server}
    report = Report(f"{wanted}; {about['server']}", about, measured)
    if as_json:
        show_json(report.as_json())
    else:
        report.show(Console())
    if not measured.complete:
        sys.exit(FAILED)


def _wanted(
    config: Config,
    *,
    mode: str | None,
    jobs: int | None,
    rate: float | None,
    payload_bytes: int,
    work_s: float,
    queues: tuple[str, ...],
    engines: int,
    workers: int | None,
    seed: int,
    timeout: float,
) -> Wanted:
    """The options, with defaults that depend on one another."""
    if unknown := [queue for queue in queues if queue not in config.queue_names]:
        fail(f"no queue {unknown[0]!r}; there are {', '.join(config.queue_names)}", WRONG_USE)
    mode = mode or "load"
    offered = Load(
        jobs=jobs or {"load": 1000, "latency": 200}.get(mode, 20_000),
        rate={"load": 500.0, "latency": IDLE_RATE}.get(mode, 0.0) if rate is None else rate,
        payload_bytes=payload_bytes,
        queues=queues or (config.default_queue,),
        seed=seed,
        work_s=work_s,
        jitter=1.0 if mode == "latency" else 0.0,
    )
    return Wanted(mode, offered, engines, workers or config.worker.count, timeout)


def _load(place: Place, wanted: Wanted, told: Callable[[str], Told]) -> Measured:
    """Offer a load to engines that stand."""
    place.start_engines(wanted.engines)
    offered = offer(place.client, wanted.load, told("enqueued"))
    done, dead = _wait(place, wanted, told("done"))
    runs = _last_of_each(place.stop_engines())
    rates = {"offered": wanted.load.rate} if wanted.load.rate else {}
    rates |= {"enqueued": wanted.load.jobs / offered.took_s}
    if runs:
        rates["done"] = len(runs) / ((max(run.ended for run in runs) - offered.began_ns) / NS)
    times = _times(runs) | ({"enqueue call": Spread.of(offered.calls_s)} if offered.calls_s else {})
    return _measured(wanted, rates, times, done, dead)


def _drain(place: Place, wanted: Wanted, told: Callable[[str], Told]) -> Measured:
    """Enqueue all, then let engines have it; their start doesn't count."""
    offer(place.client, attrs.evolve(wanted.load, rate=0.0), told("enqueued"))
    place.start_engines(wanted.engines)
    done, dead = _wait(place, wanted, told("done"))
    runs = _last_of_each(place.stop_engines())
    rates = {}
    if len(runs) > 1:
        took = max(run.ended for run in runs) - min(run.began for run in runs)
        rates["done"] = len(runs) / (took / NS)
    times = {"run": _times(runs)["run"]} if wanted.load.work_s else {}
    return _measured(wanted, rates, times, done, dead)


def _enqueue(place: Place, wanted: Wanted, told: Callable[[str], Told]) -> Measured:
    """Single calls, then many in one; payloads are made before."""
    load_ = wanted.load
    calls = [load_.call(i, 0, *where) for i, where in enumerate(load_.places())]
    singles = calls[: max(1, min(SINGLE_CALLS, len(calls) // 2))]
    tell, calls_s = told("enqueued"), []
    for i, call in enumerate(singles, 1):
        before = time.perf_counter()
        place.client.enqueue(call)
        calls_s.append(time.perf_counter() - before)
        tell(i)
    rates = {"single calls": len(singles) / sum(calls_s)}
    bulk = calls[len(singles) :]
    if bulk:
        before = time.perf_counter()
        place.client.enqueue_many(bulk)
        rates["in bulk"] = len(bulk) / (time.perf_counter() - before)
    tell(len(calls))
    counts = {"enqueued one by one": len(singles), "enqueued in bulk": len(bulk)}
    return Measured(rates, {"enqueue call": Spread.of(calls_s)}, counts)


MODES: dict[str, Callable[[Place, Wanted, Callable[[str], Told]], Measured]] = {
    "load": _load,
    "latency": _load,
    "drain": _drain,
    "enqueue": _enqueue,
}


def _wait(place: Place, wanted: Wanted, told: Told) -> tuple[int, int]:
    """Wait until all are done or dead, or nothing has ended for a while."""
    before, deadline = (0, 0), time.monotonic() + wanted.patience_s
    while True:
        now = place.finished()
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


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], Told]]:
    """Bars on a terminal; each takes the count so far."""
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:

        def told(what: str) -> Told:
            bar = progress.add_task(what, total=total)
            return lambda count: progress.update(bar, completed=count)

        yield told


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
