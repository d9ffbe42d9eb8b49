"""Enqueues what the producer finds, no faster than all producers together may.

The permits are granted by the script that enqueues, on the server's clock, so that the
limit holds exactly and for any number of producers. This task keeps the order, waits for
permits and outlives outages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import attrs
import trio

from trioq.core.calls import Enqueued, Enqueuer, NewJob, Rate
from trioq.core.events import EnqueueRefused, FilesEnqueued, LimiterWaited, Report
from trioq.core.numbering import Numbering
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import QueueFull

#: Jobs in one request. A limited one is no larger than the burst, for more permits than that
#: there never are at once.
BATCH = 200

#: Where a queue is full, it is tried again after so long, which keeps the place in line.
FULL_S = 1.0

#: Waiters for the same permit spread over this part of an interval.
JITTER = 0.1


@attrs.define
class Limiter:
    """Takes batches from a channel and enqueues them.

    Args:
      rate: What the producers of the namespace may enqueue together; None: no limit.
    """

    caller: Caller
    rate: Rate | None
    outage: Outage
    report: Report
    random: Callable[[], float]
    _numbering: Numbering = attrs.field(factory=Numbering, init=False)
    _who: Enqueuer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        # It doesn't listen for what it would be told.
        self._who = Enqueuer(self._numbering.sender)

    async def run(self, batches: trio.MemoryReceiveChannel[Sequence[NewJob]]) -> None:
        """Enqueue until the channel closes.

        Cancellation: a request in flight may or may not be executed; files that were enqueued
        are remembered with it, so the next scan knows.
        """
        async with batches:
            async for jobs in batches:
                await self._enqueue_all(jobs)

    async def _enqueue_all(self, jobs: Sequence[NewJob]) -> None:
        size = BATCH if self.rate is None else min(BATCH, self.rate.burst)
        while jobs:
            batch = jobs[:size]
            try:
                enqueued = await self._enqueue(batch)
            except QueueFull as error:
                self.report(EnqueueRefused(str(error)))
                if error.jobs > error.max_length > 0:
                    size = error.max_length  # more never fit
                else:
                    await trio.sleep(FULL_S)
                continue
            for queue, count in _written(batch, enqueued).items():
                self.report(FilesEnqueued(queue, count))
            jobs = jobs[enqueued.taken :]
            if enqueued.wait_us and self.rate:
                spread_us = self.rate.interval_us * JITTER * self.random()
                wait_s = (enqueued.wait_us + spread_us) / 1e6
                self.report(LimiterWaited(self.rate.name, wait_s))
                await trio.sleep(wait_s)

    async def _enqueue(self, batch: Sequence[NewJob]) -> Enqueued:
        """One numbered request, re-sent until it is answered."""
        sender, number = self._numbering.next()
        caller = self.caller
        return await self.outage.until_answered(
            "produce",
            lambda: caller.call(
                caller.store.enqueue, sender, number, batch, rate=self.rate, who=self._who
            ),
        )


def _written(batch: Sequence[NewJob], enqueued: Enqueued) -> Counter[str]:
    """How many jobs are new in each queue."""
    return Counter(
        job.queue
        for i, job in enumerate(batch[: enqueued.taken])
        if i not in enqueued.seen and i not in enqueued.existing
    )
