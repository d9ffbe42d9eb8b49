"""What counts only in a row, interrupted: it begins anew."""

from __future__ import annotations

import pytest
import trio

from tests.engine.virtual import World, calm
from trioq.app import App
from trioq.core.breaker import Breaker, Settings
from trioq.core.events import (
    BootLost,
    EngineStarted,
    Event,
    JobParked,
    ParkedExpired,
    RedisAway,
)
from trioq.core.standstill import Standstill
from trioq.core.watch import Watch
from trioq.engine.outage import Outage

Clock = trio.testing.MockClock

AFTER_S = 600.0


def knowing(*names: str) -> App:
    app = App()
    for name in names:

        @app.job(name)
        async def handler() -> None:
            pass

    return app


# -- an unknown name ---------------------------------------------------------------------------


@pytest.mark.trio
async def test_only_an_unbroken_time_without_an_engine_for_a_name_counts(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(unknown_name_after_s=AFTER_S)
    await world.start(knowing("other"))
    world.enqueue("stranger", 3)
    await world.reported(JobParked, 3)
    world.store.pause("operator", 1, "low", True)
    for _ in range(4):  # deployments, days apart: somebody who knows it is there for a moment
        await trio.sleep(AFTER_S * 0.8)
        knows = await world.start(knowing("stranger"))
        await trio.sleep(AFTER_S * 0.3)
        knows.engine.drain()
        await knows.ended.wait()
    assert world.of(ParkedExpired) == []
    assert len(world.dead) == 0
    await trio.sleep(AFTER_S * 2.5)
    assert len(world.dead) == 3


@pytest.mark.trio
async def test_who_could_not_look_for_a_while_knows_nothing_of_that_time(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(unknown_name_after_s=AFTER_S)
    engine = await world.start(knowing("other"))
    world.enqueue("stranger")
    await world.reported(JobParked)
    await trio.sleep(AFTER_S * 0.8)
    engine.link.cut()
    await trio.sleep(AFTER_S * 0.5)
    engine.link.mend()
    back = trio.current_time()
    await world.until(lambda: len(world.dead) == 1)
    assert trio.current_time() - back >= AFTER_S


# -- a server that is away ---------------------------------------------------------------------


@pytest.mark.trio
async def test_calls_that_fail_now_and_then_are_no_outage(autojump_clock: Clock) -> None:
    told: list[Event] = []
    outage = Outage(told.append, lambda: 1.0)
    for _ in range(20):
        await outage.failed("step", OSError("no"))
        outage.answered("step")
    assert told == []
    for _ in range(2):
        await outage.failed("step", OSError("no"))
    assert [type(event) for event in told] == [RedisAway]
    assert told[0].tries == 2  # type: ignore[attr-defined]


@pytest.mark.trio
async def test_after_an_answer_the_pauses_begin_anew(autojump_clock: Clock) -> None:
    outage = Outage(lambda event: None, lambda: 1.0)
    for _ in range(8):
        await outage.failed("step", OSError("no"))
    outage.answered("step")
    began = trio.current_time()
    await outage.failed("step", OSError("no"))
    assert trio.current_time() == began, "the first try follows at once"
    await outage.failed("step", OSError("no"))
    assert trio.current_time() - began < 0.1


# -- boots that are lost -----------------------------------------------------------------------


@pytest.mark.trio
async def test_after_a_boot_that_lived_the_next_one_follows_at_once(
    autojump_clock: Clock, world: World
) -> None:
    world.app = knowing("noop")
    await world.start()
    for _ in range(3):
        await trio.sleep(60)
        lost = len(world.of(BootLost))
        world.forget_engines()  # the server has forgotten it
        await world.reported(BootLost, lost + 1)
        at = world.timed(BootLost)[-1][0]
        await world.reported(EngineStarted, lost + 2)
        assert world.timed(EngineStarted)[-1][0] - at < 0.01


@pytest.mark.trio
async def test_boots_that_are_lost_one_after_another_come_no_faster_than_they_may(
    autojump_clock: Clock, world: World
) -> None:
    world.app = knowing("noop")
    await world.start()
    began = trio.current_time()
    for n in range(2, 22):
        world.forget_engines()
        world.enqueue("noop")
        await world.reported(EngineStarted, n)
    # Half a second each on average; with no pause between them it would be none at all.
    assert trio.current_time() - began > 3


# -- values ------------------------------------------------------------------------------------


def test_looks_at_an_engine_that_moves_now_and_then_never_add_up() -> None:
    watch = Watch(lease_s=5.0, interval_s=1.0)
    for now in range(100):
        assert watch.saw(float(now), {"e": now // 5}, 1) == []  # still for 4 s, again and again


def test_failures_of_different_times_never_add_up() -> None:
    breaker = Breaker(Settings(0.5, window_s=60, cooldown_s=30, min_samples=4))
    now = 0.0
    for _ in range(20):
        for _ in range(3):
            permit = breaker.admit(now)
            assert permit is not None
            assert breaker.record(permit, "failure", now) is None
        now += 62.0


def test_few_failures_among_many_never_add_up_to_half() -> None:
    breaker = Breaker(Settings(0.5, window_s=60, cooldown_s=30, min_samples=4))
    for n in range(40):
        for k in range(4):
            permit = breaker.admit(n * 62.0)
            assert permit is not None
            assert breaker.record(permit, "success" if k else "failure", n * 62.0) is None


def test_good_probes_between_bad_ones_make_the_failures_begin_anew() -> None:
    breaker = Breaker(Settings(0.5, window_s=60, cooldown_s=30, min_samples=2))

    def run(now: float, verdict: str) -> None:
        permit = breaker.admit(now)
        assert permit is not None
        breaker.record(permit, verdict, now)  # type: ignore[arg-type]

    run(0, "failure")
    run(1, "failure")
    assert breaker.state(1) == "open"
    run(31, "success")
    run(31, "success")
    run(32, "failure")
    assert breaker.state(32) == "closed", "one failure of one run proves nothing"
    run(33, "failure")
    assert breaker.state(33) == "open"


def test_a_claim_between_two_looks_ends_a_standstill() -> None:
    standstill = Standstill()
    assert standstill.saw(0, ready=1, idle=1, claimed=5) == 0
    for now in range(1, 4):
        assert standstill.saw(now, ready=1, idle=1, claimed=5) == now - 1
    for what in ({"ready": 0}, {"idle": 0}, {"claimed": 6}):
        assert standstill.saw(10, **{"ready": 1, "idle": 1, "claimed": 5, **what}) == 0
        standstill.saw(11, ready=1, idle=1, claimed=5)
        standstill.saw(12, ready=1, idle=1, claimed=5)
        assert standstill.saw(13, ready=1, idle=1, claimed=5) <= 2, what
