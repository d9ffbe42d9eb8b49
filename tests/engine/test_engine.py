"""A whole engine on a real server: how it starts, how it ends, and what it makes of jobs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
import trio

import trioq
from tests.engine.rig import Rig, config_of
from tests.store.drive import Driver
from trioq.core.codec import encode
from trioq.core.events import (
    BootLost,
    EngineStarted,
    EngineStopped,
    EngineStopping,
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobStarted,
    JobSucceeded,
    RedisAway,
    RedisBack,
    SettlementRefused,
)
from trioq.core.job import Options, Record, new_uid
from trioq.engine.dispatcher import POLL_S
from trioq.errors import StoreRefused
from trioq.store.protocol import NewJob

pytestmark = pytest.mark.trio


def gated(rig: Rig, name: str = "gated", **options: object) -> trio.Event:
    """Register a handler that runs until this event is set."""
    gate = trio.Event()

    @rig.app.job(name, **options)  # type: ignore[call-overload, untyped-decorator]
    async def handler() -> None:
        await gate.wait()

    return gate


def noop(rig: Rig, name: str = "noop") -> None:
    @rig.app.job(name)
    async def handler() -> None:
        pass


def boot_of(rig: Rig) -> str:
    """The engine that started last."""
    return rig.of(EngineStarted)[-1].engine


# --- the start ------------------------------------------------------------------------------


async def test_who_waits_for_the_start_may_enqueue_at_once(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        assert len(rig.of(EngineStarted)) == 1
        assert [e["names"] for e in rig.stats().engines] == [["noop"]]
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)


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


# --- its errors -----------------------------------------------------------------------------


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


# --- the end --------------------------------------------------------------------------------


@pytest.mark.direct  # who signs off has 50 ms, and a bad network may take longer
async def test_draining_lets_a_running_job_finish(rig: Rig) -> None:
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


async def test_claims_under_way_when_draining_begins_go_back(rig: Rig) -> None:
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


# --- steps and outages ----------------------------------------------------------------------


@pytest.mark.direct  # it brings a network of its own, and counts
@pytest.mark.parametrize("fate", ["request", "reply"])
async def test_a_step_that_was_not_answered_is_sent_again_byte_for_byte(
    rig: Rig, fate: str
) -> None:
    gate = gated(rig)
    async with rig.running():
        rig.enqueue("gated", 2)
        await rig.reported(JobStarted, 2)
        wire = rig.wires["step"]
        wire.only_settling, wire.lose = True, [fate, fate, fate]
        gate.set()
        await rig.until(lambda: not wire.lose)
        await rig.until(lambda: rig.stats().counters.get("done") == 2)
    assert max(Counter(wire.sent).values()) == 4, "three were lost"
    assert len(rig.of(JobStarted)) == 2, "nothing ran twice"
    assert rig.of(SettlementRefused) == rig.of(BootLost) == []


async def test_a_claim_whose_reply_got_lost_is_run_once(rig: Rig) -> None:
    noop(rig)
    engine = rig.engine()
    engine.access("step")
    rig.wires["step"].lose = ["", "reply", "reply"]  # registered; then the first claims
    rig.enqueue("noop", 4)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        await rig.reported(JobSucceeded, 4)
        engine.drain()
    assert len(rig.of(JobStarted)) == 4
    assert rig.stats().counters["done"] == 4


async def test_outcomes_wait_while_redis_is_away_and_the_log_says_so_once(own_rig: Rig) -> None:
    rig = own_rig
    gate = gated(rig)
    uids = rig.enqueue("gated", 4)
    async with rig.running():
        await rig.reported(JobStarted, 4)
        rig.server.pause()
        gate.set()
        await rig.reported(JobSucceeded, 4)
        await rig.reported(RedisAway)
        # Longer than the lease: nobody else is there to take the jobs.
        await trio.sleep(2 * rig.config.worker.lease_s)
        rig.server.resume()
        await rig.until(lambda: rig.stats().counters.get("done") == 4)
        await rig.reported(RedisBack)
    assert {event.uid for event in rig.of(JobStarted)} == set(uids)
    assert len(rig.of(JobStarted)) == 4
    assert len(rig.of(RedisAway)) == 1
    assert rig.of(BootLost) == rig.of(SettlementRefused) == []


async def test_nothing_is_claimed_on_less_than_half_a_lease(own_rig: Rig) -> None:
    rig = own_rig
    noop(rig)
    async with rig.running():
        await rig.until(lambda: rig.stats().engines)
        rig.server.pause()
        await rig.reported(RedisAway)
        sent = rig.wires["step"].sent
        in_flight = sent[-1]
        await trio.sleep(rig.config.worker.lease_s)
        assert sent[-1] == in_flight, "no new step was made meanwhile"
        rig.server.resume()
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)


# --- a boot that is lost --------------------------------------------------------------------


async def reap(rig: Rig, engine: str) -> None:
    """Take the engine's jobs away, as if it had stopped beating."""

    def reaped() -> bool:
        counter = rig.store.observe().get(engine)
        return counter is not None and rig.store.reap(engine, counter, 3).word == "reaped"

    await rig.until(reaped)


