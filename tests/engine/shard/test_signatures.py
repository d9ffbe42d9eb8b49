"""Jobs whose payload doesn't fit their handler here, and perhaps another engine's."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import trio

from tests.engine.virtual import Running, World, calm
from trioq.app import App
from trioq.core.calls import Pausing
from trioq.core.events import JobDied, JobParked, JobSnoozed, JobStarted, JobSucceeded
from trioq.core.formats import engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.engine.shard.signatures import ALONE_S, SAYS_NONE_S

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock
#: Longer than anything here takes.
SOON_S = 200.0

TITLED = {"to": "a", "title": "t"}


def old() -> App:
    app = App()

    @app.job
    async def send(to: str) -> None:
        pass

    return app


def new(takes_s: float = 0.0, began: Callable[[], None] = lambda: None) -> App:
    app = App()

    @app.job(timeout=1e6)
    async def send(to: str, title: str = "hi") -> None:
        began()
        await trio.sleep(takes_s)

    return app


async def one_parked(world: World) -> tuple[str, Running, Running]:
    """A job that didn't fit the old engine, while the new one has its hands full; and both."""
    world.config = calm(count=1)
    begun = trio.Event()
    knows = await world.start(new(math.inf, begun.set))
    world.enqueue("send", payload=TITLED)
    await begun.wait()
    old_one = await world.start(old())
    (uid,) = world.enqueue("send", payload=TITLED)
    await world.reported(JobParked, uid=uid, why="unfit payload", within_s=SOON_S)
    await world.until(lambda: bool(_doors_of(world, uid)), SOON_S)
    return uid, old_one, knows


async def test_it_dies_a_minute_after_the_last_has_left_that_it_fits(
    autojump_clock: Clock, world: World
) -> None:
    uid, _, knows = await one_parked(world)
    await trio.sleep(300)
    assert not world.of(JobDied), "as long as one lives it waits"
    left_at = world.now
    knows.engine.hurry()
    await knows.ended.wait()
    await world.reported(JobDied, uid=uid, within_s=SOON_S)
    ((died_at, died),) = world.timed(JobDied, uid=uid)
    assert left_at + ALONE_S <= died_at <= left_at + ALONE_S + 15.0
    assert (died.reason, died.attempt) == ("bad_payload", 1)
    assert died.error.message == "unexpected: title"
    assert len(world.of(JobParked, uid=uid)) == 1, "it is tried no more often"


async def test_it_is_run_by_one_that_comes_back_within_a_minute(
    autojump_clock: Clock, world: World
) -> None:
    uid, _, knows = await one_parked(world)
    knows.kill()
    await trio.sleep(ALONE_S * 0.7)
    await world.start(new())
    came_at = world.now
    await world.reported(JobSucceeded, uid=uid, within_s=SOON_S)
    ((at, done),) = world.timed(JobSucceeded, uid=uid)
    assert at < came_at + 1.0
    assert done.attempt == 1
    assert not world.of(JobDied, uid=uid)


async def test_no_other_job_of_the_name_waits_for_it(autojump_clock: Clock, world: World) -> None:
    uid, _, _ = await one_parked(world)
    fits = world.enqueue("send", 20, payload={"to": "a"})
    began_at = world.now
    await world.until(lambda: len(world.of(JobSucceeded)) == 20, SOON_S)
    assert world.now < began_at + 1.0
    assert {event.uid for event in world.of(JobSucceeded)} == {*fits}
    assert world.dump().parked == {("low", door): (uid,) for door in _doors_of(world, uid)}


def _doors_of(world: World, uid: str) -> list[str]:
    return [name for (_, name), uids in world.dump().parked.items() if uid in uids]


async def test_who_is_cancelled_behind_its_door_is_passed_over(
    autojump_clock: Clock, world: World
) -> None:
    uid, _, knows = await one_parked(world)
    assert world.cancel(uid, name="send") == ["cancelled"]
    knows.kill()
    await world.start(new())
    await world.until(lambda: not world.dump().doors, SOON_S)
    assert not world.dump().strays
    assert not world.of(JobStarted, uid=uid)[1:]


async def test_a_paused_name_keeps_that_door_shut_too(autojump_clock: Clock, world: World) -> None:
    uid, _, knows = await one_parked(world)
    world.store.pause("s", 1, "@send", True, Pausing())
    knows.kill()
    await world.start(new())
    await trio.sleep(300)
    assert not world.of(JobSucceeded, uid=uid)
    assert not world.of(JobDied, uid=uid)
    resumed_at = world.now
    world.store.pause("s", 2, "@send", False, Pausing())
    await world.reported(JobSucceeded, uid=uid, within_s=SOON_S)
    assert world.now < resumed_at + 10.0


