"""The breakers of a whole engine: who is parked, when a probe runs, and that nothing stalls."""

from __future__ import annotations

import pytest
import trio

import trioq
from tests.engine.virtual import World, calm
from tests.support import cancelled_by
from trioq.core import blame
from trioq.core.breaker import UNLIMITED, Settings
from trioq.core.events import (
    BreakerChanged,
    Event,
    JobDied,
    JobFailed,
    JobParked,
    JobStarted,
    JobSucceeded,
)
from trioq.engine.runs.breaker import Breakers

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

BREAKER = {"failure_threshold": 0.5, "window_s": 60.0, "cooldown_s": 30.0, "min_samples": 4}


class Broken:
    """A handler that fails while it is broken."""

    def __init__(self, world: World, name: str = "shaky", takes_s: float = 0.0) -> None:
        self.is_broken = True
        self.running, self.most = 0, 0

        @world.app.job(name, retry=trioq.Retry(max_attempts=100, base=1.0, cap=1.0, jitter=0.0))
        async def handler() -> None:
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                await trio.sleep(takes_s)
            finally:
                self.running -= 1
            if self.is_broken:
                raise ConnectionError("broken")


def changes(world: World, name: str = "shaky") -> list[tuple[float, str]]:
    """When the breaker of this name changed, and to what."""
    return [(at, event.after) for at, event in world.timed(BreakerChanged, name=name)]


async def test_a_name_that_fails_is_left_alone_and_the_others_run(
    autojump_clock: Clock, world: World
) -> None:
    Broken(world)

    @world.app.job("steady")
    async def steady() -> None:
        pass

    world.config = calm(breaker=BREAKER)
    await world.start()
    world.enqueue("shaky", 20)
    await world.reported(BreakerChanged, after="open")
    world.enqueue("steady", 20)
    await world.reported(JobSucceeded, 20, within_s=1.0)
    assert world.of(JobParked, why="breaker open")
    assert {event.name for event in world.of(JobSucceeded)} == {"steady"}


async def test_it_is_told_which_errors_count_for_each_handler_that_names_some(
    autojump_clock: Clock,
) -> None:
    rules = {
        "charge": blame.Breaker("api", on=[ConnectionError, KeyError]),
        "refund": blame.Breaker("api"),
    }
    breakers = Breakers(SETTINGS, lambda event: None, lambda: None, rules)
    now = trio.current_time()
    permit = breakers.admit("refund", now)
    assert permit is not None
    breakers.record("refund", permit, "failure", now)
    (shut,) = breakers.shut()
    assert shut.on == {"charge": ("ConnectionError", "KeyError")}


async def test_one_probe_runs_after_each_cooldown_and_good_ones_let_all_run(
    autojump_clock: Clock, world: World
) -> None:
    shaky = Broken(world, takes_s=2.0)
    world.config = calm(breaker=BREAKER)
    await world.start()
    uids = world.enqueue("shaky", 20)
    await world.reported(BreakerChanged, after="open")
    opened_at = world.now
    failed_by_then = len(world.of(JobFailed))
    await trio.sleep(100.0)
    probes = [at for at, _ in world.timed(JobStarted) if at > opened_at + 1]
    assert len(probes) == 3, "at 30, 62 and 94 seconds"
    assert len(world.of(JobFailed)) <= failed_by_then + 3 + 3  # some ran when it opened
    shaky.is_broken = False
    await world.reported(JobSucceeded, 20)
    assert changes(world)[-1][1] == "closed"
    assert {event.uid for event in world.of(JobSucceeded)} == set(uids)


async def test_a_breaker_that_finds_no_job_when_it_turns_half_open_admits_the_next_one(
    autojump_clock: Clock, world: World
) -> None:
    """B2 of the system this grew out of: the probe's place was lost, and all stood still."""
    shaky = Broken(world)
    world.config = calm(breaker=BREAKER)
    await world.start()
    uids = world.enqueue("shaky", 4)
    await world.reported(BreakerChanged, after="open")
    await world.until(lambda: len(world.waiting("low").scheduled) == 4)
    for n, uid in enumerate(uids, 1):  # nothing is left that could be a probe
        assert cancelled_by(world.store, "operator", n, uid, "low", "shaky") == "cancelled"
    await trio.sleep(300.0)
    assert changes(world)[-1][1] == "half_open"
    shaky.is_broken = False
    world.enqueue("shaky", 4)
    await world.reported(JobSucceeded, 4, within_s=5.0)
    assert changes(world)[-1][1] == "closed"


