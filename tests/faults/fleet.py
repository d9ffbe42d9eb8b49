"""Several real engines on one server, and a record of every run that none of them can lose."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import attrs

from tests.support import PATIENCE_S, Server, new_job, trioq, trioq_started, wait_until
from trioq.store.inspect import Stats, stats
from trioq.store.redis import RedisStore

APP = '''
"""Handlers that write down each start and each end, in one atomic append."""

import os
import time

import trio

import trioq

app = trioq.App()
log = os.open(os.environ.get("RUNS", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(what, job):
    line = f"{what} {job.uid} {job.token} {os.getpid()} {job.attempt} {time.monotonic()}\\n"
    os.write(log, line.encode())


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


#: A job's end and its settlement are so far apart at most, where nothing holds the step up.
SETTLED_S = 1.0


@attrs.frozen
class Run:
    """One start of a job, and whether it came to its end; all times are of one clock."""

    uid: str
    token: str
    pid: int
    attempt: int
    started_s: float
    ended_s: float | None = None
    cancelled: bool = False


@attrs.frozen
class Hurt:
    """Why an engine may have lost what it ran."""

    pid: int
    from_s: float
    until_s: float = float("inf")

    def explains(self, run: Run, again: Run, settled_s: float) -> bool:
        """Whether this is why a job that was run was started again."""
        return self._lost_it(run, again, settled_s) or self._is_late_with_it(run, again)

    def _lost_it(self, run: Run, again: Run, settled_s: float) -> bool:
        """It hit the engine while it had this job, before that was started again."""
        return (
            run.pid == self.pid
            and run.started_s <= self.until_s
            and settled_s >= self.from_s
            and again.started_s >= self.from_s
        )

    def _is_late_with_it(self, run: Run, again: Run) -> bool:
        """The engine was paused between its claim and its start: meanwhile it was another's."""
        return (
            again.pid == self.pid
            and self.from_s <= run.started_s <= self.until_s
            and self.until_s <= again.started_s <= self.until_s + SETTLED_S
        )


@attrs.frozen
class Outage:
    """The server answered nobody, or not everything."""

    from_s: float
    until_s: float


def unexplained(
    runs: Iterable[Run], hurt: Iterable[Hurt], outages: Iterable[Outage] = ()
) -> list[tuple[Run, Run]]:
    """Second starts although nothing had happened to the engine that had the job before."""
    by_uid: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.started_s):
        by_uid[run.uid].append(run)
    hurt, outages = list(hurt), sorted(outages, key=lambda outage: outage.from_s)
    return [
        (run, again)
        for of_one_job in by_uid.values()
        for run, again in pairwise(of_one_job)
        if not any(each.explains(run, again, _settled_s(run, outages)) for each in hurt)
    ]


def _settled_s(run: Run, outages: Iterable[Outage]) -> float:
    """When the run's end was known to the server at the latest, given when that was away."""
    if run.ended_s is None:
        return float("inf")
    settled_s = run.ended_s + SETTLED_S
    for outage in outages:
        if run.ended_s <= outage.until_s and outage.from_s <= settled_s:
            settled_s = outage.until_s + SETTLED_S
    return settled_s


