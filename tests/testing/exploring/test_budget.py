"""What exploring takes."""

from __future__ import annotations

import trio

from trioq import App
from trioq.core.config import Config, QueueConfig
from trioq.testing import explore

CONFIG = Config(queues=(QueueConfig("default"),))

app: App[None] = App()


@app.job
async def sleep() -> None:
    await trio.sleep(1)


def test_pairs_of_faults_are_within_the_budget() -> None:
    alone = explore(sleep.call(), lambda: True, config=CONFIG, faults=["crash"])
    budget = alone.runs + 1  # of all, one has no fault: so there are two pairs
    pairs = explore(
        sleep.call(), lambda: True, config=CONFIG, faults=["crash"], pairs=True, budget=budget
    )
    assert pairs.runs == 1 + budget