async def test_handlers_of_a_lost_boot_are_cancelled_before_a_new_one_claims(rig: Rig) -> None:
    running, most = 0, 0

    @rig.app.job("watched")
    async def watched() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.1)
            running -= 1

    rig.enqueue("watched")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        first = boot_of(rig)
        await reap(rig, first)
        await rig.reported(JobStarted, 2)
        engine.hurry()
    assert [event.why for event in rig.of(BootLost)] == ["gone"]
    assert first != rig.of(EngineStarted)[1].engine
    assert most == 1
    assert {event.attempt for event in rig.of(JobStarted)} == {1}


async def test_a_lost_boot_is_noticed_though_all_workers_are_busy(rig: Rig) -> None:
    gated(rig)
    rig.enqueue("gated", 4)
    async with rig.running() as engine:
        await rig.reported(JobStarted, 4)
        await reap(rig, boot_of(rig))
        await rig.reported(BootLost)
        engine.hurry()


async def test_a_boot_lost_during_the_grace_ends_the_handlers_at_once(rig: Rig) -> None:
    gated(rig)
    rig.config = config_of(grace_s=600.0)
    rig.enqueue("gated")
    with trio.fail_after(30):
        async with rig.running() as engine:
            await rig.reported(JobStarted)
            engine.drain()
            await rig.reported(EngineStopping)
            await reap(rig, boot_of(rig))
    assert len(rig.of(BootLost)) == 1
    stats = rig.stats()
    assert (stats.queues["low"].ready, stats.running) == (1, 0)
    assert rig.left_properly()


@pytest.mark.direct  # it brings a network of its own, and counts
@pytest.mark.parametrize("was_executed", [False, True])
async def test_an_outcome_that_comes_after_the_reap_changes_nothing(
    rig: Rig, was_executed: bool
) -> None:
    """Sent once it is surely lost; sent twice, nobody can tell, and the engine says so."""
    gate = gated(rig)
    (uid,) = rig.enqueue("gated")
    async with rig.running():
        await rig.reported(JobStarted)
        first, wire, let_go = boot_of(rig), rig.wires["step"], threading.Event()
        held_back, loop = trio.Event(), trio.lowlevel.current_trio_token()

        def before(name: str) -> None:
            if name == "step" and wire.settles and not wire.lose:
                trio.from_thread.run_sync(held_back.set, trio_token=loop)
                let_go.wait()

        wire.only_settling, wire.lose = True, ["reply"] if was_executed else []
        wire.before = before
        gate.set()
        await held_back.wait()
        await reap(rig, first)
        let_go.set()
        (lost,) = await rig.reported(BootLost)
        await rig.reported(EngineStarted, 2)
        await rig.until(lambda: rig.stats().counters.get("done") == 1)
    assert (lost.lost, lost.unknown) == ((0, 1) if was_executed else (1, 0))
    assert len(rig.of(JobStarted, uid=uid)) == (1 if was_executed else 2)
    assert rig.stats().counters["done"] == 1