@attrs.define
class Fleet:
    """Engines in processes of their own."""

    server: Server
    directory: Path
    workers: int = 16
    grace: str = "5s"
    more: str = ""
    """What else stands in the configuration."""
    engines: list[subprocess.Popen[str]] = attrs.field(factory=list)
    hurt: list[Hurt] = attrs.field(factory=list)
    """What happened to engines."""
    outages: list[Outage] = attrs.field(factory=list)
    """When the server was away."""

    def __attrs_post_init__(self) -> None:
        (self.directory / "fleet_app.py").write_text(APP)
        config = CONFIG.format(url=self.server.url, workers=self.workers, grace=self.grace)
        self.config.write_text(config + self.more)

    @property
    def config(self) -> Path:
        return self.directory / "jobqueue.toml"

    @property
    def store(self) -> RedisStore:
        return self.server.store("t")

    def enqueue(self, count: int, name: str = "work", fields: str = "") -> None:
        """Queue ``count`` jobs that differ in ``n``."""
        store, sender = self.store, secrets.token_hex(8)
        jobs = [
            new_job("low", name, f'{{"n":{n}{fields}}}'.encode()) if name == "work"
            else new_job("low", name, f"{{{fields}}}".encode())
            for n in range(count)
        ]  # fmt: skip
        for number, start in enumerate(range(0, count, 500), 1):
            store.enqueue(sender, number, jobs[start : start + 500])
        store.lane.close()

    def enqueue_from_file(self, count: int, wait_s: float, values: int | None = None) -> None:
        """Queue ``count`` jobs as a user does who has them in a file; ``n`` has so many values,
        else each its own."""
        lines = self.directory / "jobs.jsonl"
        numbers = (n % (values or count) for n in range(count))
        lines.write_text("".join(f'{{"n": {n}, "wait": {wait_s}}}\n' for n in numbers))
        told = trioq("enqueue", self.config, "work", "--from", lines, cwd=self.directory)
        assert told.returncode == 0, told.stderr

    def start_engine(self, failpoint: str = "") -> subprocess.Popen[str]:
        """One more engine, which may have a place where it comes to harm."""
        with (self.directory / f"engine-{len(self.engines)}.log").open("w") as log:
            engine = trioq_started(
                "serve", self.config, cwd=self.directory,
                env={
                    "RUNS": str(self.directory / "runs"),
                    "TRIOQ_TEST_FAILPOINTS": "1",
                    "TRIOQ_FAILPOINT": failpoint,
                },
                stderr=log, stdout=log,
            )  # fmt: skip
        self.engines.append(engine)
        return engine

    def start_engines(self, count: int) -> None:
        """Several more; returns when they stand: one that starts during an outage ends."""
        started = {self.start_engine().pid for _ in range(count)}
        wait_until(lambda: started <= {engine.info.pid for engine in self.stats().engines})

    def kill(self, engine: subprocess.Popen[str]) -> None:
        """SIGKILL."""
        self.hurt.append(Hurt(engine.pid, time.monotonic()))
        engine.kill()
        engine.wait()

    def kill_when_busy(self, engine: subprocess.Popen[str]) -> None:
        """SIGKILL, at a moment when it runs jobs: it stands still while that is looked at."""

        def is_hit() -> bool:
            engine.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, engine.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if any(run.pid == engine.pid and run.ended_s is None for run in self.runs()):
                self.kill(engine)
                return True
            engine.send_signal(signal.SIGCONT)
            return False

        wait_until(is_hit)

    def kills_that_hit(self) -> int:
        """How many kills hit an engine that had started a job and not ended it."""
        unfinished = {run.pid for run in self.runs() if run.ended_s is None}
        return len({hurt.pid for hurt in self.hurt} & unfinished)

    @contextlib.contextmanager
    def supervised(self) -> Iterator[None]:
        """Start another engine for each that ends by itself."""
        stop = threading.Event()

        def supervise() -> None:
            seen_s = time.monotonic()
            while not stop.wait(0.02):
                now_s = time.monotonic()
                known = {hurt.pid for hurt in self.hurt}
                for engine in [*self.engines]:
                    if engine.pid not in known and engine.poll() is not None:
                        self.hurt.append(Hurt(engine.pid, seen_s))
                        self.start_engine()
                seen_s = now_s

        thread = threading.Thread(target=supervise)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def dead(self) -> list[str]:
        """The uids of dead jobs."""
        return [uid.decode() for uid in self.server.call("ZRANGE", "{t}:dead", 0, -1)]

    def pause(self, engine: subprocess.Popen[str]) -> None:
        """SIGSTOP."""
        self.hurt.append(Hurt(engine.pid, time.monotonic()))
        engine.send_signal(signal.SIGSTOP)

    def resume(self, engine: subprocess.Popen[str]) -> None:
        """SIGCONT."""
        engine.send_signal(signal.SIGCONT)
        for i, each in enumerate(self.hurt):
            if each.pid == engine.pid and each.until_s == float("inf"):
                self.hurt[i] = attrs.evolve(each, until_s=time.monotonic())

    @contextlib.contextmanager
    def server_away(self) -> Iterator[None]:
        """What is done to the server meanwhile keeps settlements waiting."""
        from_s = time.monotonic()
        yield
        self.outages.append(Outage(from_s, time.monotonic()))

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
        runs: dict[tuple[str, str], Run] = {}
        whole, _, _ = path.read_text().rpartition("\n")
        for line in whole.splitlines():
            what, uid, token, pid, attempt, at = line.split()
            if what == "start":
                assert (uid, token) not in runs, "one claim was run twice"
                runs[uid, token] = Run(uid, token, int(pid), int(attempt), float(at))
            elif what == "end":
                runs[uid, token] = attrs.evolve(runs[uid, token], ended_s=float(at))
            else:
                runs[uid, token] = attrs.evolve(runs[uid, token], cancelled=True)
        return list(runs.values())

    def unexplained(self) -> list[tuple[Run, Run]]:
        """Second starts for which nothing that was done to an engine is the reason."""
        return unexplained(self.runs(), self.hurt, self.outages)

    def around(self, run: Run, again: Run) -> list[Hurt | Outage]:
        """What happened between these two, for a reader."""
        return [
            *(each for each in self.hurt if each.pid in {run.pid, again.pid}),
            *(
                each
                for each in self.outages
                if each.from_s <= again.started_s and each.until_s >= run.started_s - SETTLED_S
            ),
        ]

    def stop(self) -> list[int]:
        """SIGTERM to all that stand; returns the exit codes of those that weren't killed."""
        living = [engine for engine in self.engines if engine.poll() is None]
        for engine in living:
            engine.send_signal(signal.SIGCONT)
            # Before that, SIGTERM ends a process as it ends any other.
            wait_until(partial(self.stands, engine))
            engine.send_signal(signal.SIGTERM)
        return [engine.wait(timeout=PATIENCE_S) for engine in living]

    def close(self) -> None:
        """SIGKILL to all that are left."""
        for engine in self.engines:
            engine.kill()
            engine.wait()

    def stands(self, engine: subprocess.Popen[str]) -> bool:
        return '"engine_started"' in self._log(engine).read_text()

    def _log(self, engine: subprocess.Popen[str]) -> Path:
        return self.directory / f"engine-{self.engines.index(engine)}.log"

    def left_properly(self) -> bool:
        """Whether whoever says that it has signed off is gone.

        Signing off has 50 ms. Who isn't through by then says so, and is the reaper's.
        """
        text = "".join(p.read_text() for p in self.directory.glob("engine-*.log"))
        lines = [line for line in text.splitlines() if '"signed_off": true' in line]
        return not any(e.id in line for e in self.stats().engines for line in lines)

    def logged(self, event: str) -> int:
        """How many lines of this event all engines have written."""
        lines = "".join(p.read_text() for p in self.directory.glob("engine-*.log"))
        return Counter(f'"event": "{event}"' in line for line in lines.splitlines())[True]
