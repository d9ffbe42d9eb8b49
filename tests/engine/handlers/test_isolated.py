"""What a handler sees of its job and of context variables, and leaves to nobody."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
import trio

from tests.engine.handlers.attempts import (
    BOTH,
    as_async,
    job_with,
    outcome_of,
)
from trioq.core.outcome import Succeeded
from trioq.engine.handlers import (
    current_job,
)
from trioq.engine.handlers.isolated import Isolated


@BOTH
@pytest.mark.trio
async def test_current_job_is_the_job_that_runs(kind: Any) -> None:
    job = job_with()

    outcome = await outcome_of(kind(current_job), job=job)

    assert outcome == Succeeded(job)


@pytest.mark.trio
async def test_current_job_is_seen_in_tasks_and_threads_of_the_handler() -> None:
    seen = []

    async def child() -> None:
        await trio.lowlevel.checkpoint()
        seen.append(current_job())

    async def handler() -> None:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        seen.append(await trio.to_thread.run_sync(current_job))

    job = job_with()
    await outcome_of(handler, job=job)

    assert seen == [job, job]


@pytest.mark.trio
async def test_outside_of_a_handler_there_is_no_current_job() -> None:
    await outcome_of(as_async(current_job))

    with pytest.raises(LookupError, match="for handlers"):
        current_job()


colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


@BOTH
@pytest.mark.trio
async def test_context_variables_of_a_handler_are_gone_for_the_next(kind: Any) -> None:
    def paint() -> str:
        colour.set("red")
        return colour.get()

    assert await outcome_of(kind(paint)) == Succeeded("red")
    assert await outcome_of(kind(colour.get)) == Succeeded("none")
    assert colour.get() == "none"


@pytest.mark.trio
async def test_context_variables_survive_the_handlers_waits(autojump_clock: object) -> None:
    async def handler() -> str:
        colour.set("red")
        await trio.sleep(1)
        with trio.move_on_after(1):
            await trio.sleep_forever()
        return colour.get()

    assert await outcome_of(handler) == Succeeded("red")


class Foreign:
    """Something to await that isn't trio's."""

    def __await__(self) -> Any:
        yield "a message that trio doesn't know"


@pytest.mark.trio
async def test_context_variables_are_there_when_trio_throws_into_the_handler() -> None:
    async def handler() -> str:
        colour.set("red")
        try:
            await Foreign()
        except TypeError:
            return colour.get()
        return "not thrown"

    assert await outcome_of(handler) == Succeeded("red")


def test_an_isolated_coroutine_that_is_closed_cleans_up_in_its_context() -> None:
    seen = []

    async def inner() -> None:
        colour.set("red")
        try:
            await trio.lowlevel.cancel_shielded_checkpoint()
        finally:
            seen.append(colour.get())

    async def outer() -> None:
        await Isolated(inner(), contextvars.copy_context())

    coroutine = outer()
    coroutine.send(None)
    coroutine.close()

    assert seen == ["red"]


@pytest.mark.trio
async def test_a_waiting_handler_can_be_seen_in_its_task(autojump_clock: object) -> None:
    seen: list[str] = []

    async def look(task: trio.lowlevel.Task) -> None:
        await trio.sleep(1)
        seen.extend(frame.f_code.co_name for frame, _ in task.iter_await_frames())

    async def handler_that_waits() -> None:
        await trio.sleep(2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look, trio.lowlevel.current_task())
        await outcome_of(handler_that_waits)

    assert seen.index("go_on") < seen.index("handler_that_waits") < seen.index("sleep")
