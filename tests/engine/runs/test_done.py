"""What is said of jobs that waited for nothing."""

from __future__ import annotations

import pytest
import trio

from tests.engine.virtual import World
from trioq.core.events import JobSucceeded
from trioq.core.formats import summary

pytestmark = pytest.mark.trio

Clock = trio.testing.MockClock

#: Around a microsecond, and a millisecond, where it is written in another way.
SECONDS = [0.0, 4e-7, 6e-7, 0.000_5, 0.000_999_4, 0.000_999_6, 0.001, 0.001_000_4, 0.25]


async def test_a_summary_says_how_long_its_job_took_however_long_that_was(
    autojump_clock: Clock, world: World
) -> None:
    @world.app.job("computes")
    async def computes(for_s: float) -> None:
        autojump_clock.jump(for_s)

    wanted = {
        world.enqueue("computes", payload={"for_s": seconds})[0]: seconds for seconds in SECONDS
    }
    await world.start()
    await world.reported(JobSucceeded, len(SECONDS))
    await world.until(lambda: world.count("done") == len(SECONDS))
    kept = [summary.decode(line) for line in world.dump().done]
    took = {done.uid: done.took_ms for done in kept if done}
    assert took == {uid: pytest.approx(s * 1000, abs=0.000_51) for uid, s in wanted.items()}
