"""What somebody wants to end: the engine hears of it at once, and it never runs again."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from tests.engine.shard.test_dispatcher import Steps, looks_ahead
from tests.engine.shard.test_payloads import KB, Asked, notes, put, sized
from tests.engine.virtual import EPOCH_S, Running, World, calm
from trioq.core.calls import Ask, Beat
from trioq.core.events import (
    BootLost,
    Claimed,
    EngineReaped,
    EngineStopped,
    JobCancelled,
    JobReleased,
    JobStarted,
    JobSucceeded,
    SettlementRefused,
)
from trioq.core.job import Options
from trioq.core.pace import POLL_S, QUIET_S
from trioq.engine.shard.dispatcher import Dispatcher

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


def sleeper(world: World) -> list[tuple[float, str | None]]:
    """A handler that sleeps until it is cancelled: when that was, and why."""
    stopped = list[tuple[float, str | None]]()

    @world.app.job("sleep", timeout=1e6)
    async def sleep() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            stopped.append((world.now, cancelled.reason))
            raise

    return stopped


async def asleep(world: World, count: int = 1, *, workers: int = 4) -> tuple[Running, list[str]]:
    """An engine that runs so many sleepers, for some time."""
    world.config = calm(count=workers, grace_s=1000.0)
    running = await world.start()
    uids = world.enqueue("sleep", count)
    await world.reported(JobStarted, count)
    await trio.sleep(QUIET_S)
    return running, uids


def dispatcher_of(running: Running) -> Dispatcher:
    dispatcher = running.engine.shards[0].living
    assert dispatcher is not None
    return dispatcher


def nothing_refused(world: World) -> bool:
    return world.of(SettlementRefused) == world.of(BootLost) == []


def cancelled(world: World) -> int:
    """How many jobs ended so, as the server counts."""
    return world.count("cancelled")


@pytest.mark.parametrize("workers", [4, 1], ids=["with room", "without"])
async def test_what_runs_is_told_at_once_that_somebody_wants_it_to_end(
    autojump_clock: Clock, world: World, workers: int
) -> None:
    stopped = sleeper(world)
    _, (uid,) = await asleep(world, workers=workers)
    asked_at = world.now
    assert world.cancel(uid, name="sleep") == ["asked"]
    await world.reported(JobCancelled, uid=uid, reason="no")
    assert stopped == [(asked_at, "no")]
    await trio.sleep(QUIET_S)
    assert uid not in world.jobs
    assert (cancelled(world), world.of(JobReleased)) == (1, [])
    assert nothing_refused(world)


async def test_whoever_is_asked_to_end_while_jobs_begin_and_end_hears_of_it_with_their_steps(
    autojump_clock: Clock, world: World
) -> None:
    stopped = sleeper(world)

    @world.app.job("short", timeout=1e6)
    async def short() -> None:
        await trio.sleep(QUIET_S / 4)

    _, (uid,) = await asleep(world, workers=2)
    world.enqueue("short", 100)
    await world.reported(JobSucceeded, 10)
    asked_at = world.now
    world.cancel(uid, name="sleep")
    await world.until(lambda: bool(stopped))
    assert stopped[0][0] - asked_at <= QUIET_S
    await world.reported(JobSucceeded, 100)
    assert nothing_refused(world)


async def test_jobs_that_begin_and_end_all_the_time_end_no_wait_for_a_bell(
    autojump_clock: Clock, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who doesn't cancel pays nothing for it."""

    @world.app.job("short", timeout=1e6)
    async def short() -> None:
        await trio.sleep(QUIET_S * 0.9)

    world.config = calm(count=1)
    running = await world.start()
    ends = list[float]()
    caller: Any = dispatcher_of(running)._exchange._caller
    end_wait = caller.end_wait

    async def counted(*args: Any) -> None:
        ends.append(world.now)
        await end_wait(*args)

    monkeypatch.setattr(caller, "end_wait", counted)
    world.enqueue("short", 50)
    await world.reported(JobSucceeded, 45)
    assert ends == []


