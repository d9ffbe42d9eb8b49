"""What is asked before a handler is called: what it needs is waited for, what is nice isn't."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.engine.virtual import PlainCaller, World
from tests.store.drive import Driver
from tests.support import new_job
from trioq.core.events import RedisAway
from trioq.core.formats.history import Attempt, encode
from trioq.core.outcome import Error
from trioq.core.settlements import RetryAt
from trioq.engine.fetch import LINK_S, Fetch
from trioq.engine.outage import Outage
from trioq.errors import RecordUnreadable, StoreBusy, StoreUnreachable

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def fetch_from(world: World) -> tuple[Fetch, Any]:
    link: Any = world.link()
    return Fetch(PlainCaller(link), Outage(world.report, lambda: 1.0)), link


def failed(world: World) -> str:
    """A job with one attempt behind it, which was traced."""
    driver = Driver(world.store)
    job = new_job()
    world.store.enqueue("sender", 1, [job])
    driver.step(1)
    line = encode(Attempt(1, Error("ValueError", "boo"), driver.engine, 1000, None, TRACE))
    driver.step(0, RetryAt(job.uid, driver.n, 0, 1, line))
    return job.uid


async def test_the_attempt_before_is_named_by_the_history(world: World) -> None:
    fetch, _ = fetch_from(world)
    assert await fetch.trace_before(failed(world)) == TRACE
    assert await fetch.trace_before("nobody") is None


@pytest.mark.parametrize("error", [StoreUnreachable("cut"), StoreBusy("LOADING")])
async def test_an_attempt_before_that_is_not_told_of_holds_no_run_up(
    world: World, error: Exception
) -> None:
    fetch, _ = fetch_from(world)

    def history(uid: str) -> bytes:
        raise error

    world.store.history = history  # type: ignore[method-assign]
    assert await fetch.trace_before(failed(world)) is None


async def test_nor_does_one_that_is_long_in_coming(autojump_clock: Clock, world: World) -> None:
    class Slow(PlainCaller):
        async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
            await trio.sleep(10 * LINK_S)
            return await super().call(function, *args, **kwargs)

    link: Any = world.link()
    fetch = Fetch(Slow(link), Outage(world.report, lambda: 1.0))
    uid, began = failed(world), trio.current_time()
    assert await fetch.trace_before(uid) is None
    assert trio.current_time() - began == pytest.approx(LINK_S)


async def test_a_payload_is_asked_for_until_there_is_an_answer(
    autojump_clock: Clock, world: World
) -> None:
    fetch, link = fetch_from(world)
    world.enqueue("noop", payload={"text": "x" * 10_000})
    (uid,) = world.jobs
    link.cut()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def mend() -> None:
            await world.reported(RedisAway)
            link.mend()

        payload = await fetch.payload(uid)
    assert len(payload) > 10_000
    with pytest.raises(RecordUnreadable, match="its payload is gone"):
        await fetch.payload("nobody")
