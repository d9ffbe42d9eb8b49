"""What an engine tells those who watch it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import trio

import trioq
from tests.support import PATIENCE_S, Server, cancelled_by, new_job, wait_until
from trioq.core.config import (
    BreakerConfig,
    Config,
    ObservabilityConfig,
    QueueConfig,
    ReaperConfig,
    RedisConfig,
    WorkerConfig,
)
from trioq.core.events import Event, JobStarted
from trioq.core.formats.snapshot import Snapshot
from trioq.store.inspect import doors, snapshots, stats, watch, with_abandoned
from trioq.store.redis import RedisStore

app = trioq.App()


@app.job("stays")
async def stays() -> None:
    await trio.sleep_forever()


@app.job("fails", retry=trioq.Retry(max_attempts=1))
async def fails() -> None:
    raise RuntimeError("x" * 1000)


@app.job("passes")
async def passes() -> None:
    pass


def config(server: Server) -> Config:
    return Config(
        namespace="t",
        queues=(QueueConfig("low"),),
        redis=RedisConfig(url=server.url),
        # Where replies get lost an engine may register twice, and one of the two is soon reaped.
        worker=WorkerConfig(count=4, grace_s=0.0, lease_s=2.0, heartbeat_interval_s=0.4),
        reaper=ReaperConfig(interval_s=0.2),
        observability=ObservabilityConfig(bind="", queue_sample_interval_s=0.05),
    )


async def told(store: RedisStore, fits: Callable[[Snapshot], bool]) -> Snapshot:
    """What the only engine tells, as soon as it is this."""
    with trio.fail_after(20):
        while True:
            for engine in stats(store).engines:
                for each in snapshots(store, [engine.id]).values():
                    if fits(each):
                        return each
            await trio.sleep(0.01)


@pytest.mark.trio
async def test_what_runs_what_failed_and_what_was_done(server: Server, store: RedisStore) -> None:
    jobs = [new_job(name=name) for name in ("stays", "fails", "passes", "passes", "nobody")]
    store.enqueue("a", 1, jobs)
    watch(store)
    async with trio.open_nursery() as nursery:
        engine = await nursery.start(trioq.Engine(app, config(server), report=quiet).run)
        each = await told(store, lambda each: each.done == {"low": 2} and bool(each.failures))
        engine.drain()

    (run,) = each.running
    assert (run.uid, run.name, run.queue) == (jobs[0].uid, "stays", "low")
    assert run.attempt == 1
    assert 0 <= each.at_ms - run.since_ms < 20_000
    assert each.busy == 1
    (failure,) = each.failures
    assert (failure.uid, failure.then) == (jobs[1].uid, "dead: failures")
    assert failure.error.startswith("RuntimeError: xxx")
    assert len(failure.error) == 200


@pytest.mark.trio
async def test_an_engine_that_nobody_watches_writes_nothing(
    server: Server, store: RedisStore
) -> None:
    started = trio.Event()

    def report(event: Event) -> None:
        if isinstance(event, JobStarted):
            started.set()

    store.enqueue("a", 1, [new_job(name="stays")])
    async with trio.open_nursery() as nursery:
        engine = await nursery.start(trioq.Engine(app, config(server), report=report).run)
        await started.wait()
        more = looks(server) + 3
        await trio.to_thread.run_sync(wait_until, lambda: looks(server) >= more)
        assert not server.call("KEYS", "{t}:shown:*")
        watch(store)
        await told(store, lambda each: bool(each.running))
        engine.drain()


def looks(server: Server) -> int:
    """How often the engine has looked around: each look asks for the time."""
    lines = server.call("INFO", "commandstats").decode().splitlines()
    counted = (line.partition("calls=")[2] for line in lines if line.startswith("cmdstat_time:"))
    return int(next(counted, "0").partition(",")[0])


def quiet(event: Event) -> None:
    """Nobody listens."""


@pytest.mark.trio
async def test_so_does_one_with_abandoned_handlers_and_who_counts_is_told(
    server: Server, store: RedisStore
) -> None:
    busy, begun, gate = trioq.App(), trio.Event(), trio.Event()

    @busy.job("stubborn")
    async def stubborn() -> None:
        begun.set()
        with trio.move_on_after(PATIENCE_S, shield=True):
            await gate.wait()

    hasty = attrs.evolve(config(server).worker, cancel_grace_s=0.01)
    there = attrs.evolve(config(server), worker=hasty)
    job = new_job(name="stubborn")
    store.enqueue("a", 1, [job])
    async with trio.open_nursery() as nursery:
        engine = await nursery.start(trioq.Engine(busy, there, report=quiet).run)
        await begun.wait()  # one that is asked before it begins never does
        assert cancelled_by(store, "a", 2, job.uid, "low", "stubborn") == "asked"
        shown = await told(store, lambda each: each.abandoned == {"stubborn": 1})
        counted = with_abandoned(store, stats(store)).engines
        gate.set()
        engine.drain()
    assert {"stubborn": 1} in [each.abandoned for each in counted]
    assert shown.away == 1, "it keeps its worker"
    assert 0 < shown.away_s < PATIENCE_S


@pytest.mark.trio
async def test_an_engine_with_an_open_breaker_says_so_also_if_nobody_watches(
    server: Server, store: RedisStore
) -> None:
    breaking = attrs.evolve(
        config(server), circuit_breaker=BreakerConfig(min_samples=2, cooldown_s=60.0)
    )
    store.enqueue("a", 1, [new_job(name="fails") for _ in range(5)])
    async with trio.open_nursery() as nursery:
        engine = await nursery.start(trioq.Engine(app, breaking, report=quiet).run)
        shown = await told(store, lambda each: each.breakers == {"fails": "open"})
        (door,) = await trio.to_thread.run_sync(
            # Another boot, after lost replies, says so a moment later.
            wait_until, lambda: [door for door in doors(store, stats(store)) if door.why]
        )  # fmt: skip
        engine.drain()
    assert 0 < shown.reopens_ms["fails"] - shown.at_ms <= 60_000
    assert (door.queue, door.name, door.why) == ("low", "fails", ("breaker",))
    assert list(door.breakers.values()) == ["open"]
    assert 1 <= door.parked <= 3
    assert door.since_ms is not None
