"""One figure of one peer: fill, start workers, watch their counts, end them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.counting import Sample, Stuck, TooFew, steady_rate, watch
from benchmarks.peers.environments import Environment, Unusable, last_line
from benchmarks.peers.server import Server
from benchmarks.support import percentile

#: From the start of the first of several workers to the first job of the last.
START_S = 2.0
FEW = 300
MANY = 300_000
#: Where an idle worker keeps the server as busy as this part of what it does with jobs, what a job
#: costs can't be told.
ALONE = 0.8


@attrs.frozen
class Load:
    """What workers shall do."""

    job: str = "noop"
    size: int = 200
    """Of the payload, in bytes."""
    processes: int = 1
    slots: int | None = None
    """Jobs at a time; None: what suits the peer."""


@attrs.frozen
class Rig:
    """A peer on a server."""

    environment: Environment
    server: Server
    seconds: float
    """How long a rate is looked at, about."""
    rates: dict[Load | str, float] = attrs.field(factory=dict["Load | str", float])
    """What is known of it, to choose how many jobs take that long."""

    def drain(self, load: Load) -> float:
        """Jobs per second, with the queue filled before the workers start.

        Raises:
          TooFew: Not even the most jobs kept all processes at it for long enough.
          Unusable: They weren't all run.
        """
        most = MANY * 200 // max(200, load.size)
        known = self.rates.get(load, 0.0)
        if not known and load.processes > 1:
            # Several take a while to start, and one mustn't have done it all by then.
            known = START_S / self.seconds * self.rates.get(attrs.evolve(load, processes=1), 0.0)
        while True:
            jobs = min(most, max(FEW, int(known * self.seconds)))
            self.rates[load] = known = self._drain(load, jobs, most)
            # It gets faster once it is warm: not long enough, unless there are no more.
            if jobs >= min(most, known * self.seconds / 2):
                return known

    def _drain(self, load: Load, jobs: int, most: int) -> float:
        with self._desk(load.slots) as desk:
            desk.drive("bulk", load.job, jobs, load.size)
            with desk.workers(load.processes):
                samples = desk.watch(jobs)
        try:
            return steady_rate(samples, load.processes)
        except TooFew:
            if jobs == most:
                raise
            return self._drain(load, min(jobs * 4, most), most)

    def single(self, size: int = 200) -> float:
        """Enqueues per second, one after the other."""
        jobs = int(max(FEW, self.rates.get("single", 0.0) * self.seconds))
        with self._desk() as desk:
            self.rates["single"] = jobs / desk.drive("single", "noop", jobs, size)["seconds"]
        return self.rates["single"]

    def bulk(self, size: int = 200) -> float | None:
        """Enqueues per second, many at a time; None: it has no way to do that."""
        jobs = int(min(MANY, max(FEW, self.rates.get("bulk", 0.0) * self.seconds)))
        with self._desk() as desk:
            told = desk.drive("bulk", "noop", jobs, size)
        self.rates["bulk"] = jobs / told["seconds"]
        return self.rates["bulk"] if told["many"] else None

    def idle(self, jobs: int) -> dict[str, float]:
        """Milliseconds from just before an enqueue to the handler, and what the server did."""
        with self._desk() as desk, desk.workers(1):
            desk.drive("idle", 3)  # it has started, and has its first uses behind it
            warm = len(desk.late_ms())
            before = self._used()
            time.sleep(1.0)
            alone = self._used() - before
            before = self._used()
            desk.drive("idle", jobs)
            used = self._used() - before
            took_ms = desk.late_ms()[warm:]
            alone = alone.scaled(used.at_s / alone.at_s)
        told = {"p50": percentile(took_ms, 0.5), "p99": percentile(took_ms, 0.99)}
        if alone.cpu_s < used.cpu_s * ALONE:
            each = (used - alone).scaled(1 / jobs)
            told |= {"server µs": each.cpu_s * 1e6, "commands": each.commands}
        return told

    def _used(self) -> Used:
        return Used(time.monotonic(), self.server.cpu_s(), float(self.server.commands()))

    @contextmanager
    def _desk(self, slots: int | None = None) -> Iterator[Desk]:
        """An empty server and an empty directory."""
        self.server.clear()
        with tempfile.TemporaryDirectory(prefix="trioq-peers-") as name:
            yield Desk(self, Path(name), slots or self.environment.peer.slots)


@attrs.frozen
class Used:
    """What a server had used by some time, or between two."""

    at_s: float
    cpu_s: float
    commands: float

    def __sub__(self, other: Used) -> Used:
        return Used(
            self.at_s - other.at_s, self.cpu_s - other.cpu_s, self.commands - other.commands
        )

    def scaled(self, factor: float) -> Used:
        return Used(self.at_s * factor, self.cpu_s * factor, self.commands * factor)


@attrs.frozen
class Desk:
    """The processes of one measurement, and where they leave their notes."""

    rig: Rig
    directory: Path
    slots: int

    def drive(self, *arguments: object) -> Any:
        """Run the driver to its end."""
        command = self.rig.environment.driver(*arguments)
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=self.directory,
            env=self._environ(), timeout=600,
        )  # fmt: skip
        if ended.returncode:
            raise Unusable(f"{arguments[0]}: {last_line(ended.stderr)}")
        return json.loads(last_line(ended.stdout))

    @contextmanager
    def workers(self, count: int) -> Iterator[None]:
        """Run so many worker processes."""
        command: Sequence[str] = self.drive("worker", self.slots)
        with (self.directory / "log").open("wb") as log:
            started = [
                subprocess.Popen(
                    command, cwd=self.directory, env=self._environ(), start_new_session=True,
                    stdout=log, stderr=log,
                )
                for _ in range(count)
            ]  # fmt: skip
            try:
                yield
            finally:
                end(started)

    def watch(self, jobs: int) -> list[Sample]:
        """Look until all jobs have run."""
        try:
            return watch(self.directory, jobs)
        except Stuck as error:
            said = last_line((self.directory / "log").read_text(errors="replace"))
            raise Unusable(f"{error}: {said}") from None

    def late_ms(self) -> list[float]:
        """How late the handlers of idle workers began, as far as they have."""
        lines = [f.read_text().split() for f in sorted(self.directory.glob("late-*"))]
        return [int(ns) / 1e6 for some in lines for ns in some]

    def _environ(self) -> dict[str, str]:
        notes, url = str(self.directory), self.rig.server.url
        return dict(
            self.rig.environment.environ(
                BENCH_NOTES=notes, BENCH_URL=url, BENCH_SLOTS=str(self.slots)
            )
        )


def end(processes: Sequence[subprocess.Popen[bytes]], grace_s: float = 5.0) -> None:
    """End them and their children; the first signal lets them do it themselves."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=grace_s)
