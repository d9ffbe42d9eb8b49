"""The explorer finds what is wrong, at its line, and is silent about what is right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import trio

from tests.testing.exploring import right, wrong
from trioq import App
from trioq.core.config import Config, QueueConfig
from trioq.testing import Counterexample, Unsteady, explore

CONFIG = Config(queues=(QueueConfig("default"),))

#: Handlers with many steps.
TAKE_LONG = (right.count, right.parent)


def _name(value: Any) -> str:
    return getattr(value, "__name__", str(value))


def line_of(handler: Any, comment: str) -> int:
    """The line of a handler that has this comment."""
    return line_of_code(handler.registered.function.__code__, comment)


def line_of_code(code: CodeType, comment: str) -> int:
    lines = Path(code.co_filename).read_text().splitlines()
    rest = enumerate(lines[code.co_firstlineno :], code.co_firstlineno + 1)
    return next(number for number, line in rest if line.endswith(f"# {comment}"))


@pytest.mark.parametrize(("handler", "invariant", "fault"), wrong.WRONG, ids=_name)
def test_what_is_wrong_is_found_at_its_line(handler: Any, invariant: Any, fault: str) -> None:
    # Who leaves a lock behind does so in a crash, too, which would be told first.
    faults = ["cancel"] if fault == "cancel" else ["crash", "cancel", "freeze", "lost"]
    with pytest.raises(Counterexample) as raised:
        explore(
            handler.call(order=7), invariant, world=wrong.world, app=wrong.app, config=CONFIG,
            faults=faults,
        )  # fmt: skip
    assert raised.value.where.startswith(f"wrong.py:{line_of(handler, fault)}, ")
    assert raised.value.step.split("@")[0] == fault
    assert raised.value.step in str(raised.value)


@pytest.mark.parametrize(
    ("handler", "invariant"),
    [
        pytest.param(*each, marks=[pytest.mark.long] if each[0] in TAKE_LONG else [])
        for each in right.RIGHT
    ],
    ids=_name,
)
def test_of_what_is_right_nothing_is_said(handler: Any, invariant: Any) -> None:
    explored = explore(
        handler.call(order=7), invariant, world=right.world, app=right.app, config=CONFIG
    )
    assert explored.runs > 10
    assert explored.left_out == 0


def test_what_is_wrong_in_a_turn_of_a_loop_is_found() -> None:
    seen: list[str] = []
    app: App[None] = App()

    async def tell(what: str) -> None:
        seen.append(what)

    @app.job
    async def all_of_them() -> None:
        if seen[-1:] == ["half"]:
            seen.append("lost")
        for what in ("", "", "half", "whole", "", ""):
            await tell(what)

    with pytest.raises(Counterexample, match="after await tell") as raised:
        explore(
            all_of_them.call(), lambda: "lost" not in seen, world=seen.clear, config=CONFIG,
            faults=["crash"],
        )  # fmt: skip
    assert raised.value.step == "crash@4"


def test_a_dead_engine_tells_nothing_more() -> None:
    with pytest.raises(Counterexample) as raised:
        explore(
            wrong.charge.call(order=7), wrong.charged_once, world=wrong.world, app=wrong.app,
            config=CONFIG, faults=["crash"],
        )  # fmt: skip
    _, _, after = str(raised.value).partition("crash: engine 1\n")
    lines = [line.split("s  ")[1] for line in after.partition("\n\n")[0].splitlines()]
    assert lines[:3] == [
        "another engine starts",
        "an engine is found dead; 1 of its jobs are ready again",
        f"engine 2: wrong.py:{line_of(wrong.charge, 'crash') - 2}, before its first line",
    ]


def test_who_waits_for_a_thread_may_be_stopped() -> None:
    """It has no thread while it is: time would pass as in reality."""
    done: set[int] = set()
    app: App[None] = App()

    @app.job
    async def aside(order: int) -> None:
        await trio.to_thread.run_sync(done.add, order)

    began = time.monotonic()
    explored = explore(aside.call(order=7), lambda: done == {7}, world=done.clear, config=CONFIG)
    assert [step.split(", ")[1] for step in explored.steps[1:3]] == [
        "in await trio.to_thread.run_sync",
        "after await trio.to_thread.run_sync",
    ]
    assert time.monotonic() - began < 60


@pytest.mark.long
def test_pairs_of_faults_say_nothing_of_what_is_right() -> None:
    call = right.charge.call(order=7)
    alone = explore(call, right.charged_once, world=right.world, config=CONFIG, faults=["crash"])
    pairs = explore(
        call, right.charged_once, world=right.world, config=CONFIG, faults=["crash"], pairs=True
    )
    assert pairs.runs > alone.runs


def test_what_is_wrong_only_if_two_things_go_wrong_is_found_by_pairs() -> None:
    starts: list[int] = []

    async def handler() -> None:
        starts.append(1)
        await trio.sleep(1)

    def often() -> None:
        assert len(starts) < 3

    app: App[None] = App()
    call = app.job(handler).call()
    explore(call, often, world=starts.clear, config=CONFIG, faults=["crash"])
    with pytest.raises(Counterexample) as raised:
        explore(call, often, world=starts.clear, config=CONFIG, faults=["crash"], pairs=True)
    assert raised.value.step.count("crash@") == 2


def test_no_code_of_a_dead_process_acts() -> None:
    """Neither an ``except`` nor a ``finally`` nor what leaves a ``with``."""
    acted: list[str] = []
    app: App[None] = App()

    class Around:
        async def __aenter__(self) -> None:
            pass

        async def __aexit__(self, *error: object) -> None:
            acted.append("left")

    @app.job
    async def careful() -> None:
        acted.append("began")
        try:
            async with Around():
                await trio.sleep(1)
        except BaseException:
            acted.append("except")
            raise
        finally:
            acted.append("finally")

    def nothing_half() -> None:
        began = acted.count("began")
        for what in ("left", "finally"):
            assert began - acted.count(what) <= 1
        assert "except" not in acted

    explored = explore(
        careful.call(), nothing_half, world=acted.clear, config=CONFIG, faults=["crash"]
    )
    assert [step.split(", ", 1)[1] for step in explored.steps] == [
        "before its first line",
        "in async with Around, once it is entered",
        "in await trio.sleep",
        "after await trio.sleep",
        "after async with Around",
        "after its return, before its job is settled",
    ]
    with pytest.raises(Counterexample):
        explore(
            careful.call(), lambda: "except" not in acted, world=acted.clear, config=CONFIG,
            faults=["cancel"],
        )  # fmt: skip


def test_what_a_dead_handlers_tasks_do_is_not_done() -> None:
    done: list[int] = []
    app: App[None] = App()

    @app.job
    async def family() -> None:
        async def write(number: int) -> None:
            await trio.sleep(number)
            done.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, 1)
            nursery.start_soon(write, 2)

    def at_most_twice() -> None:
        assert done.count(2) <= 2

    explored = explore(family.call(), at_most_twice, world=done.clear, config=CONFIG)
    assert any("in await trio.sleep" in step for step in explored.steps)


def test_a_plain_handler_is_stopped_where_it_has_called_something() -> None:
    rows: list[int] = []
    app: App[None] = App()

    @app.job
    def insert(order: int) -> None:
        rows.append(order)
        rows.sort()

    with pytest.raises(Counterexample, match=r"after rows\.append") as raised:
        explore(insert.call(order=7), lambda: rows == [7], world=rows.clear, config=CONFIG)
    assert raised.value.step == "crash@2"


def test_a_plain_handler_that_stood_still_goes_on() -> None:
    rows: list[int] = []
    app: App[None] = App()

    @app.job
    def insert(order: int) -> None:
        if not rows:
            order = int(order)
            rows.append(order)

    explore(insert.call(order=7), lambda: rows == [7], world=rows.clear, config=CONFIG,
            faults=["crash"])  # fmt: skip
    with pytest.raises(Counterexample, match="after int") as raised:
        explore(insert.call(order=7), lambda: rows == [7], world=rows.clear, config=CONFIG,
                faults=["freeze"])  # fmt: skip
    assert raised.value.step.startswith("freeze@")


def test_a_handler_in_asyncio_is_explored() -> None:
    done: list[int] = []
    app: App[None] = App(runtime="asyncio")

    @app.job
    async def twice(order: int) -> None:
        done.append(order)
        await asyncio.sleep(1)

    with pytest.raises(Counterexample, match=r"in await asyncio\.sleep"):
        explore(twice.call(order=7), lambda: done == [7], world=done.clear, config=CONFIG)
    done.clear()
    explore(twice.call(order=7), lambda: set(done) == {7}, world=done.clear, config=CONFIG)


async def _in_a_group(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(work())


@pytest.mark.parametrize(
    "wait",
    [
        lambda work: asyncio.wait_for(work(), 5),
        lambda work: asyncio.gather(work()),
        _in_a_group,
    ],
    ids=["wait_for", "gather", "group"],
)
def test_tasks_of_a_handler_in_asyncio_are_explored(wait: Callable[[Any], Any]) -> None:
    charged: list[int] = []
    known: set[int] = set()
    app: App[None] = App(runtime="asyncio")

    async def charge(order: int) -> None:
        if order not in known:
            await asyncio.sleep(1)
            charged.append(order)
            await asyncio.sleep(1)  # the fault
            known.add(order)

    @app.job
    async def pay(order: int) -> None:
        await wait(lambda: charge(order))

    def world() -> None:
        charged.clear()
        known.clear()

    fault = line_of_code(charge.__code__, "the fault")
    with pytest.raises(Counterexample) as raised:
        explore(pay.call(order=7), lambda: charged == [7], world=world, config=CONFIG)
    assert raised.value.where == f"test_explore.py:{fault}, in await asyncio.sleep"


def test_a_thread_that_nobody_hears_of_holds_no_time() -> None:
    done: list[int] = []
    app: App[None] = App()

    @app.job
    async def resize(order: int) -> None:
        await trio.to_thread.run_sync(done.append, order)

    began = time.monotonic()
    explore(resize.call(order=7), lambda: set(done) == {7}, world=done.clear, config=CONFIG,
            faults=["freeze"])  # fmt: skip
    assert time.monotonic() - began < 60  # a lease has 240 s


def test_who_differs_from_run_to_run_is_told_so() -> None:
    runs: list[int] = []
    app: App[None] = App()

    @app.job
    async def moody() -> None:
        runs.append(1)
        if len(runs) == 1:
            await trio.sleep(1)
        await trio.lowlevel.checkpoint()

    with pytest.raises(Unsteady, match="doesn't come by the same steps each time"):
        explore(moody.call(), lambda: True, config=CONFIG, faults=["crash"])


def test_the_code_is_what_it_was_when_all_is_over() -> None:
    before = right.pure.registered.function.__code__
    explore(right.pure.call(order=7), lambda: True, app=right.app, config=CONFIG, budget=2)
    assert right.pure.registered.function.__code__ is before


@pytest.mark.trio
async def test_in_a_loop_it_may_be_awaited() -> None:
    explored = await explore(
        right.upsert.call(order=7), right.one_row, world=right.world, config=CONFIG, budget=5
    )
    assert explored.runs == 6
    assert explored.left_out > 0
