"""What an engine has claimed ahead of its workers doesn't stay with it while others have time."""

from __future__ import annotations

import pytest
import trio

from tests.engine.virtual import World, calm
from trioq.app import App

pytestmark = pytest.mark.trio


async def test_long_jobs_behind_short_ones_are_left_to_whoever_has_workers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    app = App()

    @app.job("short")
    async def short() -> None:
        await trio.sleep(0.0001)

    @app.job("long")
    async def long() -> None:
        await trio.sleep(0.6)

    async with trio.open_nursery() as nursery:
        w = World(nursery, app, config=calm(count=2))
        await w.start()
        await w.start()
        w.enqueue("short", 2000)
        await w.until(lambda: w.count("done") == 2000)
        w.enqueue("long", 40)
        began = w.now
        await w.until(lambda: w.count("done") == 2040)
        # Ten rounds of four workers; half a second until those that lay ahead are given back.
        assert w.now - began < 10 * 0.6 + 1.5
        nursery.cancel_scope.cancel()
