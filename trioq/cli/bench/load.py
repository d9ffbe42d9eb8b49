"""What a benchmark offers, and when: pure but for the client it is handed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from trioq.cli.bench.app import NAME
from trioq.client.outbox import BATCH_JOBS
from trioq.client.sync import SyncClient
from trioq.core.call import Call
from trioq.core.job import Uid

#: What a payload is padded with: text that doesn't compress to nothing.
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

NS = 1_000_000_000


@attrs.frozen
class Load:
    """Jobs that differ in their number, and arrive when they are due, whatever happens to others.

    A generator that waits for answers would offer less to a slow system, and then find it
    quick (Gil Tene's "coordinated omission"). So a job's times count from when it was due.
    """

    jobs: int
    rate: float
    """Jobs per second; 0: as fast as they can be enqueued."""
    payload_bytes: int
    queues: tuple[str, ...]
    """Where they go, in a random order that the seed decides."""
    seed: int
    work_s: float = 0.0
    jitter: float = 0.0
    """The part of the time between two jobs that is random."""
    job: tuple[str, dict[str, Any]] | None = None
    """A job of somebody's and its payload; None: the benchmark's own."""

    def dues_ns(self) -> Iterator[int]:
        """When each job is due, from the beginning."""
        random_ = random.Random(f"{self.seed} dues")
        for i in range(self.jobs):
            wait = self.jitter * random_.random()
            yield int((i + wait) / self.rate * NS) if self.rate else 0

    def places(self) -> Iterator[tuple[str, str]]:
        """The queue of each job, and the padding of its payload."""
        random_ = random.Random(f"{self.seed} places")
        noise = "".join(random_.choices(_ALPHABET, k=2 * self.payload_bytes))
        for _ in range(self.jobs):
            start = random_.randrange(self.payload_bytes + 1)
            yield random_.choice(self.queues), noise[start : start + self.payload_bytes]

    def call(self, i: int, at_ns: int, queue: str, pad: str) -> Call:
        """Job ``i``, due at ``at_ns``; its payload is longer only if its numbers need that."""
        if self.job is not None:
            return Call(*self.job, queue)
        payload = {"i": i, "at": at_ns, "work": self.work_s, "pad": ""}
        room = self.payload_bytes - len(json.dumps(payload, separators=(",", ":")))
        return Call(NAME, {**payload, "pad": pad[: max(0, room)]}, queue)


@attrs.frozen
class Offered:
    """What was enqueued."""

    began_ns: int
    """When the first was due."""
    took_s: float
    """Until the last was answered."""
    calls_s: tuple[float, ...]
    """How long each call of the client took."""


def offer(
    client: SyncClient,
    load: Load,
    told: Callable[[int], object],
    made: dict[Uid, int] | None = None,
) -> Offered:
    """Enqueue all of a load, each job when it's due or as soon after as can be.

    Args:
      told: Is told after each call how many are enqueued.
      made: Gets each job, and when it was due.
    """
    began = time.monotonic_ns()
    calls_s = []
    batch: list[tuple[int, Call]] = []
    enqueued = 0

    def send() -> None:
        nonlocal enqueued
        before = time.perf_counter()
        if len(batch) == 1:
            handles = [client.enqueue(batch[0][1])]
        else:
            handles = client.enqueue_many([call for _, call in batch])
        if made is not None:
            made.update({h.uid: at for h, (at, _) in zip(handles, batch, strict=True)})
        calls_s.append(time.perf_counter() - before)
        enqueued += len(batch)
        batch.clear()
        told(enqueued)

    for i, (due, (queue, pad)) in enumerate(zip(load.dues_ns(), load.places(), strict=True)):
        now = time.monotonic_ns()
        at = began + due if load.rate else now
        if batch and (at > now or len(batch) >= BATCH_JOBS):
            send()
        while (wait := at - time.monotonic_ns()) > 0:
            time.sleep(wait / NS)
        batch.append((at, load.call(i, at, queue, pad)))
    send()
    return Offered(began, (time.monotonic_ns() - began) / NS, tuple(calls_s))