async def test_a_good_probe_is_not_undone_by_failures_from_before_the_trip(
    autojump_clock: Clock, world: World
) -> None:
    """B9: the window was kept over the change, and the next result opened it again."""
    shaky = Broken(world)
    world.config = calm(breaker={**BREAKER, "window_s": 3600.0})
    await world.start()
    world.enqueue("shaky", 20)
    await world.reported(BreakerChanged, after="open")
    shaky.is_broken = False
    await world.reported(JobSucceeded, 20)
    assert [after for _, after in changes(world)] == ["open", "half_open", "closed"]


async def test_a_late_result_from_before_the_trip_decides_nothing(
    autojump_clock: Clock, world: World
) -> None:
    """B10: whoever still ran when it opened gave the verdict on the probe."""
    outcome: dict[int, str] = {}

    @world.app.job("shaky", retry=trioq.Retry(max_attempts=1))
    async def shaky(n: int) -> None:
        if n < 4:
            raise ConnectionError
        if n == 4:
            await trio.sleep(60.0)  # ends well while the probe runs
        else:
            await trio.sleep(50.0)
        outcome[n] = "good"

    world.config = calm(breaker={**BREAKER, "min_samples": 4}, count=8)
    await world.start()
    for n in (4, 0, 1, 2, 3):
        world.enqueue("shaky", payload={"n": n})
    await world.reported(BreakerChanged, after="open")
    for n in (5, 6, 7, 8):
        world.enqueue("shaky", payload={"n": n})
    await world.reported(BreakerChanged, after="half_open")
    await world.until(lambda: 4 in outcome)
    assert changes(world)[-1][1] == "half_open", "the straggler's success closes nothing"
    await world.until(lambda: 5 in outcome)
    await trio.sleep(1.0)
    assert changes(world)[-1][1] == "half_open", "nor does it count among those that prove enough"
    await world.until(lambda: {5, 6, 7, 8} < outcome.keys())
    await trio.sleep(1.0)
    assert changes(world)[-1][1] == "closed"


async def test_a_cancelled_probe_gives_its_place_back(autojump_clock: Clock, world: World) -> None:
    shaky = Broken(world)
    world.config = calm(breaker=BREAKER, grace_s=0.0)
    first = await world.start()
    world.enqueue("shaky", 8)
    await world.reported(BreakerChanged, after="open")
    await world.reported(BreakerChanged, after="half_open")
    first.engine.drain()
    await first.ended.wait()
    shaky.is_broken = False
    await world.start()
    await world.reported(JobSucceeded, 8, within_s=60.0)


