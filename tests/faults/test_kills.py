"""Engines and the server are hurt while jobs run: nothing is lost or runs twice for no reason.

``TRIOQ_TEST_FAULTS=long`` runs what the guarantees were first measured with.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from tests.faults.fleet import Fleet, Hurt, Outage, Run, unexplained
from tests.support import Server, wait_until
from trioq import EnqueueUnknown, StoreUnreachable, connect_sync

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
JOBS = 20_000 if LONG else 1500
PATIENCE_S = 400.0 if LONG else 90.0

pytestmark = pytest.mark.timeout(900 if LONG else 300)


@pytest.fixture
def fleet(own_server: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(own_server, tmp_path)
    yield fleet
    fleet.close()


def all_ran(fleet: Fleet, jobs: int) -> None:
    """Wait for the end of these jobs, and of the engines; then look whether all is as promised."""
    stats = fleet.wait_done(jobs, PATIENCE_S)
    assert (stats.counters["done"], stats.dead) == (jobs, 0)
    living = sum(engine.poll() is None for engine in fleet.engines)
    assert fleet.stop() == [0] * living
    runs = fleet.runs()
    assert len({run.uid for run in runs}) == jobs
    assert fleet.unexplained() == []
    assert {run.attempt for run in runs} == {1}, "nothing of this costs an attempt"
    left = fleet.stats()
    assert left.counters["done"] == jobs, "late settlements counted nothing"
    assert (left.running, left.strays, left.records) == (0, 0, 0)


# -- the oracle itself -------------------------------------------------------------------------


def test_a_second_start_is_explained_by_what_hit_the_engine_while_it_had_the_job() -> None:
    first = Run("job", "a:1", 1, 1, started_s=10.0)
    again = Run("job", "b:1", 2, 1, started_s=20.0)
    finished = attrs.evolve(first, ended_s=10.1)
    killed = Hurt(1, from_s=15.0)
    assert unexplained([first, again], [killed]) == []
    assert unexplained([again, first], [killed]) == [], "whatever was read first"
    assert unexplained([attrs.evolve(first, ended_s=14.5), again], [killed]) == [], "unsettled"
    assert unexplained([first], []) == []

    assert unexplained([first, again], []) == [(first, again)]
    assert unexplained([first, again], [Hurt(2, 15.0)]), "somebody else was killed"
    assert unexplained([first, again], [Hurt(1, 25.0)]), "killed later"
    assert unexplained([first, again], [Hurt(1, 5.0, until_s=6.0)]), "paused before"
    assert unexplained([finished, again], [killed]), "settled long before"
    away = Outage(10.5, 14.5)
    assert unexplained([finished, again], [killed], [away]) == [], "it couldn't be settled"
    assert unexplained([finished, again], [killed], [Outage(5.0, 9.0)]), "it was back by then"
    assert unexplained([finished, again], [killed], [Outage(10.5, 11.0)]), "back long before"
    assert unexplained([finished, again], [], [away]), "an outage alone is no reason"
    paused = Hurt(2, from_s=5.0, until_s=19.9)
    assert unexplained([finished, again], [paused]) == [], "claimed before, started after"
    assert unexplained([finished, again], [attrs.evolve(paused, until_s=15.0)]), "not at once"
    assert unexplained([finished, again], [attrs.evolve(paused, from_s=11.0)]), "done by then"
    third = Run("job", "c:1", 3, 1, started_s=30.0)
    assert unexplained([first, again, third], [killed]) == [(again, third)]


# -- engines -----------------------------------------------------------------------------------


def test_every_job_runs_when_engines_are_killed(fleet: Fleet) -> None:
    jobs, wait_s = (20_000, 0.05) if LONG else (900, 0.25)
    fleet.start_engines(3)
    fleet.enqueue_from_file(jobs, wait_s)
    kills = 8 if LONG else 2
    for victim in itertools.islice(itertools.cycle(range(3)), kills):
        fleet.kill_when_busy(fleet.engines[-3:][victim])
        fleet.start_engine()
        time.sleep(2.0 if LONG else 0.5)  # the interval of the kills, not a wait for anything
    wait_until(lambda: fleet.stats().running > 0)
    for engine in fleet.engines[-3:]:
        fleet.kill(engine)
    fleet.start_engines(3)
    all_ran(fleet, jobs)
    assert fleet.kills_that_hit() >= kills, "they hit running jobs"
    assert unexplained(fleet.runs(), []) != [], "which then ran again"


def test_a_job_that_kills_its_engine_is_dead_and_its_neighbours_are_not(fleet: Fleet) -> None:
    neighbours = 1000 if LONG else 300
    fleet.enqueue(neighbours // 2, fields=', "wait": 0.01')
    fleet.enqueue(1, name="killer")
    fleet.enqueue(neighbours // 2, fields=', "wait": 0.02')
    with fleet.supervised():
        fleet.start_engine()
        fleet.start_engine()
        stats = fleet.wait_done(neighbours + 1)
    assert (stats.counters["done"], stats.dead) == (neighbours, 1)
    (killer,) = fleet.dead()
    starts = Counter(run.uid for run in fleet.runs() if run.ended_s is None)
    assert starts[killer] in (3, 4), "as a suspect three times, and once before it was one"
    assert fleet.unexplained() == []
    assert fleet.stop() == [0, 0]


def test_an_engine_paused_past_its_lease_changes_nothing_and_goes_on(fleet: Fleet) -> None:
    zombie = fleet.start_engine()
    fleet.enqueue(3, fields=', "wait": 0.8')
    wait_until(lambda: len(fleet.runs()) == 3)
    fleet.pause(zombie)
    other = fleet.start_engine()
    assert fleet.wait_done(3).counters["done"] == 3
    fleet.resume(zombie)
    wait_until(lambda: fleet.logged("boot_lost") == 1)
    wait_until(lambda: len(fleet.stats().engines) == 2)  # it goes on with a new boot
    fleet.enqueue(100, fields=', "wait": 0.1')
    fleet.wait_done(103)
    assert {run.pid for run in fleet.runs()[-100:]} == {zombie.pid, other.pid}
    all_ran(fleet, 103)


# -- the server --------------------------------------------------------------------------------


def test_no_job_is_lost_when_the_server_is_killed(fleet: Fleet) -> None:
    fleet.start_engines(2)
    fleet.enqueue(JOBS // 2)
    for kill in range(4 if LONG else 2):
        before = len(fleet.runs())
        wait_until(lambda before=before: len(fleet.runs()) > before + 50)  # type: ignore[misc]
        fleet.server.kill()
        if kill == 0:
            time.sleep(10.0 if LONG else 3.0)  # longer than any lease: that is no evidence
        fleet.server.start()
    all_ran(fleet, JOBS // 2)


def test_no_job_is_lost_when_the_server_stands_still(fleet: Fleet) -> None:
    fleet.start_engines(2)
    fleet.enqueue(JOBS // 2)
    wait_until(lambda: len(fleet.runs()) > 50)
    fleet.server.pause()
    with beside(lambda stop: enqueue_whatever_happens(fleet, 20)):
        time.sleep(20.0 if LONG else 4.0)  # how long the server stands still: twice the lease
        fleet.server.resume()
    all_ran(fleet, JOBS // 2 + 20)
    assert 1 <= fleet.logged("redis_away") <= 2 * 2, (
        "said once by each engine, not a thousand times"
    )


def enqueue_whatever_happens(fleet: Fleet, count: int) -> None:
    """Enqueue with ids of one's own, again as long as it isn't known that it worked."""
    with connect_sync(fleet.config) as client:
        for n in range(count):
            while True:
                try:
                    client.enqueue("work", {"n": -n, "wait": 0.0}, id=f"mine:{n}")
                except (EnqueueUnknown, StoreUnreachable):
                    continue
                break


@pytest.mark.parametrize("what", ["scripts", "clients"])
def test_work_goes_on_while_scripts_are_flushed_and_clients_killed(fleet: Fleet, what: str) -> None:
    command = ("SCRIPT", "FLUSH") if what == "scripts" else ("CLIENT", "KILL", "TYPE", "normal")
    struck = []

    def disturb(stop: threading.Event) -> None:
        while not stop.wait(0.02 if what == "scripts" else 0.05):
            with contextlib.suppress(Exception):  # our own connection may be the one killed
                fleet.server.call(*command)
                struck.append(len(fleet.runs()))

    fleet.start_engines(2)
    fleet.enqueue(JOBS // 3)
    with beside(disturb):
        wait_until(lambda: _done(fleet) >= JOBS // 3, PATIENCE_S)
    assert len(set(struck)) >= 3, "it struck while jobs ran"
    all_ran(fleet, JOBS // 3)


def _done(fleet: Fleet) -> int:
    try:
        return fleet.stats().counters.get("done", 0)
    except Exception:
        return 0  # this connection was killed as well


def test_a_full_server_can_be_drained(fleet: Fleet) -> None:
    fleet.enqueue(JOBS // 3)
    fleet.start_engine()
    wait_until(lambda: len(fleet.runs()) > 50)
    fleet.server.call("SET", "ballast", b"x" * 20_000_000)
    fleet.server.call("CONFIG", "SET", "maxmemory", "10mb")
    with pytest.raises(Exception, match="OOM"):
        fleet.enqueue(1, fields=', "wait": 0')
    all_ran(fleet, JOBS // 3)


@contextlib.contextmanager
def beside(disturb: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do this in a thread; on the way out, its event is set and it is waited for."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            disturb(stop)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert failed == []
