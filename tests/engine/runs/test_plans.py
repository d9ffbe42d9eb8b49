"""What jobs have in common is worked out once, and is no other job's."""

from __future__ import annotations

import pytest
import trio

from tests.engine.virtual import World, calm
from tests.support import PATIENCE_S
from trioq import current_job
from trioq.core.convert import CONVERTER
from trioq.core.events import JobFailed, JobReleased, JobSucceeded, RunStarved
from trioq.core.formats import summary
from trioq.core.job import Options
from trioq.engine.runs.plan import PLANS

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_jobs_of_one_name_in_several_queues_each_have_their_own(
    nursery: trio.Nursery, kind: str
) -> None:
    world = World(nursery, config=calm(queues=("high", "low")))
    seen = dict[str, str]()

    def note() -> None:
        job = current_job()
        seen[job.uid] = job.queue

    async def note_later() -> None:
        note()

    world.app.job("note")(note if kind == "def" else note_later)
    expected = {
        uid: queue for queue in ["low", "high"] * 2 for uid in world.enqueue("note", 20, queue)
    }
    await world.start()
    told = await world.reported(JobSucceeded, 80, within_s=PATIENCE_S)
    assert {event.uid: event.queue for event in told} == seen == expected
    while world.count("done") < 80:
        await trio.lowlevel.checkpoint()
    kept = [summary.decode(line) for line in world.dump().done]
    assert {done.uid: done.queue for done in kept if done} == expected


async def test_what_is_known_of_ever_so_many_jobs_is_not_kept_for_ever(
    autojump_clock: Clock, world: World
) -> None:
    async def noop() -> None:
        pass

    count = PLANS + 100
    names = [f"noop{n}" for n in range(count)]
    for name in names:
        world.app.job(name)(noop)
    running = await world.start()
    for n, name in enumerate(names):
        world.enqueue(name)
        world.enqueue(name, options=Options(None, 1.0 + n))
        world.enqueue(f"unknown{n}")
    await world.reported(JobSucceeded, 2 * count)
    await world.until(lambda: world.count("parked") == count)
    plans = running.engine._parts.workers[0]._shop.plans
    assert 0 < len(plans._by_start) <= PLANS
    assert 0 < len(plans._by_asked) <= PLANS


class Huge:
    """For one of these there is no memory, the first time."""


async def test_want_of_memory_for_arguments_is_no_attempt(
    autojump_clock: Clock, world: World
) -> None:
    tries = 0

    def made(value: object, _: object) -> Huge:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise MemoryError
        return Huge()

    CONVERTER.register_structure_hook(Huge, made)

    @world.app.job("takes")
    async def takes(what: Huge) -> None:
        pass

    await world.start()
    (uid,) = world.enqueue("takes", payload={"what": 1})
    (done,) = await world.reported(JobSucceeded)
    assert (done.uid, done.attempt) == (uid, 1)
    assert [event.want for event in world.of(RunStarved)] == ["memory"]
    assert len(world.of(JobReleased)) == 1
    assert world.of(JobFailed) == []
