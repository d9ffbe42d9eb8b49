"""An engine in this process, an app that counts its jobs, and the rate between two counts."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import trio

from benchmarks.support import Bench
from trioq import App, Call, Engine, connect_sync
from trioq.core.calls import NewJob
from trioq.core.config import Config
from trioq.core.formats.record import encode
from trioq.core.job import Record, new_uid
from trioq.observe.log_setup import logger
from trioq.observe.logs import LogLines


@attrs.define
class Tally:
    """Counts jobs, and notes when the second tenth of them begins and the last one does.

    An engine that starts, and one that has too few left for all its workers, doesn't count.
    """

    jobs: int
    app: App = attrs.field(factory=App)
    done: int = 0
    all_done: trio.Event = attrs.field(factory=trio.Event)
    _times: dict[int, float] = attrs.field(factory=dict[int, float])
    _lock: threading.Lock = attrs.field(factory=threading.Lock)
    _token: trio.lowlevel.TrioToken | None = None

    @property
    def _marks(self) -> tuple[int, int]:
        tenth = max(1, self.jobs // 10)
        return tenth, self.jobs - tenth

    def one(self) -> None:
        """A job ran, in the loop."""
        self.done += 1
        if self.done in self._marks:
            self._times[self.done] = time.perf_counter()
        if self.done == self.jobs:
            self.all_done.set()

    def one_in_thread(self) -> None:
        """A job ran, in a thread."""
        with self._lock:
            self.done += 1
            if self.done in self._marks:
                self._times[self.done] = time.perf_counter()
            if self.done == self.jobs and self._token is not None:
                self._token.run_sync_soon(self.all_done.set)

    @property
    def rate(self) -> float:
        """Jobs per second."""
        first, last = self._marks
        return (last - first) / (self._times[last] - self._times[first])

    async def run(self, config: Config, *, drain: bool = True) -> None:
        """Run an engine until all jobs have run.

        Args:
          drain: Settle all that it holds, too; else it gives back what is more than ours.
        """
        self._token = trio.lowlevel.current_trio_token()
        with open(os.devnull, "w") as log:  # noqa: ASYNC230
            report = LogLines(logger("info", "json", log))
            async with trio.open_nursery() as nursery:
                engine = await nursery.start(Engine(self.app, config, report=report).run)
                await self.all_done.wait()
                if drain:
                    engine.drain()
                else:
                    nursery.cancel_scope.cancel()


def with_workers(config: Config, count: int) -> Config:
    return attrs.evolve(config, worker=attrs.evolve(config.worker, count=count))


def with_metrics(config: Config) -> Config:
    """Served at a port that is free."""
    served = attrs.evolve(config.observability, bind="127.0.0.1:0")
    return attrs.evolve(config, observability=served)


def enqueue(b: Bench, calls: Iterable[Call]) -> None:
    with connect_sync(b.config) as client:
        client.enqueue_many(calls)


def enqueue_asking(b: Bench, call: Call, jobs: int, asks: Callable[[int], dict[str, Any]]) -> None:
    payload, now_ms = json.dumps(call.payload).encode(), time.time_ns() // 1_000_000
    with connect_sync(b.config) as client:
        for start in range(0, jobs, 500):
            made = []
            for n in range(start, min(jobs, start + 500)):
                record = Record(new_uid(), call.name, "low", payload, enqueued_ms=now_ms, **asks(n))
                made.append(NewJob(record.uid, "low", *encode(record), id=record.id))
            client.send(made)


def drained(
    b: Bench,
    register: Callable[[Tally], None],
    call: Call,
    jobs: int,
    *,
    workers: int = 16,
    asks: Callable[[int], dict[str, Any]] | None = None,
    calls: Iterable[Call] | None = None,
) -> float:
    """Jobs per second of an engine with everything on.

    Args:
      register: Puts the handler into the tally's app.
      asks: What the record of the n-th job says of its own.
      calls: Of each job, instead of the same for all.
    """
    b.clear()
    tally = Tally(jobs)
    register(tally)
    if asks is None:
        enqueue(b, (call for _ in range(jobs)) if calls is None else calls)
    else:
        enqueue_asking(b, call, jobs, asks)
    trio.run(tally.run, with_workers(with_metrics(b.config), workers))
    return tally.rate
