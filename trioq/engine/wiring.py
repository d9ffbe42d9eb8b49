"""Makes the tasks of an engine and hands each what it needs of the others.

Siblings don't import each other; what they share passes through here. Some outlive every
boot and are made once, the others are made anew with each boot.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from trioq.core.calls import Beat, Gone, NewJob
from trioq.core.config import Config
from trioq.core.events import EngineStarted, Report
from trioq.core.fairness import order
from trioq.core.formats import engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.formats.snapshot import Snapshot
from trioq.core.pacemaker import Pacemaker
from trioq.engine import from_config
from trioq.engine.backlog import Backlog
from trioq.engine.bridge import Access
from trioq.engine.handlers import Handler
from trioq.engine.outage import Outage
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.worker import Workers
from trioq.engine.sampler import Sampler
from trioq.engine.shard.bell import listen
from trioq.engine.shard.boot import Boot
from trioq.engine.shard.dispatcher import Dispatcher
from trioq.engine.shard.heartbeat import Heartbeat
from trioq.engine.shard.reaper import Reaper
from trioq.engine.shard.scheduler import Scheduler
from trioq.engine.snapshot import Recent
from trioq.engine.sources.directory import Producer
from trioq.engine.sources.sender import Limiter
from trioq.engine.tracer import Tracer
from trioq.store.redis import RedisStore


@attrs.define(eq=False)
class Assembly:
    """All tasks of one engine."""

    config: Config
    handlers: Mapping[str, Handler]
    access: Access
    report: Report
    clock: Callable[[], float]
    tracer: Tracer | None
    name: str
    http: str

    outage: Outage = attrs.field(init=False)
    breakers: Breakers = attrs.field(init=False)
    recent: Recent = attrs.field(factory=Recent, init=False)
    scheduler: Scheduler = attrs.field(init=False)
    sampler: Sampler | None = attrs.field(default=None, init=False)
    dispatcher: Dispatcher | None = attrs.field(default=None, init=False)
    """Of the boot that lives, or lived last."""
    workers: Workers | None = attrs.field(default=None, init=False)
    """The same boot's."""

    @outage.default
    def _make_outage(self) -> Outage:
        return Outage(self.report, random.random)

    @breakers.default
    def _make_breakers(self) -> Breakers:
        return Breakers(from_config.breaker_settings(self.config), self.report, self._poke)

    @scheduler.default
    def _make_scheduler(self) -> Scheduler:
        return Scheduler(
            self.access("watch"),
            lambda: self.dispatcher.next_due if self.dispatcher else float("inf"),
            lambda: self.dispatcher.parked if self.dispatcher else (),
            self._poke,
            self.config.worker.unknown_name_after_s,
            self.outage,
            self.report,
        )

    # -- made once -------------------------------------------------------------------------

    def reaper(self) -> Reaper:
        worker = self.config.worker
        return Reaper(
            self.access("watch"),
            lambda: self.dispatcher.engine if self.dispatcher else "",
            self._span,
            worker.lease_s,
            self.config.reaper.interval_s,
            worker.max_reaps,
            self.outage,
            self.report,
        )

    def start_sampling(
        self,
        services: trio.Nursery,
        idle: Callable[[], tuple[int, int] | None],
        shown: Callable[[], tuple[str, Snapshot] | None],
    ) -> None:
        """Measure, where there is a server to be measured."""
        caller = self.access("sample")
        if not isinstance(caller.store, RedisStore):
            return
        self.sampler = Sampler(
            caller,
            self.name,
            self.config.queue_names,
            from_config.unlimited_queues(self.config),
            from_config.rate(self.config),
            self.config.observability.queue_sample_interval_s,
            idle,
            shown,
            self.outage,
            self.report,
            self.clock,
        )
        services.start_soon(self.sampler.run)

    async def produce(self) -> None:
        """Scan, and enqueue at the shared rate, until the producer is through."""
        config = self.config.producer
        assert config is not None
        send, receive = trio.open_memory_channel[Sequence[NewJob]](0)
        rate = from_config.rate(self.config)
        limiter = Limiter(self.access("produce"), rate, self.outage, self.report, random.random)
        producer = Producer(
            self.access("scan"),
            from_config.scan_rules(self.config, config),
            config.job,
            config.watch,
            config.scan_interval_s,
            self.outage,
            self.report,
            send,
            self.tracer,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(limiter.run, receive)
            nursery.start_soon(producer.run)

    # -- made with each boot ---------------------------------------------------------------

    def boot(self) -> Boot:
        """A name that nobody has had."""
        return Boot(f"{self.name}.{secrets.token_hex(16)}")

    def tasks(self, boot: Boot, pacemaker: Pacemaker) -> tuple[Dispatcher, Heartbeat, Workers]:
        """What drives one boot."""
        backlog = Backlog()
        self.dispatcher = self._dispatcher(boot, backlog, pacemaker)
        heartbeat = self._heartbeat(boot, self.dispatcher)
        self.workers = self._workers(boot, backlog, self.dispatcher, heartbeat)
        return self.dispatcher, heartbeat, self.workers

    async def listen(self, dispatcher: Dispatcher) -> None:
        """Tell the dispatcher of every bell, until cancelled."""
        await listen(
            self.access("wait"),
            [queue.name for queue in self.config.queues],
            wait_room=dispatcher.wait_room,
            rung=dispatcher.rung,
            outage=self.outage,
        )

    def info(self) -> bytes:
        """What the engine says of itself to whoever asks the server."""
        return engine_info.encode(
            EngineInfo(
                name=self.name,
                pid=os.getpid(),
                started_ms=time.time_ns() // 1_000_000,
                queues=tuple(queue.name for queue in self.config.queues),
                names=tuple(sorted(self.handlers)),
                workers=self.config.worker.count,
                http=self.http,
                lease_s=self.config.worker.lease_s,
            )
        )

    def started(self, boot: Boot) -> EngineStarted:
        queues = tuple(queue.name for queue in self.config.queues)
        names = tuple(sorted(self.handlers))
        return EngineStarted(boot.engine, self.config.worker.count, queues, names)

    def _dispatcher(self, boot: Boot, backlog: Backlog, pacemaker: Pacemaker) -> Dispatcher:
        dispatcher = Dispatcher(
            boot,
            self.access("step"),
            backlog,
            workers=self.config.worker.count,
            order=self._queues_in_order,
            admits=lambda name: self.breakers.admits(name) if name in self.handlers else 0,
            pacemaker=pacemaker,
            clock=self.clock,
            outage=self.outage,
            report=self.report,
            tracer=self.tracer,
        )
        dispatcher.due_changed = self.scheduler.due_changed
        return dispatcher

    def _heartbeat(self, boot: Boot, dispatcher: Dispatcher) -> Heartbeat:
        def answered(reply: Beat | Gone) -> None:
            if isinstance(reply, Gone):
                dispatcher.rung()  # a step is told the same, and knows what is lost
            else:
                dispatcher.parked_changed(reply.parked_version)

        return Heartbeat(
            boot.engine,
            self.access("beat"),
            dispatcher.pacemaker,
            self.clock,
            self.config.worker.loop_stall_s,
            answered,
            self.report,
        )

    def _workers(
        self, boot: Boot, backlog: Backlog, dispatcher: Dispatcher, heartbeat: Heartbeat
    ) -> Workers:
        return Workers(
            boot=boot,
            backlog=backlog,
            handlers=self.handlers,
            rules=from_config.rules(self.config),
            breakers=self.breakers,
            threads=trio.CapacityLimiter(self.config.worker.count),
            payloads=self.access("payload"),
            outage=self.outage,
            queues=frozenset(queue.name for queue in self.config.queues),
            settle=dispatcher.settle,
            hold=heartbeat.hold,
            let_go=heartbeat.let_go,
            report=self.report,
            recent=self.recent,
            tracer=self.tracer,
        )

    def _span(self) -> tuple[str, int] | None:
        """See :meth:`Pacemaker.span`; each boot has spans of its own."""
        if self.dispatcher is None:
            return None
        span = self.dispatcher.pacemaker.span(self.clock())
        return None if span is None else (self.dispatcher.engine, span)

    def _queues_in_order(self) -> tuple[str, ...]:
        return tuple(order([(q.name, q.weight) for q in self.config.queues], random.random))

    def _poke(self) -> None:
        if self.dispatcher is not None:
            self.dispatcher.poke()
