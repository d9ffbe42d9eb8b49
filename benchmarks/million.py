"""What the operator's commands cost beside millions of jobs, and how long each holds the server up.

    python -m benchmarks.million [--jobs 1000000] [--undisturbed] [--json]

So many jobs are ready, as many parked behind one name, scheduled, and dead. Then each command is
run as somebody would run it, in a process of its own, of which the interpreter's start takes the
first 0.3 to 0.5 s. Prints how long it took, the longest time that one request of it kept the
server from serving others, and how many requests took more than 5 ms. On a machine that does other
things, too, some of that time is theirs: --undisturbed has the server go first (for root).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from benchmarks.support import Bench, bench, show
from trioq.core.formats.record import encode
from trioq.core.job import Record
from trioq.engine import from_config
from trioq.store.inspect import Overviews

#: Jobs made by one request.
PAGE = 2_000

#: Requests that take less than this, in µs, aren't looked at one by one.
NOTED_US = 200

SLOW_US = 5_000

MAKE = """
local jobs, kind, list = KEYS[1], ARGV[1], KEYS[2]
for i = ARGV[2], ARGV[3] do
  local uid = string.format("%08x%024x", ARGV[4], i)
  redis.call("HSET", jobs, uid, i % 2 == 0 and ARGV[5] or ARGV[6])
  if kind == "list" then
    redis.call("LPUSH", list, uid)
  else
    redis.call("ZADD", list, ARGV[7] + i, uid)
  end
  if KEYS[3] then
    redis.call("HSET", KEYS[3], uid, ARGV[8])
    redis.call("HSET", KEYS[4], uid, "failures")
  end
