"""A whole engine on a real server: how it starts, and how it ends."""

from __future__ import annotations

import attrs
import pytest
import trio

import trioq
from tests.engine.rig import Rig, boot_of, config_of, gated, noop
from tests.support import PATIENCE_S
from trioq.core.events import (
    EngineStarted,
    EngineStopped,
    EngineStopping,
    JobReleased,
    JobStarted,
    JobSucceeded,
    RedisAway,
)
from trioq.engine.shard import shard
from trioq.errors import StoreRefused

pytestmark = pytest.mark.trio


# -- the start ---------------------------------------------------------------------------------


@pytest.mark.direct  # a lost registration is another boot
async def test_who_waits_for_the_start_may_enqueue_at_once(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        assert len(rig.of(EngineStarted)) == 1
        assert [e.info.names for e in rig.stats().engines] == [("noop",)]
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)


@pytest.mark.direct  # a lost registration is another boot
@pytest.mark.parametrize("weight", [None, 1.0])
async def test_an_engine_tells_whether_a_higher_queue_always_goes_first(
    rig: Rig, weight: float | None
) -> None:
    noop(rig)
    high, low = rig.config.queues
    rig.config = attrs.evolve(rig.config, queues=(high, attrs.evolve(low, weight=weight)))
    async with rig.running():
        (engine,) = rig.stats().engines
        assert engine.info.queues == (high.name, low.name)
        assert engine.info.strict == (weight is None)


@pytest.mark.direct
async def test_an_engine_tells_which_breakers_guard_its_handlers(rig: Rig) -> None:
    def handler() -> None: ...

    for name, breaker in (
        ("plain", trioq.Breaker()),
        ("api", trioq.Breaker("api")),
        ("call", trioq.Breaker("api")),
        ("never", None),
    ):
        rig.app.job(name, breaker=breaker)(handler)
    async with rig.running():
        (engine,) = rig.stats().engines
        assert engine.info.behind == {"call": "api", "never": ""}


async def test_an_engine_waits_at_its_start_for_a_server_that_stands_still(own_rig: Rig) -> None:
    rig = own_rig
    noop(rig)
    rig.enqueue("noop")
    rig.server.pause()
    async with trio.open_nursery() as nursery:
        engine = rig.engine()
        nursery.start_soon(engine.run)
        await rig.reported(RedisAway)
        assert rig.of(EngineStarted) == []
        rig.server.resume()
        await rig.reported(JobSucceeded)
        engine.drain()
    assert len(rig.of(RedisAway)) == 1


async def test_draining_ends_the_wait_for_a_server_at_the_start(own_rig: Rig) -> None:
    rig = own_rig
    rig.server.pause()
    engine = rig.engine()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run)
        await rig.reported(RedisAway)
        engine.drain()
        with trio.fail_after(10):
            await rig.until(lambda: not nursery.child_tasks)


async def test_an_engine_that_was_told_to_drain_before_it_began_starts_and_ends(rig: Rig) -> None:
    noop(rig)
    rig.enqueue("noop")
    engine = rig.engine()
    engine.drain()
    async with trio.open_nursery() as nursery:
        assert await nursery.start(engine.run) is engine
    assert rig.stats().queues["low"].ready == 1


async def test_a_registration_that_was_not_answered_is_not_sent_again(rig: Rig) -> None:
    engine = rig.engine()
    caller = engine.access("step")
    rig.wires["step"].lose = ["reply"]
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        assert caller is engine.access("step")
        # Both are known: the one that nobody heard of, and the one that lives.
        boots = set(rig.store.observe())
        assert len(boots) == 2
        assert boot_of(rig) in boots
        # Nobody beats for the first, so the engine itself reaps it.
        await rig.until(lambda: set(rig.store.observe()) == {boot_of(rig)})
        engine.drain()


# -- its errors --------------------------------------------------------------------------------


async def test_when_redis_says_no_the_engine_ends_with_that_error_and_no_group(rig: Rig) -> None:
    cancelled = trio.Event()

    @rig.app.job("endless")
    async def endless() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def run(task_status: trio.TaskStatus[object]) -> None:
        with pytest.raises(StoreRefused, match="WRONGTYPE"):
            await engine.run(task_status=task_status)

    engine = rig.engine()
    rig.enqueue("endless")
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        await rig.reported(JobStarted)
        rig.server.call("SET", "{t}:paused", "not a set")
    assert cancelled.is_set()


# -- the end -----------------------------------------------------------------------------------


