"""What a job costs, by how much there is of something else.

Each point enqueues so many jobs beside what is there, and drains them: the server's CPU time for
each, and the client's. Where a curve isn't flat, somebody pays for others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import attrs
import trio

from benchmarks.drain import measured
from benchmarks.million import MAKE, PAGE
from benchmarks.suite.drains import as_served, plain
from benchmarks.suite.result import above_line, span
from benchmarks.suite.row import Curve, Figures, Point, Scale, row
from benchmarks.suite.tally import Tally, enqueue, with_metrics
from benchmarks.support import Bench, bench
from trioq import Call
from trioq.core.formats import engine_info
from trioq.core.formats.record import encode
from trioq.core.job import Record
from trioq.settings import load

HOUR_MS = 3_600_000
COST = "CPU time for each job, µs"


@attrs.frozen
class Costs:
    """Of one job, in microseconds."""

    enqueue_server: float
    drain_server: float
    drain_client: float
    drain_wall: float


def costs(b: Bench, calls: Sequence[Call]) -> Costs:
    """Enqueue these beside what is there, and run as many."""
    _costs(b, calls[: len(calls) // 10 + 1])  # first uses don't count
    return _costs(b, calls)


def _costs(b: Bench, calls: Sequence[Call]) -> Costs:
    tally = Tally(len(calls))
    plain(tally)
    with measured(b) as enqueueing:
        enqueue(b, calls)
    with measured(b) as draining:
        trio.run(partial(tally.run, with_metrics(b.config), drain=False))
    spent_s = (enqueueing.server_s, draining.server_s, draining.client_s, draining.wall_s)
    return Costs(*(seconds / len(calls) * 1e6 for seconds in spent_s))


def curve(title: str, x: str, points: Mapping[int, Costs]) -> Curve:
    def line(pick: Callable[[Costs], float]) -> tuple[Point, ...]:
        return tuple((float(at), pick(found)) for at, found in points.items())

    lines = {
        "client, drain": line(lambda c: c.drain_client),
        "server, drain": line(lambda c: c.drain_server),
        "server, enqueue": line(lambda c: c.enqueue_server),
    }
    return Curve(title, x, COST, lines)


def flatness(name: str, made: Curve) -> Figures:
    server = max(span(points) for what, points in made.lines.items() if what.startswith("server"))
    return {f"{name}: server": server, f"{name}: client": span(made.lines["client, drain"])}


def no_ops(jobs: int, queues: Iterable[str] = ("low",)) -> list[Call]:
    """In turns into these queues."""
    all_ = list(queues)
    return [Call("noop", {"pad": "x" * 100}, all_[n % len(all_)]) for n in range(jobs)]


@row("depth", rounds=1)
def depths(scale: Scale) -> Figures:
    figures: dict[str, float] = {}
    for kind, title in (("queued", "Jobs that wait"), ("scheduled", "Jobs that are due later")):
        points = {}
        for depth in (1_000, 10_000, 100_000, 1_000_000)[: scale.of(4, 2)]:
            as_served()
            with bench() as b:
                fill(b, kind, depth)
                points[depth] = costs(b, no_ops(scale.of(20_000, 1_000)))
        scale.curves[kind] = curve(title, f"{kind} jobs", points)
        figures |= flatness(f"{kind}, 10³ → 10⁶", scale.curves[kind])
    return figures


def fill(b: Bench, kind: str, count: int) -> None:
    """So many jobs in the queue, or due in an hour, by a script that does nothing else."""
    keys, call = b.connector.store("fill").keys, b.admin.call
    stored = encode(Record("", "noop", "low", b'{"pad":"%s"}' % (b"x" * 100), enqueued_ms=1))[0]
    where = keys.of("ready" if kind == "queued" else "scheduled", "low")
    type_, due_ms = ("list", 0) if kind == "queued" else ("set", _now_ms() + HOUR_MS)
    for first in range(1, count + 1, PAGE):
        last = min(first + PAGE - 1, count)
        call(
            "EVAL", MAKE, 2, keys.fixed("jobs"), where, type_, first, last, 1, stored, stored,
            due_ms, timeout_s=60.0,
        )  # fmt: skip
    call("SADD", keys.fixed("queues"), "low")
    while b.info("persistence")["aof_rewrite_in_progress"] != "0":
        time.sleep(0.1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@row("queues", rounds=1)
def queues(scale: Scale) -> Figures:
    points = {}
    for count in (1, 10, 100, 1_000)[: scale.of(4, 3)]:
        as_served()
        names = [f"q{n}" for n in range(count)]
        with bench() as b:
            _with_queues(b, names)
            points[count] = costs(b, no_ops(scale.of(20_000, 1_000), names))
    scale.curves["queues"] = curve("Queues", "queues, jobs spread over all", points)
    return flatness("queues, 1 → 1,000", scale.curves["queues"])


def _with_queues(b: Bench, names: Sequence[str]) -> None:
    text = b.file.read_text()
    head, tail = text.index("[[queues]]"), text.index("[worker]")
    listed = "\n".join(f'[[queues]]\nname = "{name}"' for name in names)
    b.file.write_text(f"{text[:head]}{listed}\n{text[tail:]}")
    b.config = load(b.file)


@row("boots", rounds=1)
def boots(scale: Scale) -> Figures:
    points = {}
    for count in (1, 10, 100, 500)[: scale.of(4, 2)]:
        as_served()
        with bench() as b:
            store = b.connector.store("boots")
            # An hour of silence is nothing to them.
            info = engine_info.encode(engine_info.EngineInfo(name="other", lease_s=3600.0))
            for n in range(count - 1):
                assert store.register(f"other.{n:032x}", info)
            points[count] = costs(b, no_ops(scale.of(20_000, 1_000)))
    scale.curves["boots"] = curve("Engines", "engines that live, this one among them", points)
    return flatness("boots, 1 → 500", scale.curves["boots"])


@row("payloads", rounds=1)
def payloads(scale: Scale) -> Figures:
    points = {}
    sizes = (100, 1_000, 4_000, 7_900, 8_300, 16_000, 64_000, 100_000, 256_000, 1_000_000)
    for size in sizes:
        as_served()
        jobs = min(
            scale.of(20_000, 500), max(scale.of(100, 10), scale.of(200, 20) * 1_000_000 // size)
        )
        with bench() as b:
            points[size] = costs(b, [Call("noop", {"pad": "x" * size})] * jobs)
    scale.curves["payloads"] = made = curve("Payloads", "bytes of a payload", points)
    figures = {
        "payloads, 100 B → 1 MB: above a straight line": max(
            above_line(points_) for points_ in made.lines.values()
        ),
        "… 8.3 kB by 7.9 kB": _drained(points[8_300]) / _drained(points[7_900]),
    }
    for size, name in ((8_300, "8.3 kB"), (100_000, "100 kB"), (1_000_000, "1 MB")):
        figures[f"payloads of {name}, drained"] = size / points[size].drain_wall
        figures[f"… jobs of {name}"] = 1e6 / points[size].drain_wall
        figures[f"… each kB of {name}"] = _drained(points[size]) / (size / 1000)
    return figures


def _drained(found: Costs) -> float:
    """A job's CPU time, the client's and the server's."""
    return found.drain_client + found.drain_server
