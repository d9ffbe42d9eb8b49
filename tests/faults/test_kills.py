"""Engines and the server are hurt while jobs run: nothing is lost or runs twice for no reason."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet
from tests.support import Server, wait_until

#: ``TRIOQ_TEST_FAULTS=long`` runs what the guarantees were first measured with.
LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
JOBS = 20_000 if LONG else 1500


@pytest.fixture
def fleet(own_server: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(own_server, tmp_path)
    yield fleet
    for engine in fleet.engines:
        if engine.poll() is None:
            engine.kill()
        engine.wait()


def beside(disturb: Callable[[threading.Event], None]) -> tuple[threading.Thread, threading.Event]:
    """Run a disturbance until its event is set."""
    stop = threading.Event()
    thread = threading.Thread(target=disturb, args=(stop,))
    thread.start()
    return thread, stop


def test_every_job_runs_when_engines_are_killed(fleet: Fleet) -> None:
    for _ in range(3):
        fleet.start_engine()
    fleet.enqueue(JOBS)
    wait_until(lambda: len(fleet.runs()) > 100)
    kills = 8 if LONG else 3
    for victim in itertools.islice(itertools.cycle(range(3)), kills):
        running = fleet.stats().running
        assert running > 0, "the kill hits running jobs"
        fleet.kill(fleet.engines[-3:][victim])
        fleet.start_engine()
        time.sleep(2.0 if LONG else 0.5)  # the interval of the kills, not a wait for anything
    stats = fleet.wait_done(JOBS)
    runs = fleet.runs()

    assert len({run.uid for run in runs}) == JOBS
    assert stats.dead == 0
    assert stats.counters["done"] == JOBS
    assert fleet.second_starts_of_the_living(runs) == []
    assert fleet.stop() == [0, 0, 0]
    left = fleet.stats()
    assert (left.running, left.engines, left.strays) == (0, (), 0)


def test_no_job_is_lost_when_the_server_is_killed(fleet: Fleet) -> None:
    fleet.start_engines(2)
    fleet.enqueue(JOBS // 2)
    for _ in range(4 if LONG else 2):
        before = len(fleet.runs())
        wait_until(lambda before=before: len(fleet.runs()) > before + 50)  # type: ignore[misc]
        fleet.server.kill()
        fleet.server.start()
    stats = fleet.wait_done(JOBS // 2)

    assert len({run.uid for run in fleet.runs()}) == JOBS // 2
    assert stats.dead == 0
    assert fleet.second_starts_of_the_living(fleet.runs()) == []
    assert fleet.stop() == [0, 0]


def test_no_job_is_lost_when_the_server_stands_still(fleet: Fleet) -> None:
    fleet.start_engines(2)
    fleet.enqueue(JOBS // 2)
    wait_until(lambda: len(fleet.runs()) > 50)
    fleet.server.pause()
    time.sleep(20.0 if LONG else 4.0)  # how long the server stands still: twice the lease
    fleet.server.resume()
    stats = fleet.wait_done(JOBS // 2)

    assert stats.dead == 0
    assert stats.counters["done"] == JOBS // 2
    assert fleet.second_starts_of_the_living(fleet.runs()) == []
    assert 1 <= fleet.logged("redis_away") <= 2 * 2, (
        "said once by each engine, not a thousand times"
    )
    assert fleet.stop() == [0, 0]


@pytest.mark.parametrize("what", ["scripts", "clients"])
def test_work_goes_on_while_scripts_are_flushed_and_clients_killed(fleet: Fleet, what: str) -> None:
    command = ("SCRIPT", "FLUSH") if what == "scripts" else ("CLIENT", "KILL", "TYPE", "normal")

    def disturb(stop: threading.Event) -> None:
        while not stop.wait(0.02 if what == "scripts" else 0.1):
            with contextlib.suppress(Exception):  # our own connection may be the one killed
                fleet.server.call(*command)

    fleet.start_engines(2)
    fleet.enqueue(JOBS // 3)
    thread, stop = beside(disturb)
    try:
        stats = wait_until(
            lambda: (
                s
                if (s := _stats_or_none(fleet)) and s.counters.get("done", 0) >= JOBS // 3
                else None
            ),
            90.0,
        )
    finally:
        stop.set()
        thread.join()
    assert stats.dead == 0
    assert fleet.second_starts_of_the_living(fleet.runs()) == []
    assert fleet.stop() == [0, 0]


def _stats_or_none(fleet: Fleet):  # type: ignore[no-untyped-def]
    try:
        return fleet.stats()
    except Exception:
        return None  # this connection was killed as well


def test_a_full_server_can_be_drained(fleet: Fleet) -> None:
    fleet.enqueue(JOBS // 3)
    fleet.server.call("SET", "ballast", b"x" * 20_000_000)
    fleet.server.call("CONFIG", "SET", "maxmemory", "10mb")
    fleet.start_engine()
    stats = fleet.wait_done(JOBS // 3)
    assert stats.counters["done"] == JOBS // 3
    with pytest.raises(Exception, match="OOM"):
        fleet.enqueue(1, fields=', "wait": 0')
    assert fleet.stats().queues["low"].ready == 0
    assert fleet.stop() == [0]


def test_a_job_that_kills_its_engine_is_dead_and_its_neighbours_are_not(fleet: Fleet) -> None:
    fleet.enqueue(200, fields=', "wait": 0.01')
    fleet.enqueue(1, name="killer")
    fleet.enqueue(200, fields=', "wait": 0.02')
    deadline = time.monotonic() + 90
    engine = fleet.start_engine()
    other = fleet.start_engine()
    while True:
        for dead in (e for e in (engine, other) if e.poll() is not None):
            fleet.killed.add(dead.pid)
            if dead is engine:
                engine = fleet.start_engine()
            else:
                other = fleet.start_engine()
        stats = fleet.stats()
        if stats.counters.get("done", 0) + stats.dead >= 401:
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (stats.counters["done"], stats.dead) == (400, 1)
    killers = [run for run in fleet.runs() if run.pid in fleet.killed and not run.ended]
    uid = max({run.uid for run in killers}, key=lambda u: sum(r.uid == u for r in killers))
    assert sum(run.uid == uid for run in killers) in (3, 4)
    assert fleet.second_starts_of_the_living(fleet.runs()) == []
    assert fleet.stop() == [0, 0]


def test_an_engine_paused_past_its_lease_changes_nothing_and_goes_on(fleet: Fleet) -> None:
    zombie = fleet.start_engine()
    fleet.enqueue(8, fields=', "wait": 1.0')
    wait_until(lambda: len(fleet.runs()) == 8)
    zombie.send_signal(19)
    other = fleet.start_engine()
    stats = fleet.wait_done(8)
    fleet.killed.add(zombie.pid)  # it was paused past its lease: that explains the second starts
    assert stats.counters["done"] == 8
    zombie.send_signal(18)
    wait_until(lambda: fleet.logged("boot_lost") == 1)
    fleet.enqueue(100, fields=', "wait": 0.2')
    stats = fleet.wait_done(108)
    assert stats.counters["done"] == 108, "late settlements counted nothing"
    assert {run.pid for run in fleet.runs()} >= {zombie.pid, other.pid}
    wait_until(lambda: len(fleet.stats().engines) == 2)  # it goes on with a new boot
    assert fleet.stop() == [0, 0]