@pytest.mark.direct  # a lost registration is another boot
async def test_draining_lets_a_running_job_finish(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard, "SIGN_OFF_S", PATIENCE_S)  # a busy machine may take longer
    gate = gated(rig)
    rig.enqueue("gated", 3)
    async with rig.running() as engine:
        await rig.reported(JobStarted, 3)
        engine.drain()
        await rig.reported(EngineStopping, running=3)
        rig.enqueue("gated")
        gate.set()
    assert len(rig.of(JobSucceeded)) == 3
    assert rig.stats().counters["done"] == 3
    assert rig.stats().queues["low"].ready == 1, "nothing new is claimed"
    assert rig.stats().engines == ()
    assert rig.of(EngineStopped)[0].signed_off


async def test_a_job_that_outlasts_the_grace_is_given_back_with_its_attempts(rig: Rig) -> None:
    gate = gated(rig)
    rig.config = config_of(grace_s=0.05)
    (uid,) = rig.enqueue("gated")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        engine.drain()
    assert [event.uid for event in rig.of(JobReleased)] == [uid]
    assert rig.key("HGET", "attempts", uid) is None
    assert rig.history(uid) == []
    assert rig.stats().queues["low"].ready == 1

    gate.set()
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert [event.attempt for event in rig.of(JobStarted)] == [1, 1]


async def test_jobs_that_go_back_go_back_to_the_head_in_their_order(rig: Rig) -> None:
    gated(rig)
    rig.config = config_of(grace_s=0.0, count=3)
    first = rig.enqueue("gated", 3)
    later = rig.enqueue("gated", 2)
    async with rig.running() as engine:
        await rig.reported(JobStarted, 3)
        engine.drain()
    waiting = [uid.decode() for uid in rig.key("LRANGE", "ready:low", 0, -1)]
    assert waiting[::-1] == [*first, *later]


async def test_a_second_request_cuts_the_grace_short(rig: Rig) -> None:
    gated(rig)
    rig.config = config_of(grace_s=600.0)
    rig.enqueue("gated")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        engine.drain()
        await rig.reported(EngineStopping)
        engine.hurry()
    assert len(rig.of(JobReleased)) == 1
    assert rig.stats().queues["low"].ready == 1


async def test_hurry_alone_needs_no_request_before_it(rig: Rig) -> None:
    gated(rig)
    rig.config = config_of(grace_s=600.0)
    rig.enqueue("gated")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        engine.hurry()
    assert len(rig.of(EngineStopping)) == len(rig.of(JobReleased)) == 1


async def test_cancelling_the_engine_gives_its_jobs_back(rig: Rig) -> None:
    gated(rig)
    uids = rig.enqueue("gated", 6)
    async with trio.open_nursery() as nursery:
        await nursery.start(rig.engine().run)
        await rig.reported(JobStarted, 4)
        nursery.cancel_scope.cancel()
    stats = rig.stats()
    assert (stats.queues["low"].ready, stats.running) == (6, 0)
    assert rig.left_properly()
    assert rig.key("HLEN", "attempts") == 0
    waiting = [uid.decode() for uid in rig.key("LRANGE", "ready:low", 0, -1)]
    assert waiting[::-1] == uids


async def test_the_lease_holds_while_cancelled_handlers_wind_down(rig: Rig) -> None:
    wound_down = trio.Event()

    @rig.app.job("slow to end")
    async def slow_to_end() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=not wound_down.is_set()):
                await trio.sleep(2 * rig.config.worker.lease_s)
                wound_down.set()

    engine, scope = rig.engine(), trio.CancelScope()

    async def run(task_status: trio.TaskStatus[object]) -> None:
        with scope:
            await engine.run(task_status=task_status)

    rig.enqueue("slow to end")
    async with trio.open_nursery() as nursery:
        await nursery.start(run)
        await rig.reported(JobStarted)
        async with rig.running() as other:  # it watches, and would take the job
            scope.cancel()
            await wound_down.wait()
            assert len(rig.of(JobStarted)) == 1
            assert rig.stats().counters.get("reaped", 0) == 0
            await rig.reported(JobStarted, 2)
            other.hurry()


async def test_claims_under_way_when_draining_begins_go_back(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SETTLE_S", "SIGN_OFF_S"):
        monkeypatch.setattr(shard, name, PATIENCE_S)  # a busy machine may take longer
    noop(rig)
    drain_in_step = trio.Event()
    engine = rig.engine()
    engine.access("step")
    rig.enqueue("noop", 3)
    loop = trio.lowlevel.current_trio_token()

    def before(name: str) -> None:
        if name == "step" and not drain_in_step.is_set():
            trio.from_thread.run_sync(engine.drain, trio_token=loop)
            trio.from_thread.run_sync(drain_in_step.set, trio_token=loop)

    rig.wires["step"].before = before
    with trio.fail_after(20):
        await engine.run()
    stats = rig.stats()
    done = stats.counters.get("done", 0)
    assert (stats.queues["low"].ready + done, stats.running) == (3, 0)
    assert rig.left_properly()
    assert rig.key("HLEN", "attempts") == 0