async def test_of_three_versions_each_tries_it_once_until_it_fits(
    autojump_clock: Clock, world: World
) -> None:
    app = App()

    @app.job("send")
    async def newest(to: str, title: int = 0) -> None:
        pass

    uid, _, _ = await one_parked(world)
    (number,) = world.enqueue("send", payload={"to": "a", "subject": "x"})
    await world.reported(JobParked, uid=number, within_s=SOON_S)
    await world.start(app)
    await world.until(lambda: len(world.of(JobParked, uid=number)) == 2, SOON_S)
    await trio.sleep(300)
    assert len(world.of(JobParked, uid=uid)) == 2
    assert len(world.of(JobParked)) == 4, "each was tried by two of three"
    third = App()

    @third.job("send")
    async def any_of_them(**fields: str) -> None:
        pass

    await world.start(third)
    await world.until(lambda: len(world.of(JobSucceeded)) == 2, SOON_S)
    assert not world.of(JobDied)


async def test_one_that_says_no_signature_has_time_to_take_it(
    autojump_clock: Clock, world: World
) -> None:
    info = EngineInfo(name="older", queues=("high", "low"), names=("send",), lease_s=1e6)
    world.store.register("older.1", engine_info.encode(info))
    world.config = calm(lease_s=30_000.0, reaper_s=10_000.0)
    await world.start(old())
    (uid,) = world.enqueue("send", payload=TITLED)
    await world.reported(JobSnoozed, 2, uid=uid, within_s=SOON_S)
    first, second = (at for at, _ in world.timed(JobSnoozed, uid=uid))
    assert second - first == pytest.approx(SAYS_NONE_S, abs=1.0)
    world.store.sign_off("older.1")
    await world.reported(JobDied, uid=uid, within_s=SOON_S)
    assert world.of(JobDied)[0].attempt == 1


async def test_without_another_version_it_dies_at_once(autojump_clock: Clock, world: World) -> None:
    for _ in range(2):
        await world.start(old())
    began_at = world.now
    world.enqueue("send", 5, payload=TITLED)
    await world.reported(JobDied, 5, within_s=SOON_S)
    assert world.now < began_at + 1.0
    assert not world.of(JobParked)


async def test_one_that_serves_another_queue_is_not_waited_for(
    autojump_clock: Clock, world: World
) -> None:
    await world.start(old())
    await world.start(new(), calm(queues=("high",)))
    world.enqueue("send", queue="low", payload=TITLED)
    await world.reported(JobDied, within_s=SOON_S)


async def test_what_a_killed_engine_ran_waits_for_its_like(
    autojump_clock: Clock, world: World
) -> None:
    begun = trio.Event()
    knows = await world.start(new(math.inf, begun.set))
    (uid,) = world.enqueue("send", payload=TITLED)
    await begun.wait()
    await world.start(old())
    knows.kill()
    await world.reported(JobParked, uid=uid, why="unfit payload", within_s=SOON_S)
    await world.start(new())
    await world.reported(JobSucceeded, uid=uid, within_s=SOON_S)
    assert not world.of(JobDied)


async def test_what_comes_while_the_only_one_that_fits_is_away_waits_for_it(
    autojump_clock: Clock, world: World
) -> None:
    _, _, knows = await one_parked(world)
    knows.engine.hurry()
    await knows.ended.wait()
    left_at = world.now
    await trio.sleep(20)
    (uid,) = world.enqueue("send", payload=TITLED)
    await world.reported(JobParked, uid=uid, why="unfit payload", within_s=SOON_S)
    await world.reported(JobDied, uid=uid, within_s=SOON_S)
    assert world.now >= left_at + ALONE_S, "as long as those that were parked before"
    assert len(world.of(JobParked, uid=uid)) == 1
    (late,) = world.enqueue("send", payload=TITLED)
    await world.reported(JobDied, uid=late, within_s=SOON_S)
    assert not world.of(JobParked, uid=late), "nobody has lived lately that it fits"


async def test_what_has_run_waits_for_its_like_once(autojump_clock: Clock, world: World) -> None:
    def fails() -> None:
        raise RuntimeError

    knows = await world.start(new(began=fails))
    (uid,) = world.enqueue("send", payload=TITLED)
    await world.until(lambda: uid in world.waiting("low").scheduled, SOON_S)
    knows.kill()
    await world.start(old())
    await world.reported(JobDied, uid=uid, within_s=2 * SOON_S)
    assert len(world.of(JobParked, uid=uid)) == 1
    assert world.of(JobDied)[0].attempt == 2
