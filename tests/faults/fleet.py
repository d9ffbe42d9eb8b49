"""Several real engines on one server, and a record of every run that none of them can lose."""

from __future__ import annotations

import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import attrs

from tests.support import Server, new_job, trioq_started, wait_until
from trioq.store.inspect import Stats, stats
from trioq.store.redis import RedisStore

APP = '''
"""Handlers that write down each start and each end, in one atomic append."""

import os
import time

import trio

import trioq

app = trioq.App()
log = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(what, job):
    os.write(log, f"{what} {job.uid} {job.token} {os.getpid()} {job.attempt}\\n".encode())


@app.job("work")
async def work(job: trioq.Job, n: int, wait: float = 0.05):
    note("start", job)
    await trio.sleep(wait)
    note("end", job)


@app.job("threaded")
def threaded(job: trioq.Job, wait: float = 0.05):
    note("start", job)
    time.sleep(wait)
    note("end", job)


@app.job("careful", on_lease_loss="cancel")
async def careful(job: trioq.Job, wait: float):
    note("start", job)
    try:
        await trio.sleep(wait)
    except trio.Cancelled:
        note("cancelled", job)
        raise
    note("end", job)


@app.job("killer")
async def killer(job: trioq.Job):
    note("start", job)
    os._exit(1)
'''

CONFIG = """
namespace = "t"
app = "fleet_app:app"
default_queue = "low"
[redis]
url = "{url}"
read_timeout = "1s"
connect_timeout = "1s"
[[queues]]
name = "high"
[[queues]]
name = "low"
[worker]
count = {workers}
grace = "{grace}"
lease = "2s"
heartbeat_interval = "400ms"
backoff = {{ base = "20ms", cap = "100ms" }}
keep_done = 100
[reaper]
interval = "300ms"
[observability]
bind = ""
log_format = "json"
"""


@attrs.frozen
class Run:
    """One start of a job, and whether it came to its end."""

    uid: str
    token: str
    pid: int
    attempt: int
    ended: bool
    cancelled: bool


@attrs.define
class Fleet:
    """Engines in processes of their own."""

    server: Server
    directory: Path
    workers: int = 16
    grace: str = "5s"
    engines: list[subprocess.Popen[str]] = attrs.field(factory=list)
    killed: set[int] = attrs.field(factory=set)
    """Process ids of engines that were killed, or have killed themselves."""

    def __attrs_post_init__(self) -> None:
        (self.directory / "fleet_app.py").write_text(APP)
        config = CONFIG.format(url=self.server.url, workers=self.workers, grace=self.grace)
        self.config.write_text(config)

    @property
    def config(self) -> Path:
        return self.directory / "jobqueue.toml"

    @property
    def store(self) -> RedisStore:
        return self.server.store("t")

    def enqueue(self, count: int, name: str = "work", fields: str = "") -> None:
        """Queue ``count`` jobs that differ in ``n``."""
        store = self.store
        jobs = [
            new_job("low", name, f'{{"n":{n}{fields}}}'.encode()) if name == "work"
            else new_job("low", name, f"{{{fields}}}".encode())
            for n in range(count)
        ]  # fmt: skip
        for number, start in enumerate(range(0, count, 500), 1):
            store.enqueue(f"fleet-{name}-{fields}", number, jobs[start : start + 500])
        store.lane.close()

    def start_engine(self, failpoint: str = "") -> subprocess.Popen[str]:
        """One more engine, which may have a place where it comes to harm."""
        with (self.directory / f"engine-{len(self.engines)}.log").open("w") as log:
            engine = trioq_started(
                "serve", self.config, cwd=self.directory,
                env={"RUNS": str(self.directory / "runs"), "TRIOQ_FAILPOINT": failpoint},
                stderr=log, stdout=log,
            )  # fmt: skip
        self.engines.append(engine)
        return engine

    def start_engines(self, count: int) -> None:
        """Several more; returns when they stand: one that starts during an outage ends."""
        before = len(self._standing())
        for _ in range(count):
            self.start_engine()
        wait_until(lambda: len(self._standing()) >= before + count)

    def _standing(self) -> set[str]:
        """Engines by name: one whose registration was lost on the way has made another."""
        return {engine["name"] for engine in self.stats().engines}

    def kill(self, engine: subprocess.Popen[str]) -> None:
        """SIGKILL."""
        engine.kill()
        engine.wait()
        self.killed.add(engine.pid)

    def stats(self) -> Stats:
        store = self.store
        try:
            return stats(store, ["high", "low"])
        finally:
            store.lane.close()

    def wait_done(self, count: int, timeout_s: float = 90.0) -> Stats:
        """Wait until this many jobs are done or dead."""

        def finished() -> Stats | None:
            now = self.stats()
            return now if now.counters.get("done", 0) + now.dead >= count else None

        return wait_until(finished, timeout_s)

    def runs(self) -> list[Run]:
        """Every start that was written down."""
        path = self.directory / "runs"
        if not path.exists():
            return []
        starts: dict[tuple[str, str], tuple[int, int]] = {}
        ends, cancelled = set(), set()
        for line in path.read_text().splitlines():
            what, uid, token, pid, attempt = line.split()
            if what == "start":
                assert (uid, token) not in starts, "one claim was run twice"
                starts[uid, token] = (int(pid), int(attempt))
            elif what == "end":
                ends.add((uid, token))
            else:
                cancelled.add((uid, token))
        return [Run(*claim, *starts[claim], claim in ends, claim in cancelled) for claim in starts]

    def second_starts_of_the_living(self, runs: Iterable[Run]) -> list[list[Run]]:
        """Jobs that were started again although nothing had happened to the engine before."""
        by_uid: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            by_uid[run.uid].append(run)
        return [
            all_runs for all_runs in by_uid.values()
            if len(all_runs) > 1 and any(run.pid not in self.killed for run in all_runs[:-1])
        ]  # fmt: skip

    def stop(self) -> list[int]:
        """SIGTERM to all that stand; returns the exit codes of those that weren't killed."""
        living = [engine for engine in self.engines if engine.poll() is None]
        for engine in living:
            engine.send_signal(signal.SIGCONT)
            # Before that, SIGTERM ends a process as it ends any other.
            wait_until(partial(self._stands, engine))
            engine.send_signal(signal.SIGTERM)
        return [engine.wait(timeout=30) for engine in living]

    def _stands(self, engine: subprocess.Popen[str]) -> bool:
        return '"engine_started"' in self._log(engine).read_text()

    def _log(self, engine: subprocess.Popen[str]) -> Path:
        return self.directory / f"engine-{self.engines.index(engine)}.log"

    def logged(self, event: str) -> int:
        """How many lines of this event all engines have written."""
        lines = "".join(p.read_text() for p in self.directory.glob("engine-*.log"))
        return Counter(f'"event": "{event}"' in line for line in lines.splitlines())[True]
