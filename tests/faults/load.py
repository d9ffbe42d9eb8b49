"""The gate of a steady load: small files into a directory, each done within two seconds.

    python -m tests.faults.load --rate 1000/min --rate 1000/s --minutes 10

A real ``trioq serve`` with the embedded server watches a directory, with the limiter in the
way, and everything as it is by default but for the times in ``CONFIG``. This process writes the
files at the rate, and takes each away once it is done, as whoever owns an inbox does: a scan
looks at every file that lies there, so a directory that is never tidied gets slower to scan.

A file's time is from just before it is opened for writing to when its job is seen among the
done, by one clock and in one process. So it holds all there is: the second that a file is left
alone for in case it is still being written, the scan, the limiter, the queue, the run, the
settlement, and up to 20 ms until somebody looks. It exits with 1 if the 95th percentile isn't
below two seconds, if a file is lost or done twice, or if the files didn't come at the rate.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from tests.support import trioq_started, wait_until
from trioq.settings import load
from trioq.store.connect import open_store
from trioq.store.embedded.locks import try_exclusive
from trioq.store.inspect import stats
from trioq.store.inspect.summaries import done_since
from trioq.store.redis import RedisStore

RATES = ("1000/min", "1000/s")
BELOW_S = 2.0
SIZE_BYTES = 1000
LOOK_EVERY_S = 0.02
#: How long the last ones may take, after the last file was written.
DRAIN_S = 60.0

APP = '''
"""Takes the fingerprint of each file, and writes down which job had which file."""

import os

import trioq
from trioq.builtin import fingerprint

app = trioq.App()
log = os.open(os.environ.get("RUNS", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


@app.job("inbox")
def inbox(job: trioq.Job, path: str, size: int, mtime: float) -> None:
    os.write(log, f"{job.uid} {os.path.basename(path)}\\n".encode())
    assert fingerprint(path)["size"] == size
'''

CONFIG = """
namespace = "load"
app = "load_app:app"
[redis]
url = "embedded:.server"
[[queues]]
name = "high"
[[queues]]
name = "low"
[worker]
keep_done = 20000        # so that a look every 20 ms misses none, even if one is late
[producer]
scan_dir = "inbox"
job = "inbox"
scan_interval = "200ms"  # by default 10 s: then a file is seen too late for any gate
[limiter]
rate = {limit}
[observability]
bind = "127.0.0.1:0"
log_format = "json"
"""


def per_second(rate: str) -> float:
    """Files per second: ``1000/min`` or ``1000/s``."""
    number, _, unit = rate.partition("/")
    try:
        return float(number) / {"s": 1, "min": 60}[unit]
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"not a rate: {rate!r}; say 1000/min or 1000/s") from None


# -- what is measured --------------------------------------------------------------------------


@attrs.frozen
class Measured:
    """One run."""

    wanted_per_s: float
    written: int
    writing_s: float
    done: int
    done_in_time: int
    """How many were done when the last file was written."""
    took_s: Sequence[float]
    """Of each that was done, in order."""
    doubled: int
    """Files that were started or done more than once."""
    counted_done: int
    """By the server."""
    dead: int
    engine_cpu_s: float
    server_cpu_s: float
    engine_rss_mb: float
    """At most, of the engine's whole life."""
    warned: Sequence[str] = ()
    """What the engine logged that isn't ordinary."""

    @property
    def offered_per_s(self) -> float:
        return self.written / self.writing_s

    @property
    def _late_s(self) -> float:
        """By how much the last file was written too late."""
        return self.writing_s - self.written / self.wanted_per_s

    @property
    def lost(self) -> int:
        return self.written - self.done

    def part_s(self, part: float) -> float:
        """The time within which this part of the files was done."""
        if not self.took_s:
            return float("inf")
        return self.took_s[min(len(self.took_s) - 1, int(len(self.took_s) * part))]

    def wrong(self, below_s: float) -> list[str]:
        """What doesn't pass the gate, in words."""
        faults = {
            f"{self.lost} files lost": self.lost != 0,
            f"{self.doubled} files started or done twice": self.doubled != 0,
            f"{self.dead} jobs dead": self.dead != 0,
            f"the server counts {self.counted_done} done, we {self.done}": (
                self.counted_done != self.done
            ),
            f"p95 is {self.part_s(0.95):.2f} s, not below {below_s:g} s": (
                self.part_s(0.95) >= below_s
            ),
            f"only {self.offered_per_s:.1f}/s offered": self._late_s
            > max(1.0, 0.02 * self.writing_s),
        }
        return [words for words, is_so in faults.items() if is_so]

    def told(self) -> str:
        """Two lines for people."""
        ms = {
            name: self.part_s(part) for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        }
        ms["max"] = self.part_s(1.0)
        return (
            f"offered={self.offered_per_s:.1f}/s"
            f" achieved={self.done_in_time / self.writing_s:.1f}/s files={self.written} "
            + " ".join(f"{name}={value:.3f}s" for name, value in ms.items())
            + f" lost={self.lost} doubled={self.doubled} dead={self.dead}\n"
            f"engine: {100 * self.engine_cpu_s / self.writing_s:.0f} % of a core,"
            f" {self.engine_rss_mb:.0f} MB;"
            f" server: {100 * self.server_cpu_s / self.writing_s:.0f} % of a core"
        )


