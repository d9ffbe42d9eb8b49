"""Ticks of schedules while engines are killed, clocks jump and data goes back: each fires once at
most, and none is lost."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from tests.faults.clock import Clocked, clocked
from tests.faults.fleet import Fleet
from tests.support import Server, wait_until
from trioq.core.formats import schedule as rows
from trioq.core.schedules.schedule import Schedule
from trioq.core.schedules.when import Every
from trioq.store.redis import RedisStore

#: What is counted is what one execution did.
pytestmark = [pytest.mark.direct, pytest.mark.timeout(300)]

LONG = os.environ.get("TRIOQ_TEST_FAULTS") == "long"
SECONDS = 120 if LONG else 30
KILL_S = 5.0

HOUR_MS = 3_600_000
GRACE_S = 60


@attrs.define
class EachSecond:
    """A schedule that comes each second, and what became of its ticks."""

    store: RedisStore
    name: str = "each"

    def put(self) -> None:
        its = Schedule(self.name, Every(1000), "work", "low", b'{"n":1,"wait":0}', overlap="allow")
        now_ms = self.store.next_ticks(1).now_ms
        first_ms = its.when.after(now_ms)
        assert self.store.put_schedule("tests", 1, self.name, rows.encode(its), first_ms)

    @property
    def fired(self) -> list[int]:
        """Ticks that have brought a job, by the ids of these."""
        ids = (id.decode() for id in self.store.lane.call("HKEYS", self.store.keys.fixed("ids")))
        return sorted(int(id.split(":")[2]) for id in ids)

    @property
    def next_ms(self) -> int:
        ((_, tick_ms),) = self.store.next_ticks(1).ticks
        return tick_ms

    def each_once(self, enqueued: int) -> list[int]:
        """Each tick that fired brought one job. Returns how far they are apart."""
        fired = self.fired
        assert enqueued == len(fired), "one brought two jobs"
        return [after - before for before, after in pairwise(fired)]


def enqueued(fleet: Fleet) -> int:
    return fleet.stats().counters.get("enqueued", 0)


@pytest.fixture
def killed(own_server: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(own_server, tmp_path)
    yield fleet
    fleet.close()


def test_each_tick_fires_once_while_engines_are_killed(killed: Fleet, own_server: Server) -> None:
    fleet, each = killed, EachSecond(own_server.store("t"))
    fleet.start_engines(3)
    each.put()
    choose, ends = random.Random(5), time.monotonic() + SECONDS
    while time.monotonic() < ends:
        time.sleep(KILL_S)  # of what is tried, not a wait for anything
        fleet.kill(choose.choice([each for each in fleet.engines if each.poll() is None]))
        fleet.start_engines(1)
    wait_until(lambda: fleet.stats().counters.get("done", 0) >= SECONDS)
    assert fleet.stop()
    apart = each.each_once(enqueued(fleet))
    assert len(apart) >= SECONDS - 1
    assert {*apart} == {1000}, "one is missing"
    assert fleet.unexplained() == []


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clocked]:
    server = clocked("set", tmp_path)  # the time is asked for, not told to scripts alone
    server.start()
    yield server
    server.close()


@pytest.mark.needs("cc")
def test_no_clock_that_jumps_has_a_tick_fire_twice(clock: Clocked, tmp_path: Path) -> None:
    """Forward, what lies between was missed at once; back, nothing comes until it is due again."""
    fleet, each = Fleet(clock, tmp_path), EachSecond(clock.store("t"))
    try:
        fleet.start_engines(2)
        each.put()
        wait_until(lambda: len(each.fired) >= 2)
        before = each.fired
        clock.jump(HOUR_MS // 1000)
        wait_until(lambda: each.fired[-1] >= before[-1] + HOUR_MS)
        ahead = each.fired
        assert len(ahead) <= len(before) + GRACE_S + 10, "no flood: those within its grace"
        assert fleet.logged("schedule_ticked") > 0, "what was missed is told"
        clock.jump(-HOUR_MS // 1000)
        back = each.next_ms
        time.sleep(2.5)  # in which two would come, were it due
        assert back - 1000 <= each.next_ms <= back + 1000, "it isn't due for an hour"
        clock.jump(HOUR_MS // 1000)
        wait_until(lambda: len(each.fired) >= len(ahead) + 4)
        assert fleet.stop() == [0, 0]
        each.each_once(enqueued(fleet))
        assert set(ahead) <= set(each.fired)
        assert fleet.logged("boot_lost") == 0
    finally:
        fleet.close()


def test_data_that_goes_back_has_its_ticks_made_again_and_each_once(
    killed: Fleet, own_server: Server
) -> None:
    fleet, each = killed, EachSecond(own_server.store("t"))
    fleet.start_engines(2)
    each.put()
    wait_until(lambda: len(each.fired) >= 3)
    lane = own_server.lane("rollback")
    names = lane.call("KEYS", "{t}:*")
    values = lane.transaction([("DUMP", name) for name in names])
    kept = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    then = each.fired
    wait_until(lambda: len(each.fired) >= len(then) + 4)
    late = each.fired
    restore = [("RESTORE", name, 0, value) for name, value in kept.items()]
    lane.transaction([("FLUSHALL",), *restore])
    wait_until(lambda: len(each.fired) >= len(late) + 2)
    assert fleet.stop() == [0, 0]
    assert {*each.each_once(enqueued(fleet))} == {1000}, "one is missing"
    lane.close()