end
"""

LINE = b'{"attempt":4,"type":"ValueError","message":"no such file","traceback":"","at_ms":1}'


def uid(kind: int, i: int) -> str:
    return f"{kind:08x}{i:024x}"


READY, PARKED, SCHEDULED, DEAD = range(1, 5)


@attrs.frozen
class Millions:
    """A server with so many jobs of each kind."""

    bench: Bench
    jobs: int

    def fill(self) -> None:
        keys, call = self.bench.connector.store("fill").keys, self.bench.admin.call
        later_ms = (time.time_ns() // 1_000_000) + 3_600_000
        more: tuple[str, ...] = keys.fixed("history"), keys.fixed("reasons")
        for kind, type_, key, first_ms in (
            (READY, "list", keys.of("ready", "low"), 0),
            (PARKED, "list", keys.of("parked", "low", "mail"), 0),
            (SCHEDULED, "set", keys.of("scheduled", "low"), later_ms),
            (DEAD, "set", keys.fixed("dead"), 1),
        ):
            told = more if kind == DEAD else ()
            for first in range(1, self.jobs + 1, PAGE):
                last = min(first + PAGE - 1, self.jobs)
                call(
                    "EVAL", MAKE, 2 + len(told), keys.fixed("jobs"), key, *told,
                    type_, first, last, kind, self._record("mail"),
                    self._record("mail" if kind == PARKED else "thumbnail"), first_ms, LINE,
                    timeout_s=60.0,
                )  # fmt: skip
        call("HSET", keys.fixed("parked"), "low:mail", f"1:{self.jobs}")
        call("SADD", keys.fixed("queues"), "low")
        self.rest()

    def go_first(self) -> None:
        """Nothing else of this machine takes the server's core from it."""
        pid = self.bench.info("server")["process_id"]
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(1))

    def rest(self) -> None:
        """Wait until the server doesn't write its data anew."""
        while self.bench.info("persistence")["aof_rewrite_in_progress"] != "0":
            time.sleep(0.1)

    def _record(self, name: str) -> bytes:
        record = Record("", name, "low", b'{"path":"%s"}' % (b"x" * 100), enqueued_ms=1)
        return encode(record)[0]

    @contextmanager
    def watched(self, rows: dict[str, dict[str, float]], what: str) -> Iterator[None]:
        """Note what the server did meanwhile."""
        call = self.bench.admin.call
        self.rest()
        for _ in range(2):  # the first is slow, and noted itself
            call("SLOWLOG", "RESET")
        call("LATENCY", "RESET")
        began = time.monotonic()
        yield
        took_s = time.monotonic() - began
        # A transaction is noted command by command, but timed as a whole. Looked at first: to
        # read what was noted is slow itself.
        latest = map(_four, call("LATENCY", "LATEST"))
        whole = [ms for event, _, _, ms in latest if b"command" in event]
        noted = [us for _, _, us, *_ in call("SLOWLOG", "GET", -1)]
        rows[what] = {
            "seconds": took_s,
            "longest_ms": max([0.0, *(us / 1000 for us in noted), *map(float, whole)]),
            "over_5_ms": float(sum(us > SLOW_US for us in noted)),
        }

    def run(self, rows: dict[str, dict[str, float]], *words: str) -> None:
        """A command; what it prints is read to the end."""
        command, *options = words
        group = [command, options.pop(0)] if command == "dead" else [command]
        argv = [sys.executable, "-m", "trioq", *group, str(self.bench.file), *options]
        with self.watched(rows, " ".join(words)):
            ended = subprocess.run(argv, check=False, capture_output=True)
        if ended.returncode not in (0, 1):
            raise RuntimeError(f"{words}: {ended.stderr.decode()}")

    def measure(self) -> dict[str, dict[str, float]]:
        rows: dict[str, dict[str, float]] = {}
        middle = self.jobs // 2
        call = self.bench.admin.call
        call("CONFIG", "SET", "slowlog-log-slower-than", NOTED_US)
        call("CONFIG", "SET", "slowlog-max-len", 100_000)
        call("CONFIG", "SET", "latency-monitor-threshold", 1)
        config = self.bench.config
        top = self.bench.connector.store("top")
        overviews = Overviews(top, config.queue_names, from_config.rate(config))
        # What the machine does to a server that has next to nothing to do.
        with self.watched(rows, "TIME, 50,000 times"):
            for _ in range(500):
                self.bench.admin.pipeline([("TIME",)] * 100)
        with self.watched(rows, "a look of top"):
            overviews.take()
        self.run(rows, "stats")
        self.run(rows, "stats", "--keys")
        self.run(rows, "engines")
        self.run(rows, "peek", "low", "-n", "100")
        for what, i in (("newest", self.jobs), ("middle", middle), ("oldest", 1)):
            with self.watched(rows, f"job, the {what} parked"):
                self._quietly("job", uid(PARKED, i))
        with self.watched(rows, "job, ready"):
            self._quietly("job", uid(READY, middle))
        with self.watched(rows, "job, scheduled"):
            self._quietly("job", uid(SCHEDULED, middle))
        with self.watched(rows, "job, unknown"):
            self._quietly("job", "nobody")
        for what, i in (("newest", self.jobs), ("middle", middle), ("oldest", 1)):
            with self.watched(rows, f"cancel, the {what} parked"):
                self._quietly("cancel", uid(PARKED, i))
        with self.watched(rows, "cancel, ready"):
            self._quietly("cancel", uid(READY, middle))
        with self.watched(rows, "cancel, scheduled"):
            self._quietly("cancel", uid(SCHEDULED, middle))
        self.run(rows, "pause", "low")
        self.run(rows, "resume", "low")
        self.run(rows, "doctor")
        self.run(rows, "bench", "-n", "1000", "--rate", "500")
        with self.watched(rows, "dead show"):
            self._quietly("dead show", uid(DEAD, middle))
        self.run(rows, "dead", "list")
        self.run(rows, "dead", "list", "--name", "nobody")
        self.run(rows, "dead", "list", "--error", "nothing")
        self.run(rows, "dead", "revive", "--name", "mail", "--dry-run")
        self.run(rows, "dead", "export", "-o", str(self.bench.directory / "dead.jsonl"))
        self.run(rows, "dead", "revive", "--name", "mail", "--yes")
        self.run(rows, "dead", "purge", "--all", "--yes")
        self.run(rows, "purge", "low", "--dry-run")
        self.run(rows, "purge", "low", "--yes")
        return rows

    def _quietly(self, command: str, id: str) -> None:
        argv = [sys.executable, "-m", "trioq", *command.split(), str(self.bench.file), id]
        subprocess.run(argv, check=False, capture_output=True)


def _four(entry: list[bytes]) -> tuple[bytes, int, int, int]:
    event, at, latest, most = entry[:4]
    return event, int(at), int(latest), int(most)


def main() -> None:
    made = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    made.add_argument("--jobs", type=int, default=1_000_000, help="so many of each kind")
    made.add_argument("--undisturbed", action="store_true", help="the server goes first; for root")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    options = made.parse_args()
    with bench() as b:
        millions = Millions(b, options.jobs)
        millions.fill()
        if options.undisturbed:
            millions.go_first()
        show(options, millions.measure())


if __name__ == "__main__":
    main()
