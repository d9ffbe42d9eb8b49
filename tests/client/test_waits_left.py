"""What is left of waits when somebody leaves, something fails, or a process forks."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import pytest
import trio
import trio.testing

import trioq
from tests.client.test_waits import (
    FIVE,
    Place,
    Waiting,
    beside,
    each,
    until,
)
from tests.faults.proxy import LoseReply, Proxy
from tests.store.drive import Driver, Sender, line
from tests.support import PATIENCE_S, Server, wait_until
from trioq.client import sync_waits, task_waits
from trioq.client import waits as plain_waits
from trioq.client.task_waits import TaskWaits
from trioq.core.calls import End
from trioq.core.config import Config, RedisConfig
from trioq.core.settlements import DeadLetter
from trioq.errors import StoreClosed, WaitTimeout
from trioq.store.keys import Keys
from trioq.store.lane import Lane
from trioq.store.redis import RedisStore

H = TypeVar("H")
HOUR_S = 3600.0


@pytest.fixture
def place(server: Server, store: RedisStore) -> Iterator[Place]:
    with ExitStack() as opened:
        made = Place(server, store, Sender(store), Driver(store), opened)
        yield made
        for lane in made.lanes:
            lane.close()


@pytest.fixture
def nobody_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever isn't told or woken waits for an hour."""
    for module in (plain_waits, sync_waits, task_waits):
        monkeypatch.setattr(module, "CHECK_S", HOUR_S)
    monkeypatch.setattr(sync_waits, "LOOK_S", HOUR_S)


def in_thread(function: Callable[..., object], *args: object) -> threading.Thread:
    """One that keeps nobody waiting if it is forgotten."""
    return threading.Thread(target=function, args=args, daemon=True)


# -- who leaves --------------------------------------------------------------------------------


def test_a_task_that_waits_no_longer_is_asked_for_no_more(place: Place) -> None:
    async def main() -> None:
        waits, jobs = place.tasks(), [(uid, None) for uid in place.new(2)]
        left = waits._own.waits
        with pytest.raises(WaitTimeout):
            await waits.end_of(*jobs[0], 0.05)
        assert len(left) == 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waits.end_of, *jobs[0])
            await until(lambda: place.noted() == 1)
            assert len(left) == 1
            nursery.cancel_scope.cancel()
        assert len(left) == 0
        ends = waits.ends_of(jobs)
        place.run()
        await anext(ends)
        assert len(left) == 1
        ends.close()
        assert len(left) == 0

    trio.run(main)


def test_a_thread_that_waits_no_longer_is_asked_for_no_more(place: Place) -> None:
    waits, jobs = place.threads(), [(uid, None) for uid in place.new(2)]
    left = waits._own().waits
    with pytest.raises(WaitTimeout):
        waits.end_of(*jobs[0], 0.05)
    assert len(left) == 0
    ends: Any = waits.ends_of(jobs)
    place.run()
    next(ends)
    assert len(left) == 1
    ends.close()
    assert len(left) == 0


class SlowToAsk(RedisStore):
    """Asks when it may."""

    def __init__(self, keys: Keys, lane: Lane) -> None:
        super().__init__(keys, lane)
        self.may = threading.Event()
        self.wants = threading.Event()

    def wait_for(self, client: str, jobs: Sequence[tuple[str, str | None]]) -> list[End]:
        self.wants.set()
        assert self.may.wait(PATIENCE_S)
        return super().wait_for(client, jobs)


def is_noted(place: Place, uid: str) -> bool:
    return place.store.lane.call("HEXISTS", place.store.keys.fixed("waits"), uid) == 1


@pytest.mark.usefixtures("nobody_looks_again")
def test_who_leaves_while_he_asks_for_others_leaves_that_to_another(place: Place) -> None:
    asks = SlowToAsk(place.store.keys, place.ask_store().lane)
    waits = TaskWaits(lambda: asks, place.ear, 10.0)
    first, second, third = place.new(3)

    async def main() -> None:
        asker = trio.CancelScope()

        async def ask() -> None:
            with asker:
                await waits.end_of(second, None)

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                asks.may.set()
                nursery.start_soon(waits.end_of, first, None)
                await until(lambda: place.noted() == 1)
                await trio.testing.wait_all_tasks_blocked()
                asks.may.clear()
                asks.wants.clear()
                nursery.start_soon(ask)
                await until(asks.wants.is_set)
                nursery.start_soon(waits.end_of, third, None)
                await trio.testing.wait_all_tasks_blocked()
                asker.cancel()
                asks.may.set()
                await until(lambda: is_noted(place, third))
                place.run(count=3)

    trio.run(main)


