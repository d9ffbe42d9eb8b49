"""What takes time or memory around an engine: imports, starts, ends."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from statistics import median

from packaging.requirements import Requirement

import trioq
from benchmarks import memory, recovery, shutdown
from benchmarks.counting import counts
from benchmarks.suite.drains import APP, PLAIN, end, enqueue, serve
from benchmarks.suite.row import Figures, Scale, row
from benchmarks.support import bench
from tests.support import Server
from trioq import Call, connect_sync

TIMED = """
import time
started = time.perf_counter()
{statement}
print((time.perf_counter() - started) * 1000)
"""


#: All that a client loads; there is no server there to connect to.
FIRST_CALL = """\
import trioq
client = trioq.connect_sync(url="redis://127.0.0.1:1", patience=0.001)
try:
    client.enqueue("noop")
except trioq.TrioqError:
    pass
"""


@row("imports")
def imports(scale: Scale) -> Figures:
    """Each in a process of its own, the files in the system's cache, compiled as pip does it."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", *trioq.__path__], check=True)
    times = scale.of(7, 1)
    return {
        "import trioq": _import_ms("import trioq", times),
        "import connect_sync": _import_ms("from trioq import connect_sync", times),
        "… trioq.aio.connect": _import_ms("from trioq.aio import connect", times),
        "… and connect, first call": _import_ms(FIRST_CALL, times),
        "packages of trioq": float(len(_packages("trioq"))),
        "… of trioq[all]": float(len(_packages("trioq[all]"))),
        "trioq --help": median(_ended_ms("-m", "trioq", "--help") for _ in range(times)),
    }


def _packages(wanted: str) -> set[str]:
    """What is installed with it, itself left out."""
    found, ahead = set[tuple[str, str]](), [Requirement(wanted)]
    while ahead:
        one = ahead.pop()
        name = one.name.lower().replace("_", "-")
        for extra in one.extras or {""}:
            if (name, extra) in found:
                continue
            found.add((name, extra))
            needs = [Requirement(line) for line in distribution(one.name).requires or ()]
            for need in needs:
                if need.marker is None or need.marker.evaluate({"extra": extra}):
                    ahead.append(need)
    return {name for name, _ in found} - {"trioq"}


def _import_ms(statement: str, times: int) -> float:
    command = [sys.executable, "-c", TIMED.format(statement=statement)]
    return median(float(subprocess.check_output(command)) for _ in range(times))


def _ended_ms(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - started) * 1000


@row("start")
def serve_to_first_job(scale: Scale) -> Figures:
    with bench(top='app = "bench_app:app"', bind="127.0.0.1:0") as b:
        (b.directory / "bench_app.py").write_text(APP)
        enqueue(b, [PLAIN])
        started = time.perf_counter()
        engine = serve(b)
        try:
            while sum(counts(b.directory)) == 0:
                if engine.poll() is not None:
                    raise RuntimeError(f"serve ended with {engine.returncode}")
                time.sleep(0.002)
            return {"serve → first job": time.perf_counter() - started}
        finally:
            end([engine])


@row("memory", rounds=1)
def resident(scale: Scale) -> Figures:
    with bench(top='app = "bench_handlers:app"', bind="127.0.0.1:0") as b:
        rows = memory.measure(b, scale.of(1_000_000, 5_000))
    values = [found["MB"] for found in rows.values()]
    return {
        "memory of serve, idle": values[0],
        "… grown in the second half of the jobs": values[-1] - values[len(values) // 2],
    }


@row("big-payloads", rounds=1)
def resident_with_big_payloads(scale: Scale) -> Figures:
    """The most that an engine's process ever had; all its workers have such a payload at a time."""
    jobs = scale.of(500, 40)
    with bench(top='app = "bench_app:app"', bind="127.0.0.1:0") as b:
        (b.directory / "bench_app.py").write_text(APP)
        with connect_sync(b.config) as client:
            for _ in range(jobs):
                client.enqueue(Call("noop", {"pad": "x" * 1_000_000}))
        engine = serve(b)
        try:
            while sum(counts(b.directory)) < jobs:
                time.sleep(0.01)
            return {"… with 1 MB payloads, at most": _most_resident_mb(engine.pid)}
        finally:
            end([engine])


def _most_resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("the system doesn't tell")


@row("recovery", rounds=3)
def killed(scale: Scale) -> Figures:
    with bench(top='app = "bench_handlers:app"') as b:
        (b.directory / "bench_handlers.py").write_text(recovery.HANDLERS)
        return {"a killed engine's job runs again": recovery.one_kill(b, 0)}


@row("shutdown")
def stopped(scale: Scale) -> Figures:
    server = Server().start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            _, gone_ms = shutdown.measure(server, Path(directory), stopped=False)
    finally:
        server.close()
    return {"SIGTERM → gone, idle": gone_ms}
