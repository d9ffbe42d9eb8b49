"""A whole process is told to stop: at rest, at work, and with a server that stands still.

How quickly it goes is measured by ``benchmarks/shutdown.py``.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet
from tests.support import Server, wait_until

#: Far more than any of these takes, and less than a grace period that isn't cut short.
SOON_S = 20.0


@pytest.fixture
def fleet(own_server: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(own_server, tmp_path, workers=4, grace="60s")
    yield fleet
    for engine in fleet.engines:
        if engine.poll() is None:
            engine.kill()
        engine.wait()


def started(fleet: Fleet) -> subprocess.Popen[str]:
    engine = fleet.start_engine()
    # Where the answer to its registration was lost, the server knows it before it does.
    wait_until(lambda: fleet.logged("engine_started") == 1)
    return engine


def ends_well(engine: subprocess.Popen[str]) -> bool:
    before = time.monotonic()
    return engine.wait(timeout=SOON_S) == 0 and time.monotonic() - before < SOON_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_engine_signs_off_and_ends(fleet: Fleet, number: signal.Signals) -> None:
    engine = started(fleet)
    engine.send_signal(number)
    assert ends_well(engine)
    assert fleet.logged("engine_stopped") == 1
    assert fleet.left_properly()


@pytest.mark.direct  # nothing is answered
def test_an_idle_engine_ends_though_the_server_stands_still(fleet: Fleet) -> None:
    engine = started(fleet)
    fleet.server.pause()
    engine.send_signal(signal.SIGTERM)
    assert ends_well(engine)
    fleet.server.resume()


@pytest.mark.direct  # nothing is answered
def test_an_engine_that_lost_its_boot_ends_though_the_server_stands_still(fleet: Fleet) -> None:
    engine = started(fleet)
    fleet.server.call("FLUSHALL")
    fleet.server.pause()  # it is about to register, or just has
    engine.send_signal(signal.SIGTERM)
    assert ends_well(engine)
    fleet.server.resume()


def test_a_running_job_is_finished_first(fleet: Fleet) -> None:
    engine = started(fleet)
    fleet.enqueue(1, fields=', "wait": 0.5')
    wait_until(lambda: len(fleet.runs()) == 1)
    engine.send_signal(signal.SIGTERM)
    assert ends_well(engine)
    (run,) = fleet.runs()
    assert run.ended_s is not None
    stats = fleet.stats()
    assert stats.counters["done"] == 1
    assert fleet.left_properly()


@pytest.mark.parametrize("name", ["work", "threaded"])
def test_a_job_that_outlasts_the_grace_is_given_back_with_its_attempts(
    own_server: Server, tmp_path: Path, name: str
) -> None:
    fleet = Fleet(own_server, tmp_path, workers=4, grace="100ms")
    engine = started(fleet)
    fields = ', "wait": 60' if name == "work" else '"wait": 60'
    fleet.enqueue(1, name, fields)
    wait_until(lambda: len(fleet.runs()) == 1)
    engine.send_signal(signal.SIGTERM)
    assert ends_well(engine)
    stats = fleet.stats()
    assert (stats.queues["low"].ready, stats.dead, stats.running) == (1, 0, 0)
    assert fleet.server.call("HLEN", "{t}:attempts") == fleet.server.call("HLEN", "{t}:reaps") == 0
    assert [run.attempt for run in fleet.runs()] == [1]


@pytest.mark.direct  # it is about signals
def test_a_second_signal_cuts_the_grace_short(fleet: Fleet) -> None:
    engine = started(fleet)
    fleet.enqueue(1, fields=', "wait": 600')
    wait_until(lambda: len(fleet.runs()) == 1)
    engine.send_signal(signal.SIGTERM)
    wait_until(lambda: fleet.logged("engine_stopping") == 1)
    assert engine.poll() is None
    engine.send_signal(signal.SIGTERM)
    assert ends_well(engine)
    stats = fleet.stats()
    assert (stats.queues["low"].ready, stats.running) == (1, 0)
    assert fleet.left_properly()


def test_outcomes_get_out_before_the_end_where_the_server_comes_back_in_time(
    fleet: Fleet,
) -> None:
    engine = started(fleet)
    fleet.enqueue(1, fields=', "wait": 0.2')
    wait_until(lambda: len(fleet.runs()) == 1)
    fleet.server.pause()
    engine.send_signal(signal.SIGTERM)
    wait_until(lambda: any(run.ended_s for run in fleet.runs()))
    fleet.server.resume()
    assert ends_well(engine)
    assert fleet.stats().counters["done"] == 1