class CancelsBefore(trio.abc.Instrument):
    """Cancels somebody in the moment in which a task is about to go on."""

    def __init__(self, task: trio.lowlevel.Task, scope: trio.CancelScope) -> None:
        self.task, self.scope = task, scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            trio.lowlevel.remove_instrument(self)
            self.scope.cancel()


@pytest.mark.usefixtures("nobody_looks_again")
def test_who_leaves_when_he_is_woken_has_another_listen(place: Place) -> None:
    async def main() -> None:
        waits, uids = place.tasks(), place.new(3)
        scopes = [trio.CancelScope() for _ in uids]
        tasks, ended = list[trio.lowlevel.Task](), list[str]()

        async def wait(nth: int) -> None:
            tasks.append(trio.lowlevel.current_task())
            with scopes[nth]:
                await waits.end_of(uids[nth], None)
                ended.append(uids[nth])

        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for nth in range(3):
                    nursery.start_soon(wait, nth)
                    await until(lambda nth=nth: place.noted() == nth + 1)  # type: ignore[misc]
                await trio.testing.wait_all_tasks_blocked()
                trio.lowlevel.add_instrument(CancelsBefore(tasks[0], scopes[1]))
                place.run()
                await until(lambda: len(ended) == 1 and scopes[1].cancelled_caught)
                place.run(count=2)
        assert ended == [uids[0], uids[2]]

    trio.run(main)


@pytest.mark.usefixtures("nobody_looks_again")
def test_a_task_that_has_its_end_leaves_it_to_one_that_waits_at_this_moment(place: Place) -> None:
    async def main() -> None:
        waits, (idle, *uids) = place.tasks(), place.new(3)
        elsewhere = waits.ends_of([(idle, None)])
        place.engine.claim()
        with trio.fail_after(PATIENCE_S):
            async with trio.open_nursery() as nursery:
                for nth, uid in enumerate(uids, 1):
                    nursery.start_soon(waits.end_of, uid, None)
                    await until(lambda nth=nth: place.noted() >= nth)  # type: ignore[misc]
                place.run()
                await until(lambda: len(waits._own.waits) == 2)
                place.run()
        elsewhere.close()

    trio.run(main)


@pytest.mark.usefixtures("nobody_looks_again")
def test_a_thread_that_has_its_end_leaves_it_to_one_that_waits_at_this_moment(
    place: Place,
) -> None:
    waits, (idle, kept, *uids) = place.threads(), place.new(4)
    elsewhere = waits.ends_of([(idle, None), (kept, None)])
    place.run()
    next(elsewhere)
    place.engine.claim()
    threads = [in_thread(waits.end_of, uid, None) for uid in uids]
    for count, thread in enumerate(threads, 2):
        thread.start()
        wait_until(lambda count=count: place.noted() == count)  # type: ignore[misc]
    for thread in threads:
        place.run()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


# -- what fails --------------------------------------------------------------------------------


@each
@pytest.mark.usefixtures("nobody_looks_again")
@pytest.mark.direct  # the connections are killed by their kind
def test_what_ended_in_a_silence_is_asked_for_as_soon_as_somebody_listens(
    place: Place, wait: Waiting
) -> None:
    uids = place.new()
    ends = beside(place, wait, uids)
    wait_until(lambda: place.noted() == 1)
    # Executed at once, so that nobody can be told.
    place.store.lane.call("DEL", place.store.keys.fixed("waits"))
    place.run()
    place.server.call("CLIENT", "KILL", "TYPE", "pubsub")
    assert ends() == {uids[0]: FIVE}


