"""Who waits for room in a full queue, and doesn't wait to the end, leaves its place to others."""

from __future__ import annotations

import pytest
import trio

from trioq.core.config import Config, QueueConfig
from trioq.store.memory import MemoryStore
from trioq.testing import World


@pytest.fixture
def trioq_config() -> Config:
    return Config(queues=(QueueConfig("small", max_length=1, when_full="wait"),))


async def test_who_is_cancelled_meanwhile_stands_in_line_no_longer(tq: World) -> None:
    @tq.app.job
    async def charge() -> None: ...

    await tq.client.enqueue(charge.call(), queue="small")
    its = tq.space.its
    if not isinstance(its, MemoryStore):
        pytest.skip("the line is looked at in the model")
    with trio.move_on_after(5) as scope:
        await tq.client.enqueue(charge.call(), queue="small")
    assert scope.cancelled_caught
    assert not its.space.line