async def test_a_count_that_differs_from_the_servers_gives_everything_back(rig: Rig) -> None:
    gate = gated(rig)
    rig.enqueue("gated", 2)
    async with rig.running():
        await rig.reported(JobStarted, 2)
        first = boot_of(rig)
        # A claim that the engine never heard of: something is badly wrong.
        (stray,) = rig.enqueue("gated", queue="high")
        await rig.reported(JobStarted, 3)
        rig.key("HDEL", f"running:{first}", stray)
        rig.key("LPUSH", "ready:high", stray)
        await rig.reported(BootLost, why="count differs")
        gate.set()
        await rig.until(lambda: rig.stats().counters.get("done") == 3)
        assert rig.stats().counters.get("reaped", 0) == 0, "it signed off, nobody had to reap it"
        assert set(rig.store.observe()) == {boot_of(rig)} != {first}
    assert {event.attempt for event in rig.of(JobStarted)} == {1}


async def test_an_engine_survives_the_loss_of_the_whole_data_set(rig: Rig) -> None:
    noop(rig)
    gated(rig)
    rig.enqueue("gated")
    async with rig.running() as engine:
        await rig.reported(JobStarted)
        rig.server.call("FLUSHALL")
        await rig.reported(BootLost, why="gone")
        rig.enqueue("noop")
        await rig.reported(JobSucceeded, name="noop")
        engine.hurry()


async def test_an_engine_that_loses_boot_after_boot_pauses_in_between(rig: Rig) -> None:
    noop(rig)
    stop = trio.Event()

    async def take_away() -> None:
        while not stop.is_set():
            for engine, counter in rig.store.observe().items():
                rig.store.reap(engine, counter, 3)
            await trio.sleep(0.001)

    async with rig.running(), trio.open_nursery() as nursery:
        nursery.start_soon(take_away)
        started = trio.current_time()
        await rig.reported(BootLost, 6)
        took_s = trio.current_time() - started
        stop.set()
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
    # Six pauses of up to a second, drawn evenly: together longer than this but once in 10^8.
    assert took_s > 0.15


# --- jobs -----------------------------------------------------------------------------------