@attrs.define
class Inbox:
    """Writes files, and looks at which are done."""

    directory: Path
    runs: Path
    store: RedisStore
    keep: bool = False
    """Whether files stay where they are when they are done."""
    written: int = 0
    took_s: array.array[float] = attrs.field(factory=lambda: array.array("d"))
    starts: Counter[str] = attrs.field(factory=Counter[str])
    done: Counter[str] = attrs.field(factory=Counter[str])
    _written_at: dict[str, float] = attrs.field(factory=dict[str, float])
    _file_of: dict[str, str] = attrs.field(factory=dict[str, str])
    _last: bytes = b""
    _read_bytes: int = 0

    def write(self, per_s: float, seconds: float) -> None:
        """Write at this rate for so long; who is late catches up."""
        content, begin = b"x" * SIZE_BYTES, time.monotonic()
        for n in range(max(1, round(per_s * seconds))):
            if (wait_s := begin + n / per_s - time.monotonic()) > 0:
                time.sleep(wait_s)
            name = f"{n:07d}.txt"
            self._written_at[name] = time.monotonic()
            with open(self.directory / name, "wb", buffering=0) as file:
                file.write(content)
            self.written += 1

    def look(self) -> None:
        """Note what was done since the last look, and tidy up."""
        summaries, self._last = done_since(self.store, self._last)
        at = time.monotonic()
        self._read_starts()  # a job's start was written down before it was settled
        for summary in summaries:
            name = self._file_of.pop(summary.uid, "unknown")
            self.done[name] += 1
            if (written_at := self._written_at.pop(name, None)) is not None:
                self.took_s.append(at - written_at)
                if not self.keep:
                    (self.directory / name).unlink()

    def _read_starts(self) -> None:
        with contextlib.suppress(FileNotFoundError), self.runs.open("rb") as file:
            file.seek(self._read_bytes)
            whole = file.read().rpartition(b"\n")[0]
            for line in whole.decode().splitlines():
                uid, name = line.split()
                self.starts[name] += 1
                self._file_of[uid] = name
            self._read_bytes += len(whole) + 1 if whole else 0

    def doubled(self) -> int:
        """Files that were started or done more than once, or that nobody has written."""
        more = {name for counts in (self.starts, self.done) for name in counts if counts[name] > 1}
        return len(more | ({"unknown"} & self.done.keys()))


# -- an engine, and a run ----------------------------------------------------------------------


def cpu_s(pid: int) -> float:
    """User and system time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb(pid: int) -> float:
    """The most resident memory that a process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("this system doesn't tell VmHWM")


