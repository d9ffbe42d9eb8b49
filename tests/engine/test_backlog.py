"""Jobs between the dispatcher and the workers: none is forgotten, none lies there for long."""

from __future__ import annotations

from collections.abc import Container

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.engine.claimers import NOBODY, Nobody
from trioq.engine.backlog import STALE_S, Backlog
from trioq.engine.claim import Claimer, Held, Token

OTHER = Nobody()


def job(uid: str, by: Claimer = NOBODY) -> Held:
    """One that has come now."""
    return Held(by, uid, 1, 1, False, b"", at=trio.current_time())


async def take(backlog: Backlog) -> Held | None:
    """As a worker does, one at a time."""
    if not await backlog.wait():
        return None
    held = backlog.jobs.popleft()
    backlog.taken()
    return held


async def take_all(backlog: Backlog, taken: list[str]) -> None:
    while (held := await take(backlog)) is not None:
        taken.append(held.uid)
        await trio.lowlevel.checkpoint()


@pytest.mark.trio
async def test_what_is_aside_goes_back_with_the_rest_and_that_of_others_comes_back() -> None:
    backlog, taken = Backlog(), list[str]()
    backlog.aside.extend([job("a"), job("b", OTHER), job("c")])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_all, backlog, taken)
        await wait_all_tasks_blocked()
        assert [held.uid for held in backlog.take_back(NOBODY)] == ["a", "c"]
        await wait_all_tasks_blocked()
        assert taken == ["b"]
        backlog.close()


@pytest.mark.trio
async def test_jobs_are_taken_in_the_order_in_which_they_came() -> None:
    backlog, taken = Backlog(), list[str]()
    backlog.put([job("a"), job("b")])
    backlog.put([job("c")])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_all, backlog, taken)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert taken == ["a", "b", "c"]


@pytest.mark.trio
async def test_idle_workers_are_woken_for_as_many_jobs_as_came() -> None:
    backlog, taken = Backlog(), list[str]()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(take_all, backlog, taken)
        for round_ in range(3):
            await wait_all_tasks_blocked()
            backlog.put(job(f"{round_}{n}") for n in range(7))
        await wait_all_tasks_blocked()
        assert len(taken) == len(set(taken)) == 21
        backlog.close()


@pytest.mark.trio
async def test_a_job_whose_wake_up_meets_a_busy_worker_is_taken_by_it() -> None:
    backlog, taken = Backlog(), list[str]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_all, backlog, taken)  # becomes idle
        await wait_all_tasks_blocked()
        backlog.put([job("a")])
        # Another worker, which wasn't idle, is quicker than the one that was woken.
        held = await take(backlog)
        assert held is not None
        await wait_all_tasks_blocked()
        backlog.put([job("b")])
        await wait_all_tasks_blocked()
        assert (held.uid, taken) == ("a", ["b"]), "the woken one went back to waiting"
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_boot_takes_back_what_none_had_started_of_its_own() -> None:
    backlog, taken = Backlog(), list[str]()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(take_all, backlog, taken)
        await wait_all_tasks_blocked()
        backlog.put([job("a"), job("b")])
        backlog.put([job("c", OTHER)])
        assert [held.uid for held in backlog.take_back(NOBODY)] == ["a", "b"]
        await wait_all_tasks_blocked()
        assert taken == ["c"]
        backlog.close()
    assert await take(backlog) is None


@pytest.mark.trio
async def test_what_has_waited_for_too_long_is_stale_though_others_were_taken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backlog = Backlog()
    backlog.put(job(str(n)) for n in range(4))
    await trio.sleep(STALE_S * 0.9)
    await take(backlog)
    assert backlog.take_back_stale(NOBODY) == []
    backlog.put([job("late")])
    await trio.sleep(STALE_S * 0.2)
    await take(backlog)
    assert [held.uid for held in backlog.take_back_stale(NOBODY)] == ["2", "3", "late"]
    assert len(backlog) == 0


@pytest.mark.trio
async def test_what_is_put_back_is_as_old_as_it_was(autojump_clock: trio.testing.MockClock) -> None:
    backlog = Backlog()
    first = job("first")
    await trio.sleep(STALE_S)
    backlog.put([job("second")])
    backlog.put_back([first])
    assert [held.uid for held in backlog.take_back_stale(NOBODY)] == ["first", "second"]


