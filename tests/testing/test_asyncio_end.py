"""What handlers in asyncio leave behind ends with the run."""

from __future__ import annotations

import asyncio

from tests.testing.jobs import put
from trioq.core.events import JobSucceeded
from trioq.testing import World


def test_tasks_that_a_handler_has_left_are_cancelled_when_the_run_is_over(tq: World) -> None:
    ended: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    @tq.app.job(runtime="asyncio")
    async def leave() -> None:
        async def stay() -> None:
            try:
                await asyncio.sleep(1e6)
            finally:
                ended.append("stay")

        tasks.append(asyncio.create_task(stay()))
        await asyncio.sleep(1)

    async def drain() -> None:
        assert (await tq.drain()).done == 1
        assert ended == []
        assert len(tq.of(JobSucceeded)) == 1

    put(tq, "leave")
    tq.run(drain)
    assert ended == ["stay"]
    assert tasks[0].cancelled()