@contextlib.contextmanager
def served(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """An engine that stands."""
    log = directory / "engine.log"
    with log.open("w") as file:
        engine = trioq_started(
            "serve", directory / "jobqueue.toml", cwd=directory,
            env={"RUNS": str(directory / "runs")}, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        wait_until(lambda: '"engine_started"' in log.read_text())
        yield engine
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(timeout=60)


def run(per_s: float, minutes: float, limit: float, *, keep: bool = False) -> Measured:
    """Load one engine.

    Args:
      limit: What the engine's limiter lets through, per second.
      keep: Whether files stay where they are when they are done.
    """
    with tempfile.TemporaryDirectory(prefix="trioq-load-") as name:
        directory = Path(name)
        (directory / "inbox").mkdir()
        (directory / "load_app.py").write_text(APP)
        (directory / "jobqueue.toml").write_text(CONFIG.format(limit=limit))
        with served(directory) as engine:
            config = load(directory / "jobqueue.toml")
            with open_store(config) as connector:
                store = connector.store("load")
                inbox = Inbox(directory / "inbox", directory / "runs", store, keep)
                measured = _load(inbox, engine.pid, per_s, minutes)
                warned = _warnings(directory / "engine.log")
        # The server's keeper shuts it down, and holds this lock until it has.
        lock = wait_until(lambda: try_exclusive(directory / ".server" / "keeper.lock"))
        os.close(lock)
        return attrs.evolve(measured, warned=warned)


def _warnings(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if '"level": "info"' not in line]


def _load(inbox: Inbox, pid: int, per_s: float, minutes: float) -> Measured:
    engine_s, server_s = cpu_s(pid), _server_cpu_s(inbox.store)
    began = time.monotonic()
    writer = threading.Thread(target=inbox.write, args=(per_s, minutes * 60))
    writer.start()
    while writer.is_alive():
        inbox.look()
        time.sleep(LOOK_EVERY_S)
    writing_s, done_in_time = time.monotonic() - began, len(inbox.took_s)
    engine_s, server_s = cpu_s(pid) - engine_s, _server_cpu_s(inbox.store) - server_s
    ends = time.monotonic() + DRAIN_S
    while len(inbox.took_s) < inbox.written and time.monotonic() < ends:
        inbox.look()
        time.sleep(LOOK_EVERY_S)
    inbox.look()
    left = stats(inbox.store, ["high", "low"])
    return Measured(
        wanted_per_s=per_s,
        written=inbox.written,
        writing_s=writing_s,
        done=len(inbox.took_s),
        done_in_time=done_in_time,
        took_s=sorted(inbox.took_s),
        doubled=inbox.doubled(),
        counted_done=left.counters.get("done", 0),
        dead=left.dead,
        engine_cpu_s=engine_s,
        server_cpu_s=server_s,
        engine_rss_mb=peak_rss_mb(pid),
    )


def _server_cpu_s(store: RedisStore) -> float:
    lines = store.lane.call("INFO", "cpu").decode().splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Load an engine with small files.")
    parser.add_argument(
        "--rate", action="append", help="1000/min or 1000/s; several times; without it: both"
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--below", type=float, default=BELOW_S, help="seconds, for the p95")
    parser.add_argument(
        "--limit", type=float, help="the limiter's rate per second; without it: 5 × the rate"
    )
    parser.add_argument("--keep", action="store_true", help="files stay when they are done")
    given = parser.parse_args()
    passed = True
    for rate in given.rate or RATES:
        per_s = per_second(rate)
        print(f"load: {rate} for {given.minutes:g} min", flush=True)
        measured = run(per_s, given.minutes, given.limit or 5 * per_s, keep=given.keep)
        print(measured.told(), flush=True)
        if wrong := measured.wrong(given.below):
            passed = False
            print(*(f"FAILED: {words}" for words in wrong), sep="\n", flush=True)
            for line in measured.warned[:10]:
                print(f"engine: {line}", flush=True)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