async def test_an_idle_engine_starts_a_job_at_the_bell_and_not_at_the_poll(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        started = time.monotonic()
        for n in range(1, 11):
            rig.enqueue("noop")
            await rig.reported(JobSucceeded, n)
        took_s = time.monotonic() - started
    assert took_s < 10 * POLL_S / 2


async def test_a_job_without_a_bell_is_found_all_the_same(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        await rig.until(lambda: rig.stats().engines)
        rig.server.call("DEL", "{t}:bell:low")
        for _ in range(3):  # whatever the engine's own step does, one of these has no bell
            rig.enqueue("noop")
            rig.server.call("DEL", "{t}:bell:low")
        await rig.reported(JobSucceeded, 3)


async def test_the_first_queue_goes_first(rig: Rig) -> None:
    noop(rig)
    rig.config = config_of(count=1)
    low = rig.enqueue("noop", 3, queue="low")
    high = rig.enqueue("noop", 3, queue="high")
    async with rig.running():
        await rig.reported(JobSucceeded, 6)
    assert [event.uid for event in rig.of(JobStarted)] == [*high, *low]


async def test_no_more_handlers_run_than_there_are_workers(rig: Rig) -> None:
    running, most = 0, 0

    @rig.app.job("counted")
    async def counted() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(0.001)
        running -= 1

    rig.config = config_of(count=5)
    rig.enqueue("counted", 200)
    async with rig.running():
        await rig.reported(JobSucceeded, 200)
    assert most == 5


async def test_a_paused_queue_rests_and_goes_on(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        rig.store.pause("operator", 1, "low", True)
        rig.enqueue("noop", queue="low")
        rig.enqueue("noop", queue="high")
        await rig.reported(JobSucceeded, queue="high")
        assert rig.of(JobStarted, queue="low") == []
        rig.store.pause("operator", 2, "low", False)
        await rig.reported(JobSucceeded, queue="low")


async def test_a_paused_queue_costs_an_engine_next_to_nothing(rig: Rig) -> None:
    noop(rig)
    rig.store.pause("operator", 1, "low", True)
    rig.enqueue("noop", 50)
    async with rig.running():
        sent = rig.wires["step"].sent
        await rig.until(lambda: len(sent) >= 3)  # two polls
        at_first = len(sent)
        await trio.sleep(2.5 * POLL_S)
        assert len(sent) - at_first <= 6, "it polls, and doesn't spin"


async def test_a_failing_job_is_tried_again_with_backoff_and_then_dead(rig: Rig) -> None:
    @rig.app.job("failing", retry=trioq.Retry(max_attempts=3, base=0.01, cap=0.02))
    async def failing(job: trioq.Job) -> None:
        raise ValueError(f"attempt {job.attempt} of {job.max_attempts}")

    (uid,) = rig.enqueue("failing")
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert [event.attempt for event in rig.of(JobFailed)] == [1, 2]
    assert (died.attempt, died.reason) == (3, "failures")
    lines = rig.history(uid)
    assert [line["attempt"] for line in lines] == [1, 2, 3]
    assert [line["message"] for line in lines] == [f"attempt {n} of 3" for n in (1, 2, 3)]
    assert all(line["type"] == "ValueError" and "failing" in line["traceback"] for line in lines)
    assert {line["engine"] for line in lines} == {boot_of(rig)}
    assert rig.key("HGET", "reasons", uid) == b"failures"


async def test_waiting_for_a_retry_takes_no_worker(rig: Rig) -> None:
    @rig.app.job("failing", retry=trioq.Retry(max_attempts=9, base=600, cap=600))
    async def failing() -> None:
        raise ValueError

    noop(rig)
    rig.config = config_of(count=1)
    rig.enqueue("failing", 5)
    rig.enqueue("noop")
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert rig.stats().queues["low"].scheduled == 5


async def test_a_snoozed_job_comes_back_with_its_attempts(rig: Rig) -> None:
    @rig.app.job("sleepy")
    async def sleepy(job: trioq.Job) -> None:
        seen.append(job.attempt)
        if len(seen) < 4:
            raise trioq.Snooze(0.01)

    seen: list[int] = []
    (uid,) = rig.enqueue("sleepy")
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert seen == [1, 1, 1, 1]
    assert rig.history(uid) == []


async def test_a_delayed_job_runs_when_it_is_due_and_not_before(rig: Rig) -> None:
    noop(rig)
    async with rig.running():
        due = time.time() + 0.3
        (late,) = rig.enqueue("noop", delay_ms=300)
        (soon,) = rig.enqueue("noop", delay_ms=100)
        await rig.reported(JobSucceeded, 2)
    assert [event.uid for event in rig.of(JobStarted)] == [soon, late]
    assert time.time() >= due - 0.002, "the server's milliseconds are whole"


async def test_a_big_payload_reaches_its_handler_byte_for_byte(rig: Rig) -> None:
    got: list[str] = []

    @rig.app.job("big")
    async def big(text: str) -> None:
        got.append(text)

    text = "é" * 50_000
    rig.enqueue("big", payload={"text": text})
    async with rig.running():
        await rig.reported(JobSucceeded)
    assert got == [text]


async def test_a_job_whose_big_payload_is_gone_is_dead_and_says_so(rig: Rig) -> None:
    @rig.app.job("big")
    async def big(text: str) -> None: ...

    (uid,) = rig.enqueue("big", payload={"text": "x" * 50_000})
    rig.key("DEL", "big")
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert (died.uid, died.reason) == (uid, "undecodable")
    assert rig.history(uid)[0]["message"] == "its payload is gone"


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"not json\n{}",
        b"[]\n{}",
        b'{"v":99,"name":"noop","queue":"low"}\n{}',
        b'{"v":1,"name":7,"queue":"low"}\n{}',
        b'{"v":1,"name":"noop","queue":"low"}\n[]',
        b'{"v":1,"name":"noop","queue":"low"}\n\xff',
        b'{"v":1,"name":"noop","queue":"low","max_attempts":0}\n{}',
        b'{"v":1,"name":"noop","queue":"low","max_attempts":"3"}\n{}',
        b'{"v":1,"name":"noop","queue":"low","timeout_s":"soon"}\n{}',
        b'{"v":1,"name":"noop","queue":"low","timeout_s":NaN}\n{}',
        b'{"v":1,"name":"noop","queue":"low","at":"noon"}\n{}',
        b'{"v":1,"name":"noop","queue":"low","id":[]}\n{}',
        b'{"v":1,"name":"stranger","queue":"elsewhere"}\n{}',
        b"[" * 100_000,
    ],
    ids=lambda record: record[:60].decode("latin-1"),
)
async def test_a_record_that_makes_no_sense_is_dead_and_hurts_nobody(
    rig: Rig, record: bytes
) -> None:
    noop(rig)
    (bad,) = rig.enqueue("noop")
    rig.key("HSET", "jobs", bad, record)
    rig.enqueue("noop")
    async with rig.running():
        (died,) = await rig.reported(JobDied)
        await rig.reported(JobSucceeded)
    assert (died.uid, died.reason) == (bad, "undecodable")
    assert rig.history(bad)[0]["type"] == "RecordUnreadable"
    assert rig.key("HGET", "jobs", bad) == record, "the bytes stay as they are"


async def test_a_name_that_nobody_knows_waits_and_runs_where_it_is_known(rig: Rig) -> None:
    noop(rig)
    (uid,) = rig.enqueue("stranger")
    async with rig.running():
        await rig.reported(JobParked, why="unknown name")
        rig.enqueue("noop")
        await rig.reported(JobSucceeded, name="noop")
        assert rig.stats().queues["low"].parked == 1
        assert len(rig.of(JobParked)) == 1, "it moves once, not round and round"

        noop(rig, "stranger")  # a deployment: the next engine knows it
        async with rig.running():
            await rig.reported(JobSucceeded, uid=uid)
    assert rig.key("HLEN", "attempts") == 0
    assert rig.key("EXISTS", "parked:low:stranger") == 0


async def test_parked_jobs_keep_their_order(rig: Rig) -> None:
    noop(rig)
    uids = rig.enqueue("stranger", 40)
    async with rig.running():
        await rig.reported(JobParked, 40)
    rig.events.clear()
    noop(rig, "stranger")
    rig.config = config_of(count=1)
    async with rig.running():
        await rig.reported(JobSucceeded, 40)
    assert [event.uid for event in rig.of(JobStarted)] == uids


# --- crashes --------------------------------------------------------------------------------


async def test_suspects_run_one_after_the_other_without_pauses(rig: Rig) -> None:
    running, most = 0, 0

    @rig.app.job("suspected")
    async def suspected() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(0.005)
        running -= 1

    uids = rig.enqueue("suspected", 30)
    _die_with(rig, 30)
    assert rig.stats().queues["low"].suspects == 30
    async with rig.running():
        started = trio.current_time()
        await rig.reported(JobSucceeded, 30)
        took_s = trio.current_time() - started
    assert most == 1
    assert [event.uid for event in rig.of(JobStarted)] == uids
    assert took_s < 30 * POLL_S / 3, "each comes with the step that settles the one before"


def _die_with(rig: Rig, count: int) -> None:
    """An engine claims so many jobs and is reaped."""
    driver = Driver(rig.store)
    assert len(driver.step(count)) == count
    counter = rig.store.observe()[driver.engine]
    assert rig.store.reap(driver.engine, counter, 3).moved == count


async def test_work_ahead_that_a_busy_engine_cannot_do_goes_to_an_idle_one(rig: Rig) -> None:
    gate = trio.Event()

    @rig.app.job("tiny")
    async def tiny() -> None:
        pass

    @rig.app.job("long")
    async def long() -> None:
        await gate.wait()

    # Many tiny jobs teach the engine to look ahead; then all its workers are taken.
    rig.enqueue("tiny", 400)
    rig.enqueue("long", 4)
    rest = rig.enqueue("tiny", 20)
    async with rig.running():
        await rig.reported(JobStarted, 4, name="long")
        async with rig.running():
            await rig.until(
                lambda: {event.uid for event in rig.of(JobSucceeded)} >= set(rest), timeout_s=10
            )
        gate.set()
    assert rig.key("HLEN", "attempts") == 0


# --- handlers -------------------------------------------------------------------------------


async def as_group() -> None:
    raise ExceptionGroup("two", [ValueError("a"), KeyError("b")])


async def as_system_exit() -> None:
    raise SystemExit(3)


async def as_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


async def from_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(as_system_exit)
        nursery.start_soon(trio.sleep_forever)


def in_a_thread() -> None:
    raise SystemExit("from a thread")


@pytest.mark.parametrize(
    ("handler", "type_", "message"),
    [
        (as_group, "ExceptionGroup", "2 errors: ValueError: a; KeyError: 'b'"),
        (as_system_exit, "SystemExit", "3"),
        (as_keyboard_interrupt, "KeyboardInterrupt", ""),
        (from_a_nursery, "SystemExit", "3"),
        (in_a_thread, "SystemExit", "from a thread"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_whatever_a_handler_raises_is_in_the_record_and_the_engine_goes_on(
    rig: Rig, handler: Callable[[], Awaitable[None]], type_: str, message: str
) -> None:
    rig.app.job("odd", retry=trioq.Retry(max_attempts=1))(handler)
    noop(rig)
    (uid,) = rig.enqueue("odd")
    async with rig.running():
        await rig.reported(JobDied, uid=uid)
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
        assert rig.of(BootLost) == []
    (line,) = rig.history(uid)
    assert (line["type"], line["message"]) == (type_, message)


async def test_a_handler_that_swallows_its_cancellation_ends_all_the_same(rig: Rig) -> None:
    @rig.app.job("deaf", timeout=0.05, retry=trioq.Retry(max_attempts=1))
    async def deaf() -> None:
        with contextlib.suppress(trio.Cancelled):
            await trio.sleep_forever()

    (uid,) = rig.enqueue("deaf")
    async with rig.running():
        await rig.reported(JobDied)
    (line,) = rig.history(uid)
    assert (line["type"], line["message"]) == (
        "timeout", "took longer than 0.05 s and swallowed its cancellation",
    )  # fmt: skip


async def test_a_thread_that_does_not_return_costs_its_job_and_no_worker(rig: Rig) -> None:
    let_go = False

    @rig.app.job("stuck", timeout=0.1, retry=trioq.Retry(max_attempts=1))
    def stuck() -> None:
        while not let_go:
            time.sleep(0.01)

    noop(rig)
    rig.config = config_of(count=1)
    (uid,) = rig.enqueue("stuck")
    async with rig.running():
        await rig.reported(JobDied)
        rig.enqueue("noop")
        await rig.reported(JobSucceeded)
        let_go = True
    (line,) = rig.history(uid)
    assert line["message"] == "took longer than 0.1 s; its thread still runs"


async def test_what_a_job_asks_for_goes_before_what_its_handler_says(rig: Rig) -> None:
    @rig.app.job("slow", timeout=60, retry=trioq.Retry(max_attempts=5, base=0, cap=0))
    async def slow() -> None:
        await trio.sleep_forever()

    uid = new_uid()
    stored, big = encode(Record(uid, "slow", "low", b"{}", options=Options(2, 0.02)))
    rig.store.enqueue("x", 1, [NewJob(uid, "low", stored, big)])
    async with rig.running():
        (died,) = await rig.reported(JobDied)
    assert died.attempt == 2
    assert "0.02 s" in died.error.message
