"""Limits are never passed, whatever dies: over several engines, some of which are killed.

What runs is told by the handlers, on the machine's clock; what has started by the server, on its
own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.faults.fleet import Fleet, Run
from tests.support import Server, wait_until

RATE, BURST, RUNNING, EACH = 60, 5, 8, 3
JOBS = 300

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


def test_no_limit_is_passed_in_any_window_while_engines_are_killed(fleet: Fleet) -> None:
    watch = Watch(fleet.server)
    with watch.watching():
        fleet.start_engines(3)
        fleet.enqueue_from_file(JOBS, 0.08, values=2)
        for _ in range(3):
            fleet.kill_when_busy(fleet.engines[-3])
            fleet.start_engine()
            time.sleep(0.5)  # the interval of the kills, not a wait for anything
        stats = fleet.wait_done(JOBS)
    assert (stats.counters["done"], stats.dead) == (JOBS, 0), "all ran, and none was lost"
    assert 1 < watch.at_once() <= BURST
    assert watch.most == {"all": min(RUNNING, 2 * EACH), "each:0": EACH, "each:1": EACH}
    killed = {hurt.pid: hurt.from_s for hurt in fleet.hurt}
    assert together(fleet.runs(), killed) <= min(RUNNING, 2 * EACH)
    assert fleet.kills_that_hit() >= 3, "they hit running jobs, which held slots"
    wait_until(lambda: fleet.stats().running == 0)
    for key in ("slots", "took", "limited", "rooms", "open", "flow"):
        assert fleet.server.call("EXISTS", f"{{t}}:{key}") == 0, f"{key}: all was given back"