@pytest.mark.trio
async def test_what_is_aside_waits_for_something_else_and_is_not_stale(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backlog = Backlog()
    backlog.aside.append(job("aside"))
    backlog.put([job("a")])
    await trio.sleep(STALE_S)
    assert [held.uid for held in backlog.take_back_stale(NOBODY)] == ["a"]
    assert [held.uid for held in backlog.aside] == ["aside"]


@pytest.mark.trio
async def test_jobs_that_come_into_an_empty_backlog_are_fresh(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backlog = Backlog()
    await trio.sleep(10 * STALE_S)
    backlog.put([job("a")])
    assert backlog.take_back_stale(NOBODY) == []


@pytest.mark.trio
async def test_who_comes_later_keeps_nobody_fresh(autojump_clock: trio.testing.MockClock) -> None:
    backlog = Backlog()
    for uid in ("a", "b", "c"):
        backlog.put([job(uid)])
        await trio.sleep(STALE_S * 0.4)
    assert [held.uid for held in backlog.take_back_stale(NOBODY)] == ["a", "b", "c"]


class Busy:
    """Workers whose jobs compute: each has had its turn after four."""

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.ran: list[str] = []

    async def work(self) -> None:
        while (held := await take(self.backlog)) is not None:
            self.ran.append(held.uid)
            if len(self.ran) % 4 == 0:
                await self.backlog.rest()


@pytest.mark.trio
@pytest.mark.parametrize("workers", [1, 8])
async def test_a_turn_of_the_loop_is_one_worker_long_while_jobs_compute(workers: int) -> None:
    backlog, turns = Backlog(), 0
    busy = Busy(backlog)
    async with trio.open_nursery() as nursery:
        for _ in range(workers):
            nursery.start_soon(busy.work)
        await wait_all_tasks_blocked()
        backlog.put(job(f"{n:03}") for n in range(400))
        while backlog:
            await trio.lowlevel.checkpoint()
            turns += 1
        backlog.close()
    assert busy.ran == [f"{n:03}" for n in range(400)]
    assert turns >= 100, "with all of them awake, each turn would be as many jobs longer"


@pytest.mark.trio
@pytest.mark.parametrize("count", [1, 2, 8, 100])
async def test_jobs_that_wait_run_on_as_many_workers_as_there_are(count: int) -> None:
    backlog, running = Backlog(), list[str]()
    go_on = trio.Event()

    async def work() -> None:
        while (held := await take(backlog)) is not None:
            running.append(held.uid)
            await go_on.wait()

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(work)
        await wait_all_tasks_blocked()
        backlog.put(job(str(n)) for n in range(count))
        await wait_all_tasks_blocked()
        assert len(running) == min(8, count)
        go_on.set()
        await wait_all_tasks_blocked()
        assert len(running) == count
        backlog.close()


@attrs.define
class Elsewhere:
    """Jobs that somebody has taken out and not begun."""

    by: Claimer
    jobs: list[Held]

    def __len__(self) -> int:
        return len(self.jobs)

    def take_back(self) -> list[Held]:
        jobs, self.jobs = self.jobs, []
        return jobs

    def take_out(self, claims: Container[Token]) -> list[Held]:
        jobs, left = (
            [held for held in self.jobs if ((held.uid, held.step) in claims) is wanted]
            for wanted in (True, False)
        )
        self.jobs = left
        return jobs


@pytest.mark.trio
async def test_what_was_taken_out_and_not_begun_is_taken_back_with_the_rest() -> None:
    backlog, ours, others = Backlog(), Elsewhere(NOBODY, [job("a")]), Elsewhere(OTHER, [job("b")])
    backlog.put([job("c")])
    backlog.lent += [ours, others]
    assert len(backlog) == 3
    assert [held.uid for held in backlog.take_back(NOBODY)] == ["a", "c"]
    assert len(backlog) == 1


@pytest.mark.trio
async def test_claims_are_taken_out_wherever_they_wait_and_the_others_keep_their_places() -> None:
    backlog, lent = Backlog(), Elsewhere(NOBODY, [job("a"), job("b")])
    backlog.put([job("c"), job("d"), job("c", OTHER), job("e")])
    backlog.aside.extend([job("f"), job("g")])
    backlog.lent += [lent, Elsewhere(OTHER, [job("b")])]
    everybodys = backlog.jobs
    out = backlog.take_out(NOBODY, {("b", 1), ("c", 1), ("e", 2), ("g", 1)})
    assert [held.uid for held in out] == ["b", "c", "g"]
    assert everybodys is backlog.jobs
    assert [(held.uid, held.by) for held in backlog.jobs] == [
        ("d", NOBODY), ("c", OTHER), ("e", NOBODY)
    ]  # fmt: skip
    assert [held.uid for held in (*lent.jobs, *backlog.aside)] == ["a", "f"]


@pytest.mark.trio
async def test_who_waits_for_few_jobs_is_told_when_they_are_taken_out() -> None:
    backlog = Backlog()
    backlog.put([job("a"), job("b")])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backlog.are_few, 1)
        await wait_all_tasks_blocked()
        backlog.take_out(NOBODY, {("a", 1)})


@pytest.mark.trio
async def test_what_is_put_back_comes_first_in_its_order() -> None:
    backlog = Backlog()
    backlog.put([job("c")])
    backlog.put_back([job("a"), job("b")])
    assert [held.uid for held in backlog.jobs] == ["a", "b", "c"]


@pytest.mark.trio
async def test_what_somebody_is_on_the_way_to_is_not_stale(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As when a handler has kept the whole loop from running for so long."""
    backlog, taken = Backlog(), list[str]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_all, backlog, taken)
        await wait_all_tasks_blocked()
        backlog.put([job("a")])
        autojump_clock.jump(2 * STALE_S)
        assert backlog.take_back_stale(NOBODY) == []
        await wait_all_tasks_blocked()
        assert taken == ["a"]
        backlog.close()