async def test_what_the_job_or_the_engine_is_to_blame_for_is_not_counted(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("picky", retry=trioq.Retry(max_attempts=1))
    async def picky(n: int) -> None:
        if n % 2:
            raise trioq.GiveUp("no such thing")
        raise trioq.Snooze(1e6)

    world.config = calm(breaker=BREAKER)
    await world.start()
    for n in range(10):
        world.enqueue("picky", payload={"n": n})
    world.enqueue("picky", 10, payload={"n": "not a number"})
    await world.until(lambda: len(world.dead) == 15)
    assert changes(world, "picky") == []


async def test_bad_input_does_not_hold_up_the_good_jobs_of_its_name(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("parse", retry=trioq.Retry(max_attempts=3, base=1.0, cap=1.0, jitter=0.0))
    async def parse(text: str) -> None:
        int(text)

    world.config = calm(breaker=BREAKER)
    await world.start()
    for n in range(100):
        world.enqueue("parse", payload={"text": "7" if n % 5 > 2 else "seven"})
    await world.reported(JobSucceeded, 40, within_s=1.0)
    await world.reported(JobDied, 60, within_s=10.0)
    assert changes(world, "parse") == []


async def test_a_probe_with_bad_input_proves_nothing_and_the_next_one_runs_at_once(
    autojump_clock: Clock, world: World
) -> None:
    is_away = True

    @world.app.job("send", retry=trioq.Retry(max_attempts=1))
    async def send(to: str) -> None:
        if to == "nobody":
            raise ValueError(to)
        if is_away:
            raise ConnectionError("away")

    world.config = calm(breaker=BREAKER)
    await world.start()
    for _ in range(4):
        world.enqueue("send", payload={"to": "you"})
    await world.reported(BreakerChanged, after="open")
    is_away = False
    opened_at = world.now
    for n in range(12):
        world.enqueue("send", payload={"to": "nobody" if n < 8 else "you"})
    await world.reported(JobSucceeded, 4)
    assert world.now < opened_at + BREAKER["cooldown_s"] + 1.0
    assert changes(world, "send")[-1][1] == "closed"


async def test_handlers_that_name_what_they_depend_on_share_its_breaker(
    autojump_clock: Clock, world: World
) -> None:
    stripe = trioq.Breaker("stripe", on=ConnectionError, cooldown="5s", min_samples=2)

    @world.app.job("charge", breaker=stripe, retry=trioq.Retry(max_attempts=1))
    async def charge() -> None:
        raise ConnectionError("away")

    @world.app.job("refund", breaker=stripe)
    async def refund() -> None:
        pass

    @world.app.job("stripe")  # a job may be called as what others depend on
    async def other() -> None:
        pass

    world.config = calm(breaker=BREAKER)
    running = await world.start()
    world.enqueue("charge", 2)
    await world.reported(BreakerChanged, name="stripe", after="open")
    (shut,) = running.engine.status().shut
    assert (shut.name, shut.jobs, shut.shared) == ("stripe", ("charge", "refund"), False)
    opened_at = world.now
    world.enqueue("refund", 3)
    world.enqueue("stripe")
    await world.reported(JobSucceeded, name="stripe", within_s=1.0)
    assert world.of(JobParked, name="refund", why="breaker open")
    await world.reported(JobSucceeded, 3, name="refund")
    assert world.now >= opened_at + 5.0
    assert [after for _, after in changes(world, "stripe")] == ["open", "half_open", "closed"]
    assert changes(world, "charge") == changes(world, "refund") == []


async def test_without_a_breaker_nothing_stops_a_name(autojump_clock: Clock, world: World) -> None:
    @world.app.job("stubborn", breaker=None, retry=trioq.Retry(max_attempts=1), timeout=1.0)
    async def stubborn(n: int) -> None:
        if n % 2:
            await trio.sleep(2.0)
        raise ConnectionError("away")

    world.config = calm(breaker=BREAKER)
    await world.start()
    for n in range(20):
        world.enqueue("stubborn", payload={"n": n})
    await world.reported(JobDied, 20, within_s=60.0)
    assert changes(world, "stubborn") == []


async def test_a_handler_that_is_none_is_to_blame_itself(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("lazy")
    async def lazy() -> object:
        return (n for n in ())

    world.config = calm(breaker=BREAKER)
    await world.start()
    world.enqueue("lazy", 8)
    await world.reported(BreakerChanged, after="open", within_s=60.0)
    assert {event.reason for event in world.of(JobDied)} == {"bad_handler"}


# --- by itself --------------------------------------------------------------------------------

SETTINGS = Settings(0.5, window_s=60.0, cooldown_s=30.0, min_samples=1)


async def test_who_waits_for_the_door_is_told_when_it_opens(autojump_clock: Clock) -> None:
    told: list[Event] = []
    opened: list[float] = []
    breakers = Breakers(SETTINGS, told.append, lambda: opened.append(trio.current_time()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(breakers.run)
        await trio.sleep(5.0)
        assert breakers.admits("x") == UNLIMITED
        permit = breakers.admit("x", trio.current_time())
        assert permit is not None
        breakers.record("x", permit, "failure", trio.current_time())
        assert breakers.admits("x") == 0
        assert breakers.admit("x", trio.current_time()) is None
        await trio.sleep(100.0)
        assert opened == [35.0], "by itself, and once"
        assert breakers.admits("x") == 1
        probe = breakers.admit("x", trio.current_time())
        assert probe is not None
        assert breakers.admits("x") == 0
        breakers.record(
            "x", probe, "ignored", trio.current_time()
        )  # it proved nothing: there is room again
        assert opened == [35.0, 105.0]
        assert breakers.admits("x") == 1
        nursery.cancel_scope.cancel()
    assert [(e.before, e.after) for e in told if isinstance(e, BreakerChanged)] == [
        ("closed", "open"), ("open", "half_open"),
    ]  # fmt: skip


async def test_many_breakers_turn_half_open_each_at_its_own_time(autojump_clock: Clock) -> None:
    told: list[tuple[float, str]] = []

    def report(event: Event) -> None:
        if isinstance(event, BreakerChanged) and event.after == "half_open":
            told.append((trio.current_time(), event.name))

    breakers = Breakers(SETTINGS, report, lambda: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(breakers.run)
        for n in range(20):
            await trio.sleep(1.5)
            permit = breakers.admit(f"name {n}", trio.current_time())
            assert permit is not None
            breakers.record(f"name {n}", permit, "failure", trio.current_time())
        await trio.sleep(31.0)
        nursery.cancel_scope.cancel()
    assert told == [(1.5 * (n + 1) + 30.0, f"name {n}") for n in range(20)]
