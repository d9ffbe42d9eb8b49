"""Jobs that are parked under a name that nobody knows."""

from __future__ import annotations

import pytest
import trio

from tests.engine.virtual import World, calm
from trioq.app import App
from trioq.core.events import JobParked, JobStarted, JobSucceeded, ParkedExpired
from trioq.engine.shard.expiry import LOOKS

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


def with_noop(*names: str) -> App:
    app = App()
    for name in names or ("noop",):

        @app.job(name)
        async def handler() -> None:
            pass

    return app


async def test_a_name_that_nobody_knows_is_dead_after_its_time_and_says_why(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=600.0)
    await world.start()
    uids = world.enqueue("stranger", 5)
    await world.reported(JobParked, 5)
    await world.until(lambda: len(world.dead) == 5)
    # Looks are a quarter of the time apart.
    assert all(600.0 <= at <= 2 * 600.0 + 150.0 for at, _ in world.timed(ParkedExpired))
    assert {world.dump().reasons[uid] for uid in uids} == {"unknown_name"}
    (line,) = world.history(uids[0])
    assert "stranger" in line["message"]


async def test_all_who_wait_for_a_name_die_at_one_look_however_many(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=600.0, count=700)
    await world.start()
    world.enqueue("stranger", 700)
    await world.until(lambda: len(world.dead) == 700)
    expired = world.timed(ParkedExpired)
    assert sum(event.jobs for _, event in expired) == 700
    assert len({at for at, _ in expired}) == 1


async def test_no_job_dies_of_a_look_or_two_however_short_its_time_is(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=0.04)
    world.enqueue("stranger")
    await world.start()
    await world.reported(ParkedExpired)
    ((expired_at, _),) = world.timed(ParkedExpired)
    assert expired_at == pytest.approx(0.05 * LOOKS), "the looks are 50 ms apart"


async def test_who_could_not_look_begins_to_count_anew(autojump_clock: Clock, world: World) -> None:
    """Somebody may have known the name meanwhile."""
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=600.0)
    running = await world.start()
    world.enqueue("stranger")
    await world.reported(JobParked)
    await trio.sleep(200.0)
    running.link.cut()
    await trio.sleep(390.0)
    running.link.mend()
    mended_at = world.now
    await world.reported(ParkedExpired)
    ((expired_at, _),) = world.timed(ParkedExpired)
    assert expired_at >= mended_at + 600.0


async def test_what_an_engine_of_another_version_says_of_itself_is_no_trouble(
    autojump_clock: Clock, world: World
) -> None:
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=20.0)
    world.store.register("other.1", b"not json")
    world.store.register("other.2", b"[1]")
    await world.start()
    world.enqueue("stranger")
    await world.reported(ParkedExpired)


async def test_a_name_that_some_engine_knows_waits_for_ever(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(unknown_name_after_s=600.0)
    await world.start(with_noop())
    world.enqueue("stranger", 3)
    await world.reported(JobParked, 3)
    # Its engine has all its workers busy, so it can't take them.
    busy = with_noop()

    @busy.job("stranger", timeout=1e6)
    async def stranger() -> None:
        await trio.sleep(7200.0)

    await world.start(busy, calm(count=1, unknown_name_after_s=600.0))
    await trio.sleep(2000.0)
    assert world.of(ParkedExpired) == []
    assert len(world.of(JobStarted)) == 1


async def test_jobs_that_have_waited_long_outlive_a_restart_of_all_who_know_them(
    autojump_clock: Clock, world: World
) -> None:
    world.config = calm(unknown_name_after_s=600.0)
    await world.start(with_noop())
    world.enqueue("stranger", 3)
    await world.reported(JobParked, 3)
    # An engine knows them and can't run them: its queue is paused, for a long time.
    world.store.pause("operator", 1, "low", True)
    knowing = with_noop("stranger")
    first = await world.start(knowing)
    await trio.sleep(1500.0)
    assert world.of(ParkedExpired) == []

    first.engine.drain()
    await first.ended.wait()
    await trio.sleep(90.0)  # a deployment
    await world.start(knowing)
    world.store.pause("operator", 2, "low", False)
    await world.reported(JobSucceeded, 3)
    assert world.of(ParkedExpired) == []


async def test_deployments_that_lie_apart_are_no_long_time_without_an_engine(
    autojump_clock: Clock, world: World
) -> None:
    """At each, an engine lives that doesn't know the name, and for a moment no other."""
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=60.0)
    await world.start()
    world.enqueue("stranger", 3)
    await world.reported(JobParked, 3)
    world.store.pause("operator", 1, "low", True)
    knowing = with_noop("stranger")
    for _ in range(LOOKS):
        running = await world.start(knowing)
        await trio.sleep(120.0)
        running.engine.drain()
        await running.ended.wait()
        await trio.sleep(40.0)  # two or three looks find nobody
    assert world.of(ParkedExpired) == []
    # An unbroken one is another matter.
    await world.reported(ParkedExpired)


async def test_who_was_stopped_begins_to_count_anew(autojump_clock: Clock, world: World) -> None:
    """Somebody may have known the name meanwhile."""
    world.app = with_noop()
    world.config = calm(unknown_name_after_s=600.0)
    await world.start()
    world.enqueue("stranger")
    await world.reported(JobParked)
    await trio.sleep(400.0)
    autojump_clock.jump(3600.0)
    stopped_until = world.now
    await world.reported(ParkedExpired)
    ((expired_at, _),) = world.timed(ParkedExpired)
    assert expired_at >= stopped_until + 600.0
