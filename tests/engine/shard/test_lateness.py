"""Which queues wait for longer than they should, as an engine sees."""

from __future__ import annotations

import random

import attrs
import pytest
import trio

from tests.scene import Scene
from tests.support import job_wanted_since
from trioq.core.fair import fair_key
from trioq.core.fairness import Shares
from trioq.engine.bridge import ThreadCaller
from trioq.engine.outage import Outage
from trioq.engine.shard.lateness import Lateness, every_s

DAY_MS = 24 * 3600 * 1000


@pytest.mark.trio
async def test_a_queue_is_late_by_the_age_of_its_next_job_of_whatever_kind(scene: Scene) -> None:
    shares = Shares([(name, None) for name in ("plain", "fair", "young", "empty", "free")])
    keyed, younger, fresh = (
        attrs.evolve(job_wanted_since(age * DAY_MS, queue), fair=fair_key(key))
        for age, queue, key in ((3, "fair", "a"), (1, "fair", "b"), (1, "plain", "a"))
    )
    scene.enqueue(
        job_wanted_since(6 * DAY_MS, "plain"),
        job_wanted_since(DAY_MS, "plain"),
        keyed,
        younger,
        fresh,
        job_wanted_since(DAY_MS, "young"),
        job_wanted_since(9 * DAY_MS, "free"),
    )
    lateness = Lateness(
        caller=ThreadCaller(scene.store, 5.0),
        server=scene.store,
        max_waits_s=dict.fromkeys(("plain", "fair", "young", "empty"), 2 * DAY_MS / 1000),
        shares=shares,
        outage=Outage(lambda event: None, random.random),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lateness.run)
        while not shares.late:  # noqa: ASYNC110 (nobody is told)
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert shares.late == {
        "plain": pytest.approx(3, abs=0.1),
        "fair": pytest.approx(1.5, abs=0.1),
    }


def test_it_looks_some_times_within_the_shortest_wait_but_never_all_the_time() -> None:
    assert every_s({"low": 10.0, "high": 2.0}) == 0.5
    assert every_s({"low": 3600.0}) == 5.0
    assert every_s({"low": 0.001}) == 0.05