@each
def test_whoever_waits_is_told_that_the_client_was_closed(place: Place, wait: Waiting) -> None:
    ends = beside(place, wait, place.new())
    wait_until(lambda: place.noted() == 1)
    for lane in place.lanes:
        lane.close()
    with pytest.raises(StoreClosed):
        ends()


def of_tasks(place: Place) -> Callable[[str], bytes | None]:
    waits = place.tasks()

    async def history(uid: str) -> bytes | None:
        with trio.fail_after(PATIENCE_S):
            return await waits.history(uid)

    return lambda uid: trio.run(history, uid)


def of_threads(place: Place) -> Callable[[str], bytes | None]:
    return place.threads().history


@pytest.mark.parametrize("history_of", [of_tasks, of_threads])
def test_a_closed_client_is_not_asked_why_a_job_is_dead(place: Place, history_of: Any) -> None:
    (uid,), history = place.new(), history_of(place)
    place.engine.claim()
    place.engine.step(0, DeadLetter(uid, place.engine.n, 1, "failures", line("no")))
    assert history(uid) == line("no")
    for lane in place.lanes:
        lane.close()
    with pytest.raises(StoreClosed):
        history(uid)


def died_of(config: Config, engine: Driver, how: str) -> trioq.JobDied:
    """What whoever waits for a job is told."""
    if how == "threads":
        with trioq.connect_sync(config) as client:
            end = dead(client.enqueue("noop", {}, queue="low"), engine).wait(PATIENCE_S)
    else:

        async def main() -> trioq.JobEnd[Any]:
            async with trioq.connect(config) as client:
                handle = dead(await client.enqueue("noop", {}, queue="low"), engine)
                return await handle.wait(PATIENCE_S)

        end = trio.run(main)
    assert isinstance(end.error, trioq.JobDied)
    return end.error


def dead(handle: H, engine: Driver) -> H:
    claim = engine.claim()
    engine.step(0, DeadLetter(claim.uid, engine.n, 1, "failures", line("no")))
    return handle


@pytest.mark.parametrize("how", ["tasks", "threads"])
def test_why_a_job_is_dead_is_asked_for_until_that_is_answered(
    server: Server, store: RedisStore, how: str
) -> None:
    with Proxy(server.direct) as proxy:
        lost = proxy.on(LoseReply(), "hget")
        config = Config(namespace="t", redis=RedisConfig(url=proxy.url))
        assert died_of(config, Driver(store), how).message == "no"
        assert lost.struck == 1


def each_to(seen: list[End], place: Place, kind: str, uids: Sequence[str]) -> None:
    """Note the ends of these as they come."""
    jobs = [(uid, None) for uid in uids]
    if kind == "threads":
        for _, end in place.threads().ends_of(jobs, PATIENCE_S):
            seen.append(end)
        return

    async def main() -> None:
        async for _, end in place.tasks().ends_of(jobs, PATIENCE_S):
            seen.append(end)

    trio.run(main)


@pytest.mark.parametrize("kind", ["tasks", "threads"])
@pytest.mark.direct  # the connections are killed by their kind
def test_the_pause_after_a_failure_is_a_short_one_once_something_has_succeeded(
    place: Place, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    failures, seen = list[int](), list[End]()

    def backoff_s(count: int) -> float:
        failures.append(count)
        return 0.0

    for module in (task_waits, sync_waits):
        monkeypatch.setattr(module, "backoff_s", backoff_s)
    thread = in_thread(each_to, seen, place, kind, place.new(3))
    thread.start()
    wait_until(lambda: place.noted() == 3)
    for count in range(1, 3):
        place.server.call("CLIENT", "KILL", "TYPE", "pubsub")
        wait_until(lambda count=count: len(failures) == count and place.ears() == 1)  # type: ignore[misc]
        place.run()
        wait_until(lambda count=count: len(seen) == count)  # type: ignore[misc]
    place.run()
    thread.join(PATIENCE_S)
    assert failures == [1, 1]


# -- forked processes --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tasks", "threads"])
def test_a_forked_child_waits_by_a_name_of_its_own(place: Place, kind: str) -> None:
    waits = getattr(place, kind)()
    name = waits.name
    child = os.fork()
    if child == 0:
        os._exit(waits.name == name)
    assert os.waitpid(child, 0)[1] == 0
    assert waits.name == name
