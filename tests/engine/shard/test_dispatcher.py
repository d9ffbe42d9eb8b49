"""Steps: how many, how large, how far ahead, and what happens when one isn't answered."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import trio

import trioq
from tests.engine.virtual import Running, World, calm
from trioq.app import App
from trioq.core.calls import Gone, Step
from trioq.core.config import Config
from trioq.core.config.sections import QueueConfig
from trioq.core.events import (
    BootLost,
    Claimed,
    ClaimsReturned,
    JobParked,
    JobReleased,
    JobStarted,
    JobSucceeded,
    RedisAway,
    SettlementRefused,
)
from trioq.core.pace import POLL_S
from trioq.core.settlements import Release
from trioq.errors import StoreBusy, StoreUnreachable
from trioq.store.memory import MemoryStore

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


class Steps:
    """Every step that reaches the store, and what is to become of it."""

    def __init__(self, store: MemoryStore) -> None:
        self.all: list[tuple[float, Step]] = []
        self.fates: list[str] = []
        """``request``, ``reply``, ``busy``, ``late`` or ``""``, for the next ones."""
        self.lateness: Callable[[], None] = lambda: None
        self.most = math.inf
        """More of them aren't taken: who makes step after step would never come to its end."""
        self._step = store.step
        store.step = self.step  # type: ignore[method-assign]

    def step(self, step: Step) -> Any:
        self.all.append((trio.current_time(), step))
        assert len(self.all) <= self.most
        fate = self.fates.pop(0) if self.fates else ""
        if fate == "request":
            raise StoreUnreachable("the request got lost")
        if fate == "busy":
            raise StoreBusy("BUSY a script is running")
        reply = self._step(step)
        if fate == "reply":
            raise StoreUnreachable("the reply got lost")
        if fate == "late":
            self.lateness()
        return reply


def noop(world: World, takes_s: float = 0.0) -> None:
    @world.app.job("noop", timeout=1e6)
    async def handler() -> None:
        await trio.sleep(takes_s)


async def looks_ahead(world: World) -> Running:
    """An engine of four workers that 2,000 tiny jobs have taught to claim ahead of them."""
    noop(world)

    @world.app.job("long", timeout=1e6)
    async def long() -> None:
        await trio.sleep(60.0)

    world.config = calm(count=4)
    running = await world.start()
    world.enqueue("noop", 2000)
    await world.until(lambda: world.count("done") == 2000)
    return running


def held_by(running: Running) -> int:
    """How many jobs an engine has claimed and not settled."""
    dispatcher: Any = running.engine.shards[0].dispatcher
    return len(dispatcher._boot.held)


async def test_an_idle_engine_polls_once_a_second(autojump_clock: Clock, world: World) -> None:
    noop(world)
    steps = Steps(world.store)
    await world.start()
    await trio.sleep(100.5 * POLL_S)
    assert 100 <= len(steps.all) <= 102


async def test_who_may_have_lost_its_boot_asks_at_once_though_all_workers_are_busy(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=100.0)
    world.config = calm(count=1)
    steps = Steps(world.store)
    dispatcher = (await world.start()).engine.shards[0].living
    assert dispatcher is not None
    world.enqueue("noop")
    await world.reported(JobStarted)
    asked, before = trio.current_time(), len(steps.all)
    dispatcher.beat_answered(Gone())
    await world.until(lambda: len(steps.all) > before)
    assert steps.all[before][0] - asked < POLL_S / 2


async def test_what_waits_at_a_door_that_is_open_is_claimed_without_a_bell(
    autojump_clock: Clock, world: World
) -> None:
    noop(world)
    world.enqueue("noop")
    await world.start(App())
    await world.reported(JobParked)
    before = world.now
    await world.start()
    await world.reported(JobStarted)
    assert world.now - before < POLL_S / 2


async def test_a_busy_engine_steps_when_something_ends_and_at_the_poll(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=100.0)
    world.config = calm(count=4)
    steps = Steps(world.store)
    await world.start()
    world.enqueue("noop", 100)
    await trio.sleep(99.5)
    assert len(steps.all) <= 99 + 5, "ready jobs that it has no room for don't make it spin"
    assert held_by_all(world) == 4, "long jobs: none is claimed ahead"


def held_by_all(world: World) -> int:
    return sum(map(len, world.held().values()))


async def test_much_work_goes_in_few_steps(autojump_clock: Clock, world: World) -> None:
    noop(world)
    world.config = calm(count=16)
    steps = Steps(world.store)
    await world.start()
    world.enqueue("noop", 5000)
    await world.reported(JobSucceeded, 5000)
    await world.until(lambda: world.count("done") == 5000)
    assert len(steps.all) < 5000 / 16
    assert max(len(step.settlements) for _, step in steps.all) > 100


