"""Jobs that are run in one go, when something happens in the middle of it."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import attrs
import pytest
import trio

import trioq
from tests.engine.rig import Rig, noop
from tests.engine.virtual import World, calm
from tests.support import new_job
from trioq import failpoints
from trioq.core.calls import NewJob
from trioq.core.events import (
    BreakerChanged,
    Event,
    JobDied,
    JobFailed,
    JobParked,
    JobReleased,
    JobsSucceeded,
    JobStarted,
    JobSucceeded,
)
from trioq.core.formats import summary
from trioq.core.job import Options
from trioq.engine.backlog import Backlog
from trioq.engine.handlers.timebox import SLACK_S
from trioq.engine.runs.turn import SLICE_S
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock


@attrs.define
class Goes:
    """A listener that is told of several at once."""

    told: list[JobsSucceeded] = attrs.field(factory=list[JobsSucceeded])

    def listener_for(self, kind: type[Event]) -> Callable[[Any], None] | None:
        return self.told.append if kind is JobsSucceeded else None

    def __call__(self, event: Event) -> None:
        raise AssertionError("it says what it wants")

    @property
    def jobs(self) -> int:
        return sum(len(event.runs) for event in self.told)


@pytest.fixture
def goes(world: World) -> Goes:
    goes = Goes()
    world.listeners = (goes,)
    return goes


async def warm(world: World) -> None:
    """So that the engine holds many jobs at a time."""
    world.enqueue("noop", 300)
    await world.reported(JobSucceeded, 300)
    world.told.clear()


def worlds_noop(world: World) -> None:
    @world.app.job("noop")
    async def handler() -> None:
        pass


def claimer(backlog: Backlog) -> Any:
    """Who has claimed what waits there."""
    return backlog.jobs[0].by


async def test_many_are_told_of_at_once_and_each_is_told_of_who_wants_it(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    worlds_noop(world)
    await world.start()
    uids = world.enqueue("noop", 300)
    await world.reported(JobSucceeded, 300)
    assert goes.jobs == 300
    assert len(goes.told) < 100
    # Each as it was run: it begins, and then it ends.
    expected = [(kind, uid) for uid in uids for kind in (JobStarted, JobSucceeded)]
    told = [(type(e), e.uid) for _, e in world.told if isinstance(e, (JobStarted, JobSucceeded))]
    assert told == expected


async def test_no_handler_of_either_kind_starts_when_the_lease_has_ended_in_between(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    """As when the thread that beats is told that nobody knows this boot."""
    worlds_noop(world)
    good: list[bool] = []
    by: list[Any] = []

    @world.app.job("ends")
    async def ends() -> None:
        by.append(claimer(backlog))
        by[0].pacemaker.gone()

    @world.app.job("quick")
    async def quick() -> None:
        good.append(by[0].may_start())

    @world.app.job("waits")
    async def waits() -> None:
        good.append(by[0].may_start())
        await trio.lowlevel.checkpoint()

    world.config = calm(queues=("low",), count=1)
    running = await world.start()
    backlog = running.engine._parts.backlog
    await warm(world)
    for name in ("noop", "ends", "quick", "waits", "quick", "quick"):
        world.enqueue(name)
    await world.reported(JobSucceeded, 6)
    assert good == [True] * 4
    assert world.of(JobReleased), "some were in hand"
    assert world.of(JobFailed) == []


async def test_a_handler_that_waits_lets_the_others_run(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    worlds_noop(world)

    @world.app.job("sleeper")
    async def sleeper() -> None:
        await trio.sleep(20)

    await world.start()
    await warm(world)
    world.enqueue("sleeper", 3)
    world.enqueue("noop", 20)
    await world.reported(JobSucceeded, 20, name="noop", within_s=1.0)
    assert world.of(JobSucceeded, name="sleeper") == []
    await world.reported(JobSucceeded, 3, name="sleeper")


async def test_what_is_returned_after_a_wait_is_looked_at(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("halfdone")
    async def half_done() -> Any:
        await trio.lowlevel.checkpoint()
        return (n for n in range(3))

    await world.start()
    world.enqueue("halfdone")
    (died,) = await world.reported(JobDied, within_s=60)
    assert died.reason == "bad_handler"


async def test_what_waits_when_its_engine_is_cancelled_goes_back_once(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    worlds_noop(world)
    ended = []

    @world.app.job("sleeper")
    async def sleeper() -> None:
        try:
            await trio.sleep(1000)
        finally:
            ended.append(trio.current_time())

    world.config = calm(grace_s=1.0)
    running = await world.start()
    await warm(world)
    uids = world.enqueue("sleeper", 2)
    await world.reported(JobStarted, 2)
    running.engine.hurry()
    await running.ended.wait()
    assert sorted(event.uid for event in world.of(JobReleased)) == uids
    assert len(ended) == 2
    there = world.dump()
    assert (there.attempts, there.reaps) == ({}, {})
    assert set(world.waiting("low").ready) == set(uids)
    assert not world.held()


async def test_a_run_that_waits_is_seen_and_ends_with_its_lease_if_it_is_to(
    autojump_clock: Clock, world: World
) -> None:
    worlds_noop(world)

    @world.app.job("careful", on_lease_loss="cancel")
    async def careful() -> None:
        await trio.sleep(1000)

    @world.app.job("other")
    async def other() -> None:
        await trio.sleep(1000)

    running = await world.start()
    await warm(world)
    world.enqueue("careful")
    world.enqueue("other")
    await world.reported(JobStarted, 2)
    assert len(running.engine._parts.runs) == 2
    running.link.cut()
    await world.reported(JobReleased, name="careful", within_s=60)
    assert world.of(JobReleased, name="other") == []
    running.link.mend()


async def test_a_breaker_opens_at_the_very_job(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    """Success can be what opens it: it makes enough samples of many failures."""
    breaker = {"failure_threshold": 0.3, "window_s": 60.0, "cooldown_s": 30.0, "min_samples": 10}
    failing = True

    @world.app.job("shaky", retry=trioq.Retry(max_attempts=9, base=500.0, cap=500.0, jitter=0.0))
    async def shaky() -> None:
        if failing:
            raise ConnectionError

    worlds_noop(world)
    world.config = calm(queues=("low",), count=1, breaker=breaker)
    await world.start()
    await warm(world)
    world.enqueue("shaky", 4)
    await world.reported(JobFailed, 4)
    failing = False
    world.enqueue("shaky", 20)
    await world.reported(BreakerChanged)
    assert len(world.of(JobSucceeded, name="shaky")) == 6
    await world.reported(JobParked)
    assert len(world.of(JobStarted, name="shaky")) == 10


async def test_a_good_run_counts_where_others_fail(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    breaker = {"failure_threshold": 0.5, "window_s": 60.0, "cooldown_s": 30.0, "min_samples": 4}

    @world.app.job("shaky", retry=trioq.Retry(max_attempts=1))
    async def shaky(n: int) -> None:
        if n % 3 == 2:
            raise ConnectionError

    world.config = calm(queues=("low",), count=1, breaker=breaker)
    await world.start()
    for n in range(90):
        world.enqueue("shaky", payload={"n": n})
    await world.reported(JobSucceeded, 60)
    assert world.of(BreakerChanged) == []
    assert goes.jobs == 60


async def test_of_what_was_to_wait_or_comes_again_all_is_told(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    is_first = True

    @world.app.job("hangs")
    async def hangs() -> None:
        if is_first:
            await trio.sleep_forever()

    @world.app.job("fails", retry=trioq.Retry(max_attempts=2, base=1.0, cap=1.0, jitter=0.0))
    async def fails() -> None:
        if is_first:
            raise ValueError

    worlds_noop(world)
    running = await world.start()
    world.enqueue("hangs")
    world.enqueue("fails")
    await world.reported(JobStarted, name="hangs")
    await world.until(lambda: world.count("retried") == 1)
    running.kill()
    is_first = False
    header = b'{"v":1,"name":"noop","queue":"low","at":1700000000000,"due":1700000001000}\n{}'
    world.store.enqueue("another", 1, [NewJob("1" * 32, "low", header)])
    await world.start()
    await world.reported(JobSucceeded, 3)
    assert {event.name: event.are_plain for event in goes.told} == {
        "noop": False, "fails": False, "hangs": False,
    }  # fmt: skip
    world.enqueue("noop")
    await world.reported(JobSucceeded, 4)
    assert goes.told[-1].are_plain


async def test_a_summary_says_when_its_job_ended(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    @world.app.job("computes")
    async def computes() -> None:
        autojump_clock.jump(500.0)

    await world.start()
    before_ms = time.time() * 1000
    world.enqueue("computes")
    await world.reported(JobSucceeded)
    assert goes.jobs == 1
    await world.until(lambda: world.count("done") == 1)
    told = summary.decode(world.dump().done[0])
    assert told is not None
    assert told.at_ms is not None
    assert abs(told.at_ms - before_ms) < 400_000


@pytest.fixture
def armed() -> Iterator[list[str]]:
    passed: list[str] = []
    failpoints.arm("job.before", lambda: passed.append("before"), nth=0)
    yield passed
    failpoints.disarm()


async def test_each_run_passes_its_failpoints(
    autojump_clock: Clock, world: World, goes: Goes, armed: list[str]
) -> None:
    worlds_noop(world)
    await world.start()
    world.enqueue("noop", 50)
    await world.reported(JobSucceeded, 50)
    assert len(armed) == 50
    assert goes.jobs == 0


async def test_who_listens_may_wake_a_handler_that_has_begun_to_wait(
    autojump_clock: Clock, world: World
) -> None:
    """It began to wait in the middle of a go, and the jobs before it are told of after that."""
    done = trio.Event()

    def listener(event: Event) -> None:
        if isinstance(event, JobSucceeded) and event.name == "first":
            done.set()
            scope.cancel()

    scope = trio.CancelScope()
    caught = []

    @world.app.job("first")
    async def first() -> None:
        pass

    @world.app.job("second")
    async def second() -> None:
        with scope:
            await done.wait()
        caught.append(scope.cancelled_caught)

    world.listeners = (listener,)
    worlds_noop(world)
    world.config = calm(queues=("low",), count=1)
    await world.start()
    await warm(world)
    world.enqueue("first")
    world.enqueue("second")
    await world.reported(JobSucceeded, name="second", within_s=60)
    assert caught == [False], "it was woken before it was cancelled"


async def test_a_line_for_each_where_lines_are_wanted(autojump_clock: Clock, world: World) -> None:
    written = io.StringIO()
    lines = LogLines(logger("debug", "json", written))
    goes = Goes()
    world.listeners = (goes, lines)
    worlds_noop(world)
    await world.start()
    uids = world.enqueue("noop", 40)
    await world.reported(JobSucceeded, 40)
    assert goes.jobs == 40
    told = [json.loads(line) for line in written.getvalue().splitlines()]
    jobs = [(line["event"], line["job_id"]) for line in told if "job_id" in line]
    assert jobs == [(word, uid) for uid in uids for word in ("job_started", "job_succeeded")]


async def test_what_a_listener_raises_loses_no_job(autojump_clock: Clock) -> None:
    """The engine ends of it, and gives back what it had in its hand."""
    worlds = []

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            world = World(nursery, config=calm(queues=("low",), count=1))
            worlds.append(world)
            worlds_noop(world)

            @world.app.job("failing")
            async def failing() -> None:
                raise ValueError

            def listener(event: Event) -> None:
                if isinstance(event, JobSucceeded) and event.uid == uids[0]:
                    raise ZeroDivisionError

            uids = [""]
            world.listeners = (listener,)
            await world.start()
            await warm(world)
            uids[:] = world.enqueue("noop") + world.enqueue("failing")
            await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as raised:
        await run()
    assert raised.group_contains(ZeroDivisionError)
    (uid,) = worlds[0].jobs
    there = worlds[0].dump()
    assert there.queues["low"].ready == (uid,)
    assert (there.reaps, there.queues["low"].suspects) == ({}, ())


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("said", [
    {"timeout_s": 5}, {"max_attempts": 7}, {"id": "x%d"}, {"due": 1_700_000_000_500},
    {"trace": {"traceparent": "00-%032d-%016d-01"}}, {"id": "x%d", "timeout_s": 5},
])  # fmt: skip
async def test_what_a_record_says_of_its_own_is_heard_whoever_wrote_it(
    autojump_clock: Clock, world: World, goes: Goes, said: dict[str, Any], where: str
) -> None:
    """Before its time too, where most of them are the same."""
    seen = []

    @world.app.job("noop", timeout=50.0, retry=trioq.Retry(max_attempts=5))
    async def handler() -> None:
        job, left_s = trioq.current_job(), trio.current_effective_deadline() - trio.current_time()
        seen.append((job.id, job.max_attempts, job.trace, round(left_s)))

    await world.start()
    expected, uids = [], ["1" * 32, "2" * 32, "3" * 32]
    for n, uid in enumerate(uids, 1):
        own = json.loads(json.dumps(said).replace("%d", str(n)).replace("%032d", f"{n:032}"))
        parts = {"v": 1, "name": "noop", "queue": "low"}, {"at": 1_700_000_000_000}, own
        header = parts[0] | (own | parts[1] if where == "before" else parts[1] | own)
        stored = json.dumps(header, separators=(",", ":")).encode() + b"\n{}"
        world.store.enqueue("another", n, [NewJob(uid, "low", stored)])
        expected.append(
            (
                own.get("id"),
                own.get("max_attempts", 5),
                own.get("trace", {}),
                own.get("timeout_s", 50),
            )
        )
    await world.reported(JobSucceeded, 3)
    assert seen == expected
    assert goes.jobs == 3
    wanted = {event.wanted_ms for event in world.of(JobStarted)}
    assert wanted == {said.get("due", 1_700_000_000_000)}
    await world.until(lambda: world.count("done") == 3)
    kept = [summary.decode(line) for line in world.dump().done]
    assert {done and done.id for done in kept} == {own for own, *_ in expected}


async def test_a_header_that_takes_something_back_is_read_as_it_stands(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    """In JSON the last one counts, and what stands before it may be anything."""
    seen = []

    @world.app.job("noop")
    async def handler(job: trioq.Job) -> None:
        seen.append(job.id)

    await world.start()
    said = b'{"v":1,"name":"noop","queue":"low","id":5,"at":1700000000000,"id":"x%d"}\n{}'
    jobs = [NewJob(str(n) * 32, "low", said % n) for n in (1, 2)]
    world.store.enqueue("another", 1, jobs)
    await world.reported(JobSucceeded, 2)
    assert seen == ["x1", "x2"]
    assert goes.jobs == 2


async def test_what_a_handler_does_to_its_trace_is_its_own_affair(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    seen = []

    @world.app.job("noop")
    async def handler(job: trioq.Job) -> None:
        seen.append(dict(job.trace))
        cast("dict[str, str]", job.trace).clear()

    await world.start()
    said = b'{"v":1,"name":"noop","queue":"low","at":1,"trace":{"traceparent":"00-1-2-01"}}\n{}'
    jobs = [NewJob(uid, "low", said) for uid in ("1" * 32, "2" * 32)]
    world.store.enqueue("another", 1, jobs)
    await world.reported(JobSucceeded, 2)
    assert seen == [{"traceparent": "00-1-2-01"}] * 2
    assert goes.jobs == 2


async def test_each_has_what_it_asks_for_and_no_less_time_than_that(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    """Also when others have taken some, in the same go."""
    seen = []

    @world.app.job("noop", timeout=0.5)
    async def handler() -> None:
        left_s = trio.current_effective_deadline() - trio.current_time()
        seen.append((trioq.current_job().max_attempts, left_s))
        autojump_clock.jump(0.0007)

    world.config = calm(queues=("low",), count=1)
    await world.start()
    options = [Options(3, 0.25), Options(), Options(2), Options(None, 0.25)]
    for option in options * 3:
        world.enqueue("noop", 2, options=option)
    await world.reported(JobSucceeded, 24)
    assert goes.jobs == 24
    assert [attempts for attempts, _ in seen] == [3, 3, 4, 4, 2, 2, 4, 4] * 3
    wanted = [0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25] * 3
    for (_, left_s), wanted_s in zip(seen, wanted, strict=True):
        assert wanted_s - 1e-9 <= left_s <= wanted_s + SLACK_S + 1e-9


@pytest.mark.parametrize("way", ["in one go", "each by itself"])
async def test_workers_that_come_back_together_share_one_turn_of_the_loop(
    autojump_clock: Clock, world: World, way: str, request: pytest.FixtureRequest
) -> None:
    worlds_noop(world)
    gate = trio.Event()
    turns_s: list[float] = []

    @world.app.job("waits")
    async def waits() -> None:
        await gate.wait()

    @world.app.job("tiny")
    async def tiny() -> None:
        autojump_clock.jump(0.0005)

    scope = trio.CancelScope()

    async def look() -> None:
        while not scope.cancel_called:
            before = trio.current_time()
            await trio.lowlevel.checkpoint()
            turns_s.append(trio.current_time() - before)

    world.config = calm(queues=("low",), count=8)
    running = await world.start()
    await warm(world)
    world.enqueue("waits", 8)
    await world.reported(JobStarted, 8)
    world.enqueue("tiny", 100)
    while len(running.engine._parts.backlog) < 100:
        await trio.testing.wait_all_tasks_blocked()
        running.engine.shards[0].dispatcher.poke()
    if way == "each by itself":
        request.getfixturevalue("armed")
    world.nursery.start_soon(look)
    while not turns_s:
        await trio.lowlevel.checkpoint()
    gate.set()
    await world.reported(JobSucceeded, 100, name="tiny")
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    scope.cancel()
    # Two turns, if who looks is the first in one and the last in the next.
    assert max(turns_s) <= 2 * SLICE_S + 0.0005 + 1e-9


async def test_a_payload_that_lies_elsewhere_is_fetched(
    autojump_clock: Clock, world: World, goes: Goes
) -> None:
    seen = []

    @world.app.job("noop")
    async def handler(n: int) -> None:
        seen.append(n)

    await world.start()
    header = b'{"v":1,"name":"noop","queue":"low","big":true,"at":1700000000000}\n'
    for n, uid in enumerate(("1" * 32, "2" * 32), 1):
        world.store.enqueue("another", n, [NewJob(uid, "low", header, b'{"n":%d}' % n)])
    await world.reported(JobSucceeded, 2)
    assert seen == [1, 2]
    assert goes.told == []


async def test_a_uid_that_is_no_text_is_run_as_any(rig: Rig) -> None:
    noop(rig)
    for uid in (b'odd-"\n', b"odd-\xff"):
        rig.key("HSET", "jobs", uid, new_job().stored)
        rig.key("LPUSH", "ready:low", uid)
    async with rig.running():
        told = await rig.reported(JobSucceeded, 2)
    kept = [
        line for piece in rig.key("LRANGE", "done", 0, -1) for line in summary.decode_all(piece)
    ]
    assert {done and done.uid for done in kept} == {event.uid for event in told}
