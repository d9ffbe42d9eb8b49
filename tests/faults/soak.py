"""Hours of trouble: producers, engines, and a nemesis that hurts them as a seed says.

    python -m tests.faults.soak --minutes 30 --seed 7

Producers enqueue numbers that are never used twice. At the end the faults stop, the queues run
empty, and a checker in the manner of Jepsen's total-queue looks at what every claim did. It
exits with 1 if anything is lost, unexpected, or run twice without a reason.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import attrs

from tests.dump import dump
from tests.faults.fleet import Fleet, Outage
from tests.invariants import broken_invariants
from tests.support import Server, wait_until
from trioq import EnqueueUnknown, connect_sync
from trioq.errors import StoreError

ENGINES = 3
PRODUCERS = 2
DRAIN_S = 180.0


@attrs.define
class Attempts:
    """What producers tried, by uid."""

    acknowledged: set[str] = attrs.field(factory=set[str])
    unknown: set[str] = attrs.field(factory=set[str])
    refused: int = 0
    _number: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def next(self) -> int:
        with self._lock:
            self._number += 1
            return self._number


def produce(fleet: Fleet, attempts: Attempts, stop: threading.Event, per_s: float) -> None:
    """Enqueue numbers; what became of each is noted."""
    with connect_sync(fleet.config) as client:
        while not stop.wait(1 / per_s):
            number = attempts.next()
            try:
                handle = client.enqueue("work", {"n": number, "wait": 0.05}, id=f"n{number}")
            except EnqueueUnknown as error:
                attempts.unknown.update(error.uids)
            except StoreError:
                attempts.refused += 1  # nothing was written
            else:
                attempts.acknowledged.add(handle.uid)


@attrs.define
class Nemesis:
    """Hurts one thing at a time."""

    fleet: Fleet
    random: random.Random
    done: Counter[str] = attrs.field(factory=Counter[str])

    def strike(self) -> None:
        """Do one thing, and undo it."""
        faults = {
            "kill an engine": self.kill_engine,
            "pause an engine": self.pause_engine,
            "kill the server": self.kill_server,
            "stop the server": self.stop_server,
            "flush scripts": lambda: self.fleet.server.call("SCRIPT", "FLUSH"),
            "kill clients": self.kill_clients,
            "make it a replica": self.make_it_a_replica,
            "pause clients": self.pause_clients,
        }
        name = self.random.choice(sorted(faults))
        self.done[name] += 1
        faults[name]()

    def _engine(self) -> int:
        living = [i for i, e in enumerate(self.fleet.engines) if e.poll() is None]
        return self.random.choice(living)

    def _a_while(self) -> None:
        time.sleep(self.random.uniform(0.2, 5.0))  # up to more than twice the lease

    def kill_engine(self) -> None:
        self.fleet.kill(self.fleet.engines[self._engine()])
        self.fleet.start_engine()

    def pause_engine(self) -> None:
        engine = self.fleet.engines[self._engine()]
        self.fleet.pause(engine)
        self._a_while()
        self.fleet.resume(engine)

    def kill_server(self) -> None:
        with self.fleet.server_away():
            self.fleet.server.kill()
            self._a_while()
            self.fleet.server.start()

    def stop_server(self) -> None:
        with self.fleet.server_away():
            self.fleet.server.pause()
            self._a_while()
            self.fleet.server.resume()

    def kill_clients(self) -> None:
        with self.fleet.server_away(), contextlib.suppress(StoreError):  # its own may be among them
            self.fleet.server.call("CLIENT", "KILL", "TYPE", "normal")

    def make_it_a_replica(self) -> None:
        with self.fleet.server_away():
            self.fleet.server.call("REPLICAOF", "127.0.0.1", "1")
            self._a_while()
            self.fleet.server.call("REPLICAOF", "NO", "ONE")

    def pause_clients(self) -> None:
        whom = self.random.choice(["ALL", "WRITE"])
        now_s = time.monotonic()
        self.fleet.server.call("CLIENT", "PAUSE", "2500", whom)
        self.fleet.outages.append(Outage(now_s, now_s + 2.5))  # other things happen meanwhile


def check(fleet: Fleet, attempts: Attempts) -> bool:
    """Look at every claim, and say what there was. False: a promise is broken."""
    runs = fleet.runs()
    starts = Counter(run.uid for run in runs)
    ended = {run.uid for run in runs if run.ended_s is not None}
    attempted = attempts.acknowledged | attempts.unknown
    unexplained = fleet.unexplained()
    store = fleet.store
    left = dump(store)
    store.lane.close()
    lost = attempts.acknowledged - ended
    unexpected = starts.keys() - attempted
    duplicated = {uid for uid, count in starts.items() if count > 1}
    wrong = {
        "lost": sorted(lost),
        "unexpected": sorted(unexpected),
        "unexplained": unexplained,
        "dead": sorted(left.dead),
        "left": sorted(left.jobs),
        "done by the server's count, not ours": (
            [left.stats.get("done", 0), len(ended)]
            if left.stats.get("done", 0) != len(ended)
            else []
        ),
        "invariants": list(broken_invariants(left, keep_done=100)),
    }
    counts = {
        "attempted": len(attempted) + attempts.refused,
        "acknowledged": len(attempts.acknowledged),
        "lost": len(lost),
        "unexpected": len(unexpected),
        "duplicated": len(duplicated),
        "recovered": len(attempts.unknown & ended),
        "explained": len(duplicated - {run.uid for run, _ in unexplained}),
    }
    print(" ".join(f"{name}={count}" for name, count in counts.items()), flush=True)
    for what, found in wrong.items():
        if found:
            print(f"BROKEN: {what}: {found[:5]}", flush=True)
    for pair in unexplained:
        print(f"{pair}\n  {fleet.around(*pair)}", flush=True)
    return not any(wrong.values())


def soak(minutes: float, seed: int, per_s: float) -> bool:
    """One run. Whether every promise was kept."""
    server = Server(options=("--appendonly", "yes", "--appendfsync", "always")).start()
    directory = Path(tempfile.mkdtemp(prefix="trioq-soak-"))
    fleet = Fleet(server, directory)
    try:
        kept = _soak(fleet, minutes, seed, per_s)
    finally:
        fleet.close()
        server.close()
    if kept:
        shutil.rmtree(directory)
    else:
        print(f"what the engines wrote is in {directory}", flush=True)
    return kept


def _soak(fleet: Fleet, minutes: float, seed: int, per_s: float) -> bool:
    attempts, stop = Attempts(), threading.Event()
    nemesis = Nemesis(fleet, random.Random(seed))
    producers = [
        threading.Thread(target=produce, args=(fleet, attempts, stop, per_s / PRODUCERS))
        for _ in range(PRODUCERS)
    ]
    ends = time.monotonic() + minutes * 60
    with fleet.supervised():  # one that is started during an outage ends, and is started again
        fleet.start_engines(ENGINES)
        for producer in producers:
            producer.start()
        while time.monotonic() < ends:
            time.sleep(nemesis.random.uniform(0.5, 3.0))
            nemesis.strike()
        stop.set()
        for producer in producers:
            producer.join()
        told = ", ".join(f"{count} × {name}" for name, count in sorted(nemesis.done.items()))
        print(f"seed {seed}: {told}", flush=True)
        with contextlib.suppress(AssertionError):  # the checker tells what is left
            wait_until(lambda: _is_empty(fleet), DRAIN_S)
    fleet.stop()
    return check(fleet, attempts)


def _is_empty(fleet: Fleet) -> bool:
    try:
        return fleet.stats().records == 0
    except StoreError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Run trioq through trouble and look at it.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--rate", type=float, default=100.0, help="jobs per second")
    given = parser.parse_args()
    seed = random.randrange(1 << 30) if given.seed is None else given.seed
    print(f"soak: {given.minutes:g} min, seed {seed}", flush=True)
    sys.exit(0 if soak(given.minutes, seed, given.rate) else 1)


if __name__ == "__main__":
    main()