async def test_numbers_have_no_gaps_whatever_gets_lost(autojump_clock: Clock, world: World) -> None:
    noop(world, takes_s=0.5)
    steps = Steps(world.store)
    await world.start()
    steps.fates = ["", "request", "reply", "", "busy", "reply", "request", "request", ""] * 10
    world.enqueue("noop", 50)
    await world.until(lambda: world.count("done") == 50)
    assert not steps.fates or len(steps.fates) < 90
    sent = [step for _, step in steps.all]
    numbers = sorted({step.number for step in sent})
    assert numbers == list(range(1, len(numbers) + 1))
    for n in numbers:
        assert len({repr(step) for step in sent if step.number == n}) == 1, "re-sent unchanged"
    assert Counter(event.uid for event in world.of(JobStarted)).most_common(1)[0][1] == 1
    assert world.of(SettlementRefused) == world.of(BootLost) == []


async def test_what_ends_while_a_step_is_in_flight_goes_with_the_next(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=0.5)
    world.config = calm(count=4)
    steps = Steps(world.store)
    await world.start()
    world.enqueue("noop", 2)
    await world.reported(JobStarted, 2)
    # The settlement of the first two isn't answered; two more can't be claimed meanwhile.
    steps.fates = ["request"] * 8
    world.enqueue("noop", 2)
    await world.until(lambda: world.count("done") == 4)
    settled = [step.settlements for _, step in steps.all if step.settlements]
    sizes = Counter(map(len, {repr(s): s for s in settled}.values()))
    assert sum(size * count for size, count in sizes.items()) == 4
    assert len(world.of(RedisAway)) == 1


async def test_jobs_are_claimed_ahead_only_where_they_are_tiny(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=0.0005)
    world.config = calm(count=4)
    running = await world.start()
    most = 0
    world.enqueue("noop", 3000)
    while world.count("done") < 3000:
        most = max(most, held_by(running))
        await trio.sleep(0.001)
    assert 4 + 20 < most <= 4 + 512


async def test_jobs_that_compute_are_claimed_ahead_by_how_long_each_takes(
    autojump_clock: Clock, world: World
) -> None:
    """Not by how long those take that are run in one go."""

    @world.app.job("computes")
    async def computes() -> None:
        autojump_clock.jump(0.0005)

    world.config = calm(count=4)
    dispatcher = (await world.start()).engine.shards[0].dispatcher
    assert dispatcher is not None
    world.enqueue("computes", 300)
    await world.until(lambda: world.count("done") == 300)
    assert dispatcher._demand.ahead.gap_s == pytest.approx(0.0005, rel=0.1)


async def test_an_engine_does_not_spin_at_the_door_of_a_paused_queue(
    autojump_clock: Clock, world: World
) -> None:
    noop(world)
    world.enqueue("noop")
    await world.start(App())
    await world.reported(JobParked)
    world.store.pause("operator", 1, "low", True)
    steps = Steps(world.store)
    steps.most = 50
    second = (await world.start()).engine.shards[0]
    await trio.sleep(10.25)  # two engines look once a second
    assert second.living is not None
    assert second.living.parked == (("low", "noop"),)
    world.store.pause("operator", 2, "low", False)
    await world.reported(JobSucceeded)


async def test_after_tiny_jobs_long_ones_are_not_hoarded(
    autojump_clock: Clock, world: World
) -> None:
    first = await looks_ahead(world)
    world.enqueue("long", 40)
    await trio.sleep(5.0)
    assert held_by(first) == 4, "what lay ahead went back"
    second = await world.start()
    await trio.sleep(1.0)
    assert held_by(second) == 4
    assert len(world.of(JobStarted, name="long")) == 8
    await world.until(lambda: world.count("done") == 2040)
    assert world.of(JobReleased) == []
    assert len({event.uid for event in world.of(JobStarted, name="long")}) == 40


async def test_jobs_that_were_not_run_teach_nothing_of_how_long_jobs_take(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=1.0)
    world.config = calm(count=4)
    running = await world.start()
    world.enqueue("noop", 20)
    await world.until(lambda: world.count("done") == 20)
    world.enqueue("stranger", 100)
    await world.until(lambda: world.count("parked") == 100)
    world.enqueue("noop", 100)
    await world.reported(JobStarted, 24)
    assert held_by(running) == 4


async def test_an_outcome_waits_for_company_only_briefly(
    autojump_clock: Clock, world: World
) -> None:
    await looks_ahead(world)
    for name, count in [("noop", 1), ("long", 4), ("noop", 600)]:
        world.enqueue(name, count)
    await world.reported(JobSucceeded, 2001)
    await trio.sleep(0.1)
    assert world.count("done") == 2001


async def test_nothing_is_claimed_where_the_answer_to_the_registration_was_half_a_lease_in_coming(
    autojump_clock: Clock, world: World
) -> None:
    """The lease begins when the registration is sent, so that little of it is left."""
    noop(world, takes_s=100.0)
    register, steps = world.store.register, Steps(world.store)

    def slowly(engine: str, info: bytes) -> bool:
        registered = register(engine, info)
        autojump_clock.jump(0.6 * world.config.worker.lease_s)
        return registered

    world.store.register = slowly  # type: ignore[method-assign]
    world.enqueue("noop", 10)
    await world.start()
    await world.reported(JobStarted, 4)
    assert [step.want for _, step in steps.all][:2] == [0, 4]


