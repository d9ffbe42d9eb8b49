"""Limits are never passed, whatever dies: over three engines, which are killed one after the other,
and five producers.

What runs is told by the handlers, on the machine's clock; what has started by the server, on its
own.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.faults.fleet import Fleet, Run
from tests.support import Server, wait_until
from trioq import SyncClient, connect_sync

RATE, BURST, RUNNING, EACH = 60, 5, 8, 3
PRODUCERS, ENGINES = 5, 3

#: All of them, a multiple of the producers; how many engines are killed, and how far apart.
LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
JOBS, KILLS, EVERY_S = (3000, 20, 2.0) if LONG else (300, 3, 0.5)

LIMITS = f"""
[limits.all]
jobs = ["work"]
rate = {RATE}
burst = {BURST}
concurrency = {RUNNING}
[limits.each]
queue = "low"
key = "n"
concurrency = {EACH}
"""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def fleet(own_server: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(own_server, tmp_path, more=LIMITS)
    yield fleet
    fleet.close()


@attrs.define
class Watch:
    """What the server counts, each with its time: seen again and again, at one moment each."""

    server: Server
    seen: list[tuple[int, int]] = attrs.field(factory=list)
    """When, in µs, and how many claims there were by then."""
    most: dict[str, int] = attrs.field(factory=dict)
    """How many held each take at the most."""

    @contextmanager
    def watching(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._look, args=[stop])
        thread.start()
        yield
        stop.set()
        thread.join()

    def _look(self, stop: threading.Event) -> None:
        lane = self.server.store("t").lane
        questions = [("TIME",), ("HGET", "{t}:stats", "claimed"), ("HGETALL", "{t}:slots")]
        while not stop.wait(0.003):
            (seconds, micros), claimed, slots = lane.transaction(questions)
            self.seen.append((int(seconds) * 1_000_000 + int(micros), int(claimed or 0)))
            for take, count in zip(slots[::2], slots[1::2], strict=True):
                name = take.decode()
                self.most[name] = max(self.most.get(name, 0), int(count))
        lane.close()

    def at_once(self) -> float:
        """What started in any window beyond what the rate lets start in it, at the most."""
        most, least = 0.0, float("inf")
        for at_us, claimed in self.seen:
            beyond = claimed - at_us * RATE / 1e6
            least = min(least, beyond)
            most = max(most, beyond - least)
        return most


def together(runs: list[Run], killed: dict[int, float]) -> int:
    """How many ran at one time at the most; one whose engine was killed until then."""
    ends = [(run, run.ended_s or killed.get(run.pid)) for run in runs]
    assert all(end is not None for _, end in ends)
    moments = sorted(
        [(run.started_s, 1) for run in runs] + [(end, -1) for _, end in ends if end is not None]
    )
    most = now = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


def produce(connect: Callable[[], SyncClient]) -> None:
    """One producer's share, at its share of twice the rate."""
    with connect() as client:
        for n in range(JOBS // PRODUCERS):
            client.enqueue("work", {"n": n % 2, "wait": 0.08}, queue="low")
            time.sleep(PRODUCERS / (2 * RATE))


def drive(fleet: Fleet, connect: Callable[[], SyncClient]) -> Watch:
    """Producers and engines, of which one after the other is killed, until all jobs are done."""
    watch = Watch(fleet.server)
    with watch.watching(), ThreadPoolExecutor(PRODUCERS) as pool:
        fleet.start_engines(ENGINES)
        producers = [pool.submit(produce, connect) for _ in range(PRODUCERS)]
        for _ in range(KILLS):
            fleet.kill_when_busy(fleet.engines[-ENGINES])
            fleet.start_engine()
            time.sleep(EVERY_S)  # the interval of the kills, not a wait for anything
        for producer in producers:
            producer.result()
        stats = fleet.wait_done(JOBS)
    assert (stats.counters["done"], stats.dead) == (JOBS, 0), "all ran, and none was lost"
    assert fleet.kills_that_hit() >= KILLS, "they hit running jobs, which held slots"
    return watch


def assert_slots_are_kept(fleet: Fleet, watch: Watch) -> None:
    """Never more ran than may, by the server's count and by the handlers' own; all is free now."""
    assert watch.most == {"all": min(RUNNING, 2 * EACH), "each:0": EACH, "each:1": EACH}
    killed = {hurt.pid: hurt.from_s for hurt in fleet.hurt}
    assert together(fleet.runs(), killed) <= min(RUNNING, 2 * EACH)
    wait_until(lambda: fleet.stats().running == 0)
    for key in ("slots", "took", "limited", "rooms", "open", "flow"):
        assert fleet.server.call("EXISTS", f"{{t}}:{key}") == 0, f"{key}: all was given back"


def test_no_limit_is_passed_in_any_window_while_engines_are_killed(fleet: Fleet) -> None:
    watch = drive(fleet, lambda: connect_sync(fleet.config))
    assert 1 < watch.at_once() <= BURST
    assert_slots_are_kept(fleet, watch)


@pytest.mark.long
def test_what_comes_from_who_knows_no_limits_is_bound_whoever_dies(fleet: Fleet) -> None:
    watch = drive(fleet, lambda: connect_sync(url=fleet.server.url, namespace="t"))
    assert_slots_are_kept(fleet, watch)
    assert {run.attempt for run in fleet.runs()} == {1}, "to be bound is no attempt"
