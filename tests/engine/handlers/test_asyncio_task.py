"""A run in asyncio, when it is told to end."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest

from trioq.engine.handlers.asyncio_loop import _Stopped, _Task


@pytest.mark.parametrize(("grace_s", "later_s"), [(60.0, 30.0), (0.5, 1.0)])
def test_one_that_resists_is_told_again_at_half_of_its_grace_and_then_each_second(
    grace_s: float, later_s: float
) -> None:
    loop = asyncio.new_event_loop()
    told, over = list[str](), list[bool]()

    async def resists() -> None:
        while len(told) < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as error:
                told.extend(error.args)
        raise asyncio.CancelledError

    task = _Task("resists", resists, copy_context(), loop, lambda: over.append(True), grace_s)

    def turn() -> None:
        loop.run_until_complete(asyncio.sleep(0))

    def next_s() -> float:
        assert task._again is not None
        return task._again.when() - loop.time()

    task.begin()
    turn()
    now = loop.time()
    task.end("first")
    assert next_s() == pytest.approx(later_s, abs=loop.time() - now + 0.01)
    turn()
    now = loop.time()
    task.end("second")
    assert next_s() == pytest.approx(1.0, abs=loop.time() - now + 0.01)
    turn()
    task.end("third")
    loop.run_until_complete(asyncio.wait([task._task] if task._task else []))
    assert told == ["first", "second", "third"]
    assert over == [True]
    assert task._again is not None
    assert task._again.cancelled()
    assert isinstance(task.ended, _Stopped)
    loop.close()
