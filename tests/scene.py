"""Jobs where a test wants them: waiting, dead, many."""

from __future__ import annotations

from typing import Self

import attrs

from tests.store.drive import Driver, Sender, line
from tests.support import new_job
from trioq.core.calls import NewJob
from trioq.core.outcome import DeadReason
from trioq.core.settlements import DeadLetter
from trioq.store.redis import RedisStore


@attrs.define
class Scene:
    """Makes jobs lie where a test wants them."""

    store: RedisStore
    sender: Sender
    driver: Driver

    @classmethod
    def on(cls, store: RedisStore) -> Self:
        return cls(store, Sender(store), Driver(store))

    def enqueue(self, *jobs: NewJob) -> list[str]:
        return self.sender.enqueue(*jobs)

    def dead(
        self, *jobs: NewJob, message: str = "no such file", reason: DeadReason = "failures"
    ) -> list[str]:
        """Enqueue these, which must be the only ones, and let them die."""
        uids = self.sender.enqueue(*jobs)
        claims = self.driver.step(len(jobs))
        assert sorted(claim.uid for claim in claims) == sorted(uids)
        letters = [DeadLetter(c.uid, self.driver.n, 1, reason, line(message)) for c in claims]
        self.driver.step(0, *letters)
        return uids

    def many_dead(self, count: int, queue: str = "low") -> None:
        """So many at once, without having lived."""
        job, keys = new_job(queue), self.store.keys
        for start in range(0, count, 1000):
            uids = [f"{n:032x}" for n in range(start, min(start + 1000, count))]
            records = [part for uid in uids for part in (uid, job.stored)]
            deaths = [part for n, uid in enumerate(uids, start + 1) for part in (n, uid)]
            self.store.lane.call("HSET", keys.fixed("jobs"), *records)
            self.store.lane.call("ZADD", keys.fixed("dead"), *deaths)