async def test_an_end_makes_room_as_soon_as_if_nobody_listened(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("work", timeout=1e6)
    async def work() -> None:
        await trio.sleep(5.0)

    world.config = calm(count=2)
    await world.start()
    world.enqueue("work")
    await world.reported(JobStarted)
    await trio.sleep(1.3)
    world.enqueue("work", 2)
    await world.reported(JobStarted, 3)
    ((ended_at, _),) = world.timed(JobSucceeded)
    assert world.timed(JobStarted)[2][0] == ended_at


async def test_what_waits_in_the_backlog_never_begins(autojump_clock: Clock, world: World) -> None:
    await looks_ahead(world)
    uids = world.enqueue("long", 4) + world.enqueue("noop", 100)
    await world.reported(JobStarted, 4, name="long")
    (held,) = world.held().values()
    waits = next(uid for uid in uids[4:] if uid in held)
    asked_at = world.now
    assert world.cancel(waits, name="noop") == ["asked"]
    await world.reported(JobCancelled, uid=waits, name="noop", queue="low", reason="no")
    assert world.now == asked_at, "not when it would go back, since nobody has had time for it"
    await world.until(lambda: world.count("done") == 2103)
    assert cancelled(world) == 1
    assert world.of(JobReleased) == []
    assert nothing_refused(world)


@pytest.mark.parametrize("by", ["its call", "its handler"])
async def test_that_it_was_cancelled_there_is_kept_as_long_as_its_result_was_to_be(
    autojump_clock: Clock, world: World, by: str
) -> None:
    @world.app.job("counts", result=3600 if by == "its handler" else None)
    async def counts() -> int:
        return 1

    await looks_ahead(world)
    options = Options(result_s=3600.0) if by == "its call" else None
    world.enqueue("long", 4)
    uids = world.enqueue("counts", 100, options=options)
    await world.reported(JobStarted, 4, name="long")
    (held,) = world.held().values()
    waits = next(uid for uid in uids if uid in held)
    asked_s = EPOCH_S + world.now
    world.cancel(waits, name="counts")
    await world.until(lambda: cancelled(world) == 1)
    assert world.dump().results[waits].startswith(b"cancelled ")
    assert world.dump().results_due[waits] == pytest.approx((asked_s + 3600) * 1000, abs=100)


async def test_what_waits_for_its_payload_never_begins(autojump_clock: Clock, world: World) -> None:
    ran, asked = notes(world), Asked(world.store)
    await world.start()
    asked.is_cut = True
    uids = [*put(world.store, [sized(n, 9 * KB) for n in range(3)])]
    await world.until(lambda: sum(event.count for event in world.of(Claimed)) == 3)
    world.cancel(uids[1], name="noop")
    await world.reported(JobCancelled, uid=uids[1])
    asked.is_cut = False
    await world.reported(JobSucceeded, 2)
    await trio.sleep(1.0)
    assert ran == [0, 2]
    assert not world.jobs
    assert nothing_refused(world)


async def test_while_an_engine_drains_asks_still_reach_what_runs(
    autojump_clock: Clock, world: World
) -> None:
    stopped = sleeper(world)
    running, uids = await asleep(world, 2)
    running.engine.drain()
    for n, uid in enumerate(uids, 1):
        await trio.sleep(3.3)
        asked_at = world.now
        assert world.cancel(uid, name="sleep") == ["asked"]
        await world.reported(JobCancelled, n)
        assert stopped[-1] == (asked_at, "no")
    await running.ended.wait()
    ((ended_at, end),) = world.timed(EngineStopped)
    assert end.signed_off
    assert ended_at - asked_at < 1.0, "there was nothing more to wait for"
    assert (cancelled(world), len(world.of(JobStarted))) == (2, 2)
    assert not world.jobs
    assert nothing_refused(world)


async def test_an_ask_whose_ring_got_lost_is_heard_with_the_next_poll(
    autojump_clock: Clock, world: World
) -> None:
    stopped = sleeper(world)
    _, (uid,) = await asleep(world, workers=1)
    world.cancel(uid, name="sleep")
    world.take_bells()
    asked_at = world.now
    await world.reported(JobCancelled)
    assert asked_at < stopped[0][0] <= asked_at + POLL_S


async def test_a_beat_that_counts_other_asks_than_were_heard_makes_a_step_without_room(
    autojump_clock: Clock, world: World
) -> None:
    stopped = sleeper(world)
    running, (uid,) = await asleep(world, workers=1)
    dispatcher = dispatcher_of(running)
    world.cancel(uid, name="sleep")
    world.take_bells()
    asked_at = world.now
    beat = world.store.beat(dispatcher.boot)
    assert isinstance(beat, Beat)
    dispatcher.beat_answered(beat)
    await world.until(lambda: bool(stopped))
    assert stopped == [(asked_at, "no")]


async def test_a_beat_that_counts_the_asks_that_were_heard_makes_no_step(
    autojump_clock: Clock, world: World
) -> None:
    sleeper(world)
    running, uids = await asleep(world, 2, workers=2)
    world.cancel(uids[0], name="sleep")
    await world.reported(JobCancelled)
    await trio.sleep(QUIET_S)
    steps, dispatcher = Steps(world.store), dispatcher_of(running)
    beat = world.store.beat(dispatcher.boot)
    assert isinstance(beat, Beat)
    dispatcher.beat_answered(beat)
    await trio.testing.wait_all_tasks_blocked()
    assert steps.all == []


async def test_a_beat_that_counts_fewer_asks_than_were_heard_makes_a_step(
    autojump_clock: Clock, world: World
) -> None:
    """The server went back in time."""
    sleeper(world)
    running, uids = await asleep(world, 2, workers=2)
    world.cancel(uids[0], name="sleep")
    await world.reported(JobCancelled)
    await trio.sleep(QUIET_S)
    steps, dispatcher = Steps(world.store), dispatcher_of(running)
    beat = world.store.beat(dispatcher.boot)
    assert isinstance(beat, Beat)
    dispatcher.beat_answered(attrs.evolve(beat, asked=beat.asked - 1))
    await trio.testing.wait_all_tasks_blocked()
    assert steps.all


@pytest.mark.parametrize("fates", [["reply"], ["request", "reply", "reply"]])
async def test_who_is_told_twice_ends_once(
    autojump_clock: Clock, world: World, fates: list[str]
) -> None:
    stopped = sleeper(world)
    _, (uid, other) = await asleep(world, 2)
    steps = Steps(world.store)
    steps.fates = list(fates)
    world.cancel(uid, name="sleep")
    await world.reported(JobCancelled)
    world.cancel(other, name="sleep")
    await world.reported(JobCancelled, 2)
    await trio.sleep(10.0)
    assert [why for _, why in stopped] == ["no", "no"]
    assert (cancelled(world), len(world.of(JobCancelled))) == (2, 2)
    assert nothing_refused(world)


async def test_what_would_go_back_when_its_engine_hears_of_the_ask_is_told_as_cancelled(
    autojump_clock: Clock, world: World
) -> None:
    sleeper(world)
    running, (uid,) = await asleep(world)
    running.link.cut()
    assert world.cancel(uid, name="sleep") == ["asked"]
    running.engine.drain()
    running.engine.drain()
    await world.reported(JobReleased)
    running.link.mend()
    await running.ended.wait()
    assert [told.how for told in world.of(JobCancelled, uid=uid)] == ["stopped"]
    assert not world.jobs
    assert cancelled(world) == 1
    await world.start()
    await trio.sleep(60.0)
    assert len(world.of(JobStarted)) == 1


async def test_what_was_asked_of_a_dead_engine_ends_with_it_and_runs_nowhere_else(
    autojump_clock: Clock, world: World
) -> None:
    sleeper(world)
    running, uids = await asleep(world, 3)
    await world.start()
    running.link.cut()
    assert world.cancel(*uids[:2], name="sleep") == ["asked", "asked"]
    running.kill()
    (reaped,) = await world.reported(EngineReaped)
    assert set(reaped.cancelled) == set(uids[:2])
    await world.reported(JobStarted, 4)
    assert world.of(JobStarted)[3].uid == uids[2]
    assert cancelled(world) == 2


async def test_what_was_asked_of_a_claim_that_has_ended_is_not_asked_of_the_next_one(
    autojump_clock: Clock, world: World
) -> None:
    """A server that was put back to a minute ago tells what it told, of claims that are over."""
    sleeper(world)
    running, (uid,) = await asleep(world)
    dispatcher = dispatcher_of(running)
    (run,) = running.engine._parts.runs
    dispatcher._intake.hear([Ask(uid, run.claim.step + 1, b"{}")])
    await trio.sleep(10.0)
    assert not run.is_to_end
