"""No-op jobs: one engine, two processes, and what makes a handler dearer."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import attrs

from benchmarks import drain
from benchmarks.counting import steady_rate, watch
from benchmarks.peers import environments
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.suite.tally import Tally, drained, enqueue
from benchmarks.support import Bench, bench, joined
from trioq import Call, Job
from trioq.cli.engine import GARBAGE, SWITCH_S
from trioq.core.job import Options

#: An app that counts as those of peers do, for engines in processes of their own.
APP = """
import notes
import trioq

app = trioq.App()


@app.job("noop")
async def noop(pad: str) -> None:
    notes.one()
"""

PLAIN = Call("noop", {"pad": "x" * 200})


def as_served() -> None:
    """This process shall do as ``trioq serve`` does."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(GARBAGE)


@row("drain")
def one_engine(scale: Scale) -> Figures:
    as_served()
    jobs = scale.of(50_000, 2_000)
    with bench() as b:
        for way in (drain.trioq_round, drain.prototype_round):
            way(b, jobs // 10, 200)  # first uses don't count
        bare = drain.prototype_round(b, jobs, 200)
        ours = drain.trioq_round(b, jobs, 200)
    return {
        "drain, one engine": ours["jobs/s"],
        "… of the bare prototype": ours["jobs/s"] / bare["jobs/s"],
        "… client, claim → ack": ours["client µs"],
        "… server, claim → ack": ours["server µs"],
        "… server, enqueue → ack": ours["+ enqueue"],
    }


@row("processes")
def two_processes(scale: Scale) -> Figures:
    jobs = scale.of(300_000, 30_000)
    with bench(top='app = "bench_app:app"', bind="127.0.0.1:0") as b:
        (b.directory / "bench_app.py").write_text(APP)
        enqueue(b, (PLAIN for _ in range(jobs)))
        supervisor = serve(b, "--processes", "2")
        try:
            rate = steady_rate(watch(b.directory, jobs), processes=2)
        finally:
            end([supervisor])
    return {"drain, two processes": rate}


def serve(b: Bench, *options: str) -> subprocess.Popen[bytes]:
    """``trioq serve`` with these options, whose handlers leave notes in the bench's directory."""
    paths = os.pathsep.join([str(environments.ROOT), str(environments.INSIDE)])
    return subprocess.Popen(
        [sys.executable, "-m", "trioq", "serve", str(b.file), *options], cwd=b.directory,
        env={**os.environ, "PYTHONPATH": paths, "BENCH_NOTES": str(b.directory)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def end(engines: list[subprocess.Popen[bytes]]) -> None:
    for engine in engines:
        engine.terminate()
    for engine in engines:
        engine.wait()


@attrs.frozen
class Size:
    width: int
    height: int = 1


def plain(tally: Tally) -> None:
    @tally.app.job("noop")
    async def noop(pad: str) -> None:
        tally.one()


def with_job(tally: Tally) -> None:
    @tally.app.job("noop")
    async def noop(job: Job, pad: str) -> None:
        tally.one()


def with_defaults(tally: Tally) -> None:
    @tally.app.job("noop")
    async def noop(pad: str, width: int = 256, quality: float = 0.9, note: str = "") -> None:
        tally.one()


def with_dataclass(tally: Tally) -> None:
    @tally.app.job("noop")
    async def noop(pad: str, size: Size) -> None:
        tally.one()


def tiny_def(tally: Tally) -> None:
    @tally.app.job("noop")
    def noop(pad: str) -> None:
        tally.one_in_thread()


@row("def")
def tiny_defs(scale: Scale) -> Figures:
    as_served()
    jobs = scale.of(20_000, 1_000)
    with bench() as b:
        return {
            f"tiny def handlers, {workers} workers": drained(
                b, tiny_def, PLAIN, jobs, workers=workers
            )
            for workers in (16, 64)
        }


@row("variants")
def variants(scale: Scale) -> Figures:
    as_served()
    jobs = scale.of(40_000, 2_000)
    sized = Call("noop", {"pad": "x" * 200, "size": {"width": 512}})
    with bench() as b:
        usual = drained(b, plain, PLAIN, jobs)
        found = {
            "a job parameter": drained(b, with_job, PLAIN, jobs),
            "defaults": drained(b, with_defaults, PLAIN, jobs),
            "a dataclass": drained(b, with_dataclass, sized, jobs),
            "ids": drained(b, plain, PLAIN, jobs, asks=lambda n: {"id": f"order-{n}"}),
            "options": drained(b, plain, PLAIN, jobs, asks=lambda n: {"options": Options(3, 60.0)}),
            "tracing at 1 %": in_a_process(traced, b.directory, jobs),
        }
    return {f"{what}, of the plain drain": rate / usual for what, rate in found.items()}


def in_a_process(function: object, directory: Path, jobs: int) -> float:
    """What is done once changes a whole process, so it gets one of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rate: float = pool.submit(function, directory, jobs).result()  # type: ignore[arg-type]
        return rate


def traced(directory: Path, jobs: int) -> float:
    """The plain drain, with every hundredth trace kept and given to nobody."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(0.01)))
    provider.add_span_processor(BatchSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(provider)
    as_served()
    with joined(directory) as b:
        return drained(b, plain, PLAIN, jobs)