async def test_what_went_back_keeps_its_place(autojump_clock: Clock, world: World) -> None:
    noop(world)

    @world.app.job("long", timeout=1e6)
    async def long() -> None:
        await trio.sleep(60.0)

    world.config = calm(count=2)
    await world.start()
    world.enqueue("noop", 2000)
    await world.until(lambda: world.count("done") == 2000)
    uids = world.enqueue("long", 10)
    await world.until(lambda: world.count("done") == 2010)
    assert [event.uid for event in world.of(JobStarted, name="long")] == uids


async def test_a_thousand_workers_hold_a_thousand_jobs_and_do_not_spin(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=0.002)
    world.config = calm(count=1000)
    steps = Steps(world.store)
    running = await world.start()
    world.enqueue("noop", 6000)
    most = 0
    while world.count("done") < 6000:
        most = max(most, held_by(running))
        await trio.sleep(0.0005)
    assert most <= 1000
    empty = [step for _, step in steps.all if not step.want and not step.settlements]
    assert len(empty) < len(steps.all) / 4
    assert len(steps.all) < 3 * 6000 / 1000


@pytest.mark.parametrize("weights", [None, (9.0, 1.0)])
async def test_queues_are_claimed_from_by_priority_or_by_weight(
    autojump_clock: Clock, world: World, weights: tuple[float, float] | None
) -> None:
    noop(world, takes_s=1.0)
    high, low = weights or (None, None)
    calm_ = calm(count=1)
    world.config = Config(
        namespace="t", worker=calm_.worker, reaper=calm_.reaper,
        queues=(QueueConfig("high", weight=high), QueueConfig("low", weight=low)),
    )  # fmt: skip
    world.enqueue("noop", 400, queue="high")
    world.enqueue("noop", 400, queue="low")
    await world.start()
    await world.reported(JobStarted, 400)
    shares = Counter(event.queue for event in world.of(JobStarted)[:400])
    if weights is None:
        assert shares == {"high": 400}
    else:
        # Nine to one: 360 expected, and seven standard deviations of room.
        assert 318 <= shares["high"] < 400


async def test_many_workers_at_once_share_by_weight_too(
    autojump_clock: Clock, world: World
) -> None:
    noop(world, takes_s=1.0)
    calm_ = calm(count=200)
    world.config = Config(
        namespace="t", worker=calm_.worker, reaper=calm_.reaper,
        queues=(QueueConfig("high", weight=9.0), QueueConfig("low", weight=1.0)),
    )  # fmt: skip
    for queue in ("high", "low"):
        world.enqueue("noop", 1500, queue=queue)
    await world.start()
    await world.reported(JobStarted, 1000)
    shares = Counter(event.queue for event in world.of(JobStarted)[:1000])
    assert 850 <= shares["high"] <= 950


async def test_a_door_of_another_queue_is_not_the_engines_to_open(
    autojump_clock: Clock, world: World
) -> None:
    """Though it knows the name: who is parked in "low" waits for who claims from there."""
    await world.start(App(), calm(queues=("low",)))
    world.enqueue("noop", 3, queue="low")
    await world.until(lambda: world.count("parked") == 3)
    noop(world)
    steps = Steps(world.store)
    second = await world.start(config=calm(queues=("high",)))
    world.enqueue("noop", queue="high")
    await world.reported(JobSucceeded)
    await trio.sleep(100.0)
    boot = second.engine.shards[0].living
    assert boot is not None
    assert boot.parked == (("low", "noop"),), "it has heard of them"
    assert [step.admits for _, step in steps.all if step.boot == boot.boot and step.admits] == []


async def test_one_steps_events_count_what_it_brought(autojump_clock: Clock, world: World) -> None:
    noop(world)
    await world.start()
    await trio.sleep(POLL_S / 2)
    world.enqueue("noop", 10)
    await world.until(lambda: world.count("done") == 10)
    await trio.sleep(2.0)
    told = world.of(Claimed)
    assert {event.took_s for event in told} == {0.0}, "to wait for a bell is no step's time"
    assert sum(event.count for event in told) == 10
    assert sum(event.settled for event in told) == 10
    assert all(event.count or event.settled for event in told), "an empty step isn't worth one"


async def test_what_arrives_when_the_lease_is_half_over_is_given_back(
    autojump_clock: Clock, world: World
) -> None:
    tokens = Counter[str]()

    @world.app.job("noop")
    async def noop(job: trioq.Job) -> None:
        tokens[job.token] += 1

    steps = Steps(world.store)
    # As if the process had been stopped between its claim and the answer.
    steps.lateness = lambda: autojump_clock.jump(world.config.worker.lease_s)
    await world.start()
    world.enqueue("noop", 3)
    steps.fates = ["late"]
    await world.reported(JobSucceeded, 3)

    assert [event.count for event in world.of(ClaimsReturned)] == [3]
    returned = {
        settlement.step
        for _, step in steps.all
        for settlement in step.settlements
        if isinstance(settlement, Release)
    }
    assert sum(tokens.values()) == 3
    assert not {int(token.split(":")[1]) for token in tokens} & returned
    assert world.of(SettlementRefused) == world.of(BootLost) == []
