"""Where a benchmark does its work: a namespace of its own on the same server, soon gone.

Nothing in it is anybody's: not the jobs, nor the counters, nor the list of what was done. Its
engines are those of ``trioq serve``, in processes of their own, as many as were asked for.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import attrs

from trioq.cli.bench.app import FIELDS, NAME, NAMED, TIMES
from trioq.cli.common import note
from trioq.client.sync import SyncClient, connect_sync
from trioq.core.config import Config
from trioq.core.config.rules import BUILT_IN
from trioq.core.config.sections import TracingConfig
from trioq.errors import StoreError, TrioqError
from trioq.store.benches import ask, finished, forget, registered
from trioq.store.connect import open_store
from trioq.store.keys import bench_namespace
from trioq.store.redis import RedisStore

#: How long engines have to begin, and to end.
ENGINES_S = 30.0

LOOK_S = 0.02


class BenchFailed(TrioqError):
    """The benchmark can't go on."""


@attrs.frozen
class Run:
    """One run of a job. Times are nanoseconds of the machine's monotonic clock."""

    i: int
    due: int
    began: int
    ended: int


@attrs.define
class Bench:
    """A namespace, a client for it, and its engines while they run."""

    file: Path
    config: Config
    client: SyncClient
    store: RedisStore
    server: str
    """Where it is."""
    directory: Path
    _engines: list[subprocess.Popen[bytes]] = attrs.field(factory=list, init=False)

    def start_engines(self, count: int) -> None:
        """Start them, and wait until they claim.

        Raises:
          BenchFailed: One of them ended.
        """
        for n in range(count):
            self._engines.append(self._start(n))
        self._wait(lambda: registered(self.store) >= count, ENGINES_S)

    def finished(self) -> tuple[int, int]:
        """How many are done, and how many are dead."""
        self._look_after_engines()
        return finished(self.store)

    def stop_engines(self) -> list[Run]:
        """End the engines; returns what they ran."""
        self._look_after_engines()
        self._end(self._engines)
        self._engines.clear()
        times = array("q")
        for path in sorted(self.directory.glob("times-*")):
            times.frombytes(path.read_bytes())
        return [Run(*times[at : at + FIELDS]) for at in range(0, len(times), FIELDS)]

    def clear(self) -> None:
        """End what runs, and forget the namespace."""
        self._end(self._engines)
        forget(self.store, self.config.queue_names, self.client.sender)

    def _start(self, n: int) -> subprocess.Popen[bytes]:
        ours = {
            "TRIOQ_NAMESPACE": self.config.namespace,
            "TRIOQ_APP": f"{__package__}.app:app",
            "TRIOQ_WORKER__COUNT": str(self.config.worker.count),
            "TRIOQ_OBSERVABILITY__BIND": "",
            "TRIOQ_OBSERVABILITY__LOG_LEVEL": "warning",
            "TRIOQ_OBSERVABILITY__TRACING__ENDPOINT": "",
            TIMES: str(self.directory / f"times-{n}"),
            NAMED: json.dumps(_named(self.config)),
        }
        with (self.directory / f"engine-{n}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "trioq", "serve", str(self.file), "--role", "worker"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **ours},
                start_new_session=True,  # a Ctrl-C is ours to answer
            )  # fmt: skip

    def _look_after_engines(self) -> None:
        for n, engine in enumerate(self._engines):
            if engine.poll() is not None:
                log = (self.directory / f"engine-{n}.log").read_text(errors="replace")
                last = log.strip().rpartition("\n")[2] or f"exit code {engine.returncode}"
                raise BenchFailed(f"an engine of the benchmark ended: {last}")

    def _wait(self, what: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not what():
            self._look_after_engines()
            if time.monotonic() > deadline:
                raise BenchFailed(f"the engines didn't begin within {timeout_s:g} s")
            time.sleep(LOOK_S)

    def _end(self, engines: Iterable[subprocess.Popen[bytes]]) -> None:
        for engine in engines:
            engine.terminate()
        for engine in engines:
            try:
                engine.wait(self.config.worker.grace_s + ENGINES_S)
            except subprocess.TimeoutExpired:
                engine.kill()
                engine.wait()
            if engine.stdin is not None:
                engine.stdin.close()


@contextmanager
def own_namespace(file: Path, config: Config, workers: int) -> Iterator[Bench]:
    """A namespace that nobody else uses, until it isn't needed any more."""
    ours = attrs.evolve(
        config,
        namespace=bench_namespace(config.namespace, secrets.token_hex(4)),
        queues=tuple(attrs.evolve(queue, max_length=None) for queue in config.queues),
        worker=attrs.evolve(config.worker, count=workers),
        observability=attrs.evolve(config.observability, tracing=TracingConfig()),
    )
    with ExitStack() as stack:
        connector = stack.enter_context(open_store(ours))
        client = stack.enter_context(connect_sync(ours))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trioq-bench-")))
        bench = Bench(
            file, ours, client, connector.store("bench"), connector.description, directory
        )
        ask(bench.store)  # where nobody answers, nothing has to be put away
        stack.callback(_put_away, bench)
        yield bench


def _put_away(bench: Bench) -> None:
    with uninterrupted():
        try:
            bench.clear()
        except StoreError as error:
            note(f"the namespace {bench.config.namespace} is left behind: {error}")


def _named(config: Config) -> list[str]:
    """The handlers of the configuration's own app that it names."""
    named = {each.job for each in config.schedules.values()}
    named.update(*(limit.jobs for limit in config.limits.values()))
    named.update(*(breaker.jobs for breaker in config.breakers.values()))
    return sorted(named - {NAME, *BUILT_IN, *config.commands})


@contextmanager
def on_sigterm(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """To end in order: Python would be gone at once."""
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """To clear up after a Ctrl-C without another in between."""
    before = [(s, signal.signal(s, signal.SIG_IGN)) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
