"""The server's clock jumps by hours under whole engines: nobody dies of it, nothing runs twice.

What is due, and what is remembered until a time, goes by the server's clock and so jumps with
it, once. Leases, heartbeats and the reaper go by nobody's time of day.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.clock import WAYS, Clocked, clocked
from tests.faults.fleet import Fleet
from tests.support import new_job, wait_until
from trioq import connect_sync
from trioq.core.calls import Rate

#: The clock is in the server, or in what lies before it: no other network can.
pytestmark = pytest.mark.direct

HOUR = 3600
LEASE_S = 2.0


@pytest.fixture(params=WAYS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clocked]:
    server = clocked(request.param, tmp_path)
    server.start()
    yield server
    server.close()


@pytest.fixture
def fleet(server: Clocked, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(server, tmp_path)
    yield fleet
    fleet.close()


def nobody_was_hurt(fleet: Fleet, jobs: int) -> None:
    """All these jobs ran once, and each engine lives and ends as it should."""
    stats = fleet.wait_done(jobs)
    assert (stats.counters["done"], stats.dead, stats.running) == (jobs, 0, 0)
    assert len(stats.engines) == len(fleet.engines)
    assert fleet.stop() == [0] * len(fleet.engines)
    runs = fleet.runs()
    assert len(runs) == len({run.uid for run in runs}) == jobs
    assert {run.attempt for run in runs} == {1}
    assert [fleet.logged(event) for event in ("engine_reaped", "boot_lost")] == [0, 0]


def test_no_living_engine_is_reaped_and_no_job_runs_twice(fleet: Fleet, server: Clocked) -> None:
    fleet.start_engines(3)
    fleet.enqueue(6, fields=f',"wait":{4 * LEASE_S}')  # they run through all of it
    ends = time.monotonic() + 3 * LEASE_S
    jobs = 6
    for hours in (3, -3, -30, 5, 25):
        server.jump(hours * HOUR)
        fleet.enqueue(40)
        jobs += 40
        wait_until(lambda jobs=jobs: fleet.stats().counters.get("done", 0) >= jobs - 6)
    time.sleep(max(0.0, ends - time.monotonic()))  # leases, not a wait for anything
    nobody_was_hurt(fleet, jobs)


def test_a_job_is_due_by_the_clock_that_jumped(fleet: Fleet, server: Clocked) -> None:
    fleet.start_engines(2)
    with connect_sync(fleet.config) as client:
        client.enqueue("work", {"n": 1}, delay=2 * HOUR)
        server.jump(-3 * HOUR)
        client.enqueue("work", {"n": 2}, delay=0.5)
        fleet.wait_done(1)
        assert fleet.stats().queues["low"].scheduled == 1
        server.jump(5 * HOUR + 1)
        fleet.wait_done(2)
    nobody_was_hurt(fleet, 2)


def test_an_id_is_remembered_by_the_clock_that_jumped(fleet: Fleet, server: Clocked) -> None:
    """By default 24 hours from its job's end, whatever happens to the clock in between."""
    fleet.start_engines(1)
    with connect_sync(fleet.config) as client:

        def enqueued() -> str | None:
            return client.enqueue("work", {"n": 1}, id="once").existing

        assert enqueued() is None
        fleet.wait_done(1)
        server.jump(23 * HOUR)
        assert enqueued() == "done"
        server.jump(-30 * HOUR)
        assert enqueued() == "done"
        server.jump(32 * HOUR)
        assert enqueued() is None
        fleet.wait_done(2)
    nobody_was_hurt(fleet, 2)


def test_producers_go_on_at_their_rate(server: Clocked) -> None:
    """No flood after a jump forward, no silence for hours after one back."""
    store, rate, sent = server.store(), Rate("producer", 20_000, 10), 0

    def granted(seconds: float) -> int:
        nonlocal sent
        taken, ends = 0, time.monotonic() + seconds
        while time.monotonic() < ends:
            sent += 1
            taken += store.enqueue("s", sent, [new_job() for _ in range(10)], rate=rate).taken
        return taken

    for hours in (0, 3, -3, -30, 40):
        server.jump(hours * HOUR)
        began = time.monotonic()
        taken = granted(0.6)
        most = 2 * rate.burst + (time.monotonic() - began) * 50 + 1
        assert 10 < taken <= most, f"after {hours} hours"
    store.lane.close()


def test_a_request_that_is_repeated_after_a_jump_puts_no_job_in_two_places(
    server: Clocked,
) -> None:
    """By then the server has forgotten the sender's number: it remembers it for an hour."""
    store, job = server.store(), new_job()
    store.enqueue("s", 1, [job])
    server.jump(2 * HOUR)
    store.enqueue("s", 1, [job])
    assert store.lane.call("LRANGE", store.keys.of("ready", "low"), 0, -1) == [job.uid.encode()]
    store.lane.close()
