"""What has ended while a step waits for a bell goes right behind that step, without the loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio

from tests.engine.rig import Rig, gated
from tests.engine.shard.test_dispatcher import Steps, held_by
from tests.engine.virtual import Running, World, calm
from tests.support import Server, wait_until
from trioq.core import pace
from trioq.core.calls import Step
from trioq.core.events import (
    BootLost,
    ClaimsReturned,
    Event,
    JobStarted,
    JobSucceeded,
    SettlementRefused,
)
from trioq.core.settlements import Ack

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


@pytest.fixture(autouse=True)
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait ends by itself while a test runs."""
    monkeypatch.setattr(pace, "POLL_S", 3600.0)


class Stuck(Rig):
    """Once one job has ended, the loop stands still after each end until the server knows of it."""

    def report(self, event: Event) -> None:
        super().report(event)
        if isinstance(event, JobSucceeded) and (ended := len(self.of(JobSucceeded))) > 1:
            wait_until(lambda: self.stats().counters.get("done") == ended)


@pytest.fixture
def stuck(server: Server) -> Iterator[Rig]:
    rig = Stuck(server)
    yield rig
    rig.close()


def waits(rig: Rig) -> bool:
    """Whether a step waits for a bell, as the server sees it."""
    clients: bytes = rig.server.call("CLIENT", "LIST")
    return any(b"cmd=blpop" in c and b"name=trioq:step" in c for c in clients.splitlines())


@pytest.mark.direct  # it has to know when the server is told
async def test_an_end_reaches_the_server_though_the_loop_has_no_time(stuck: Rig) -> None:
    rig, gates = stuck, [gated(stuck, "first"), gated(stuck, "second")]
    async with rig.running() as engine:
        dispatcher: Any = engine.shards[0].living
        for name, gate in zip(("first", "second"), gates, strict=True):
            rig.enqueue(name)
            await rig.reported(JobStarted, name=name)
            await rig.until(lambda: waits(rig))
            if name == "second":  # there is a connection by which the wait can be ended at once
                await rig.until(lambda: dispatcher._bell._other.is_free)
            gate.set()
            await rig.reported(JobSucceeded, name=name)
    assert rig.of(BootLost) == rig.of(SettlementRefused) == []


async def ready(world: World, takes_s: float = 5.0, **options: Any) -> tuple[Running, Steps]:
    """An engine that runs a job, and whose step waits."""

    @world.app.job("work", timeout=1e6)
    async def work() -> None:
        await trio.sleep(takes_s)

    world.config = calm(count=2, **options)
    steps = Steps(world.store)
    running = await world.start()
    world.enqueue("work")
    await world.reported(JobStarted)
    await trio.sleep(takes_s / 2)
    return running, steps


def settling(steps: Steps) -> list[Step]:
    """Each time that one was sent which settles something."""
    return [step for _, step in steps.all if step.settlements]


async def test_what_goes_behind_a_step_that_claims_claims_nothing(
    autojump_clock: Clock, world: World
) -> None:
    running, steps = await ready(world)
    await world.reported(JobSucceeded)
    await trio.sleep(1.0)
    (step,) = settling(steps)
    before = next(each for _, each in steps.all if each.number == step.number - 1)
    assert (before.want > 0, step.want) == (True, 0)
    assert held_by(running) == 0


@pytest.mark.parametrize("fates", [["", "request"], ["", "reply"], ["request"], ["reply"]])
async def test_what_goes_behind_is_sent_again_unchanged_until_it_is_answered(
    autojump_clock: Clock, world: World, fates: list[str]
) -> None:
    """Also where the step that it follows isn't answered: then nobody has sent it yet."""
    _, steps = await ready(world)
    steps.fates = fates.copy()
    await world.until(lambda: world.count("done") == 1)
    await trio.sleep(3.0)
    sent = settling(steps)
    assert len({repr(step) for step in sent}) == 1
    numbers = [step.number for _, step in steps.all]
    assert sorted({*numbers}) == list(range(1, max(numbers) + 1))
    assert world.of(SettlementRefused) == world.of(BootLost) == []
    world.enqueue("work")
    await world.reported(JobSucceeded, 2)


@pytest.mark.parametrize(("fates", "runs"), [([], 1), (["", "reply"], 1), (["", "request"], 2)])
async def test_of_what_was_sent_behind_an_answer_that_differs_nobody_can_tell(
    autojump_clock: Clock, world: World, fates: list[str], runs: int
) -> None:
    _, steps = await ready(world)
    steps.fates = fates.copy()
    step_of, tampered = world.store.step, list[int]()

    def tampering(step: Step) -> Any:
        reply = step_of(step)
        if not tampered:
            tampered.append(step.number)
            reply = attrs.evolve(reply, held=reply.held + 1)
        return reply

    world.store.step = tampering  # type: ignore[method-assign]
    await world.reported(BootLost)
    await trio.sleep(3.0)
    ((lost,), (settled,)) = world.of(BootLost), settling(steps)
    assert settled.number == tampered[0] + 1
    assert (lost.why, lost.lost, lost.unknown) == ("count differs", 0, 1)
    await world.reported(JobSucceeded, runs)
    world.enqueue("work")
    await world.reported(JobSucceeded, runs + 1)
    assert len(world.of(JobStarted)) == runs + 1, "if it was accepted, it doesn't run again"


async def test_the_lease_of_what_goes_behind_counts_from_before_it_is_sent(
    autojump_clock: Clock, world: World
) -> None:
    _, steps = await ready(world)
    world.enqueue("work", 2)  # one has room; then the engine listens for asks
    await world.reported(JobStarted, 2)
    await trio.sleep(1.0)
    # The next end lets a step follow that claims. Its answer is long in coming.
    steps.lateness = lambda: autojump_clock.jump(0.6 * world.config.worker.lease_s)
    steps.fates = ["", "late"]
    await world.reported(ClaimsReturned)
    assert [event.count for event in world.of(ClaimsReturned)] == [1]
    first = settling(steps)[0]
    assert (type(first.settlements[0]), first.want > 0) == (Ack, True)
    await world.reported(JobSucceeded, 3)
    assert world.of(SettlementRefused) == world.of(BootLost) == []
