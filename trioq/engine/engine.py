"""The nursery: what an engine is made of, in what order it starts and in what order it ends.

    services: reaper, scheduler, breakers, limiter, producer, sampler   outlive every boot
      lease: heartbeat                                             outlives the settling
        stepping: dispatcher                                       outlives the jobs
          jobs: workers × N                                        one handler at a time each
            claiming: bell                                         stops first

A boot is one registration with the server. When the server doesn't know it any more, all
from ``lease`` inwards is cancelled, handlers too, and begins afresh with a new boot.
"""

from __future__ import annotations

import json
import math
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence

import attrs
import trio

from trioq.core.config import Config
from trioq.core.events import EngineStarted, EngineStopped, EngineStopping, Report
from trioq.core.fairness import order
from trioq.core.pacemaker import Pacemaker
from trioq.engine import parts
from trioq.engine.backlog import Backlog
from trioq.engine.bell import listen
from trioq.engine.boot import Boot
from trioq.engine.breaker import Breakers
from trioq.engine.bridge import Access
from trioq.engine.dispatcher import Dispatcher
from trioq.engine.handlers import Handler
from trioq.engine.heartbeat import Heartbeat
from trioq.engine.limiter import Limiter
from trioq.engine.nurseries import cancel_when, first_of, plain_store_errors
from trioq.engine.outage import Outage
from trioq.engine.producer import Producer
from trioq.engine.reaper import Reaper
from trioq.engine.sampler import Sampler
from trioq.engine.scheduler import Scheduler
from trioq.engine.shown import Recent, told
from trioq.engine.status import Status
from trioq.engine.tracing import Tracer
from trioq.engine.worker import Workers
from trioq.errors import StoreBusy, StoreUnreachable
from trioq.store.protocol import Beat, Gone, NewJob
from trioq.store.redis import RedisStore

#: What signing off gets when nothing is left to settle; the reaper has the rest.
SIGN_OFF_S = 0.05

#: What settling gets after the jobs have ended, where Redis doesn't answer.
SETTLE_S = 5.0

#: A boot that is lost sooner than this is followed by a pause of up to this, so that an engine
#: whose every boot is lost does no harm by trying.
HASTY_S = 1.0

ROLES = frozenset({"worker", "producer"})


@attrs.define(eq=False)
class Engine:
    """One engine, over a store that somebody else opened.

    Args:
      access: Opens a lane for each purpose.
      report: Is told all events, in the engine's loop.
      roles: ``worker`` claims and runs, ``producer`` scans.
      clock: A monotonic clock for the lease, in seconds; it goes on while the loop is blocked.
      tracer: Makes spans of what the engine does; None: there are none.
    """

    config: Config
    handlers: Mapping[str, Handler]
    access: Access
    report: Report
    roles: frozenset[str] = ROLES
    clock: Callable[[], float] = time.monotonic
    tracer: Tracer | None = None
    http: str = ""
    """Where its metrics are served, for whoever asks the server."""
    name: str = attrs.field(factory=parts.engine_name)
    draining: trio.Event = attrs.field(factory=trio.Event)
    """Set by :meth:`drain`."""

    produced: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the producer has finished and all it found is enqueued."""
    _hurried: trio.Event = attrs.field(factory=trio.Event, init=False)
    _outage: Outage = attrs.field(init=False)
    _breakers: Breakers = attrs.field(init=False)
    _scheduler: Scheduler = attrs.field(init=False)
    _recent: Recent = attrs.field(factory=Recent, init=False)
    _sampler: Sampler | None = attrs.field(default=None, init=False)
    _dispatcher: Dispatcher | None = attrs.field(default=None, init=False)
    _workers: Workers | None = attrs.field(default=None, init=False)

    @_outage.default
    def _make_outage(self) -> Outage:
        return Outage(self.report, random.random)

    @_breakers.default
    def _make_breakers(self) -> Breakers:
        return Breakers(parts.breaker_settings(self.config), self.report, self._poke)

    def drain(self) -> None:
        """Claim nothing more, finish what runs within the grace period, return from run."""
        self.draining.set()

    def hurry(self) -> None:
        """Drain without grace: cancel the handlers now and give their jobs back."""
        self.draining.set()
        self._hurried.set()

    async def run(self, *, task_status: trio.TaskStatus[Engine] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until drained or cancelled.

        ``task_status.started(engine)`` comes when Redis has answered and the workers stand.

        Raises:
          StoreRefused: Redis said no: a password, a permission, a wrong type.

        Cancellation:
          Handlers are cancelled; jobs are settled or given back, shielded, for a bounded
          time. What that doesn't reach, the reaper of another engine has.
        """
        with plain_store_errors():
            async with trio.open_nursery() as services:
                services.start_soon(self._breakers.run)
                self._start_sampling(services)
                if "producer" in self.roles and self.config.producer is not None:
                    services.start_soon(self._produce)
                else:
                    self.produced.set()
                if "worker" in self.roles:
                    self._start_watching(services)
                    await self._live(task_status)
                else:
                    task_status.started(self)
                    await self.draining.wait()
                services.cancel_scope.cancel()

    async def _live(self, task_status: trio.TaskStatus[Engine]) -> None:
        """One boot after the other."""
        born = -math.inf
        while not self.draining.is_set():
            if (registered := await self._register(born)) is None:
                break
            born = trio.current_time()
            await self._live_one_boot(*registered, task_status)
            task_status = trio.TASK_STATUS_IGNORED
        task_status.started(self)  # it was told to drain before it began

    async def _live_one_boot(
        self, boot: Boot, pacemaker: Pacemaker, task_status: trio.TaskStatus[Engine]
    ) -> None:
        backlog = Backlog()
        dispatcher = self._make_dispatcher(boot, backlog, pacemaker)
        heartbeat = self._make_heartbeat(boot, dispatcher)
        workers = self._make_workers(boot, backlog, dispatcher, heartbeat)
        signed_off = False
        async with heartbeat.beating():
            try:
                async with trio.open_nursery() as stepping:
                    stepping.start_soon(dispatcher.run)
                    async with trio.open_nursery() as jobs:
                        for number in range(self.config.worker.count):
                            jobs.start_soon(workers.work, number)
                        async with trio.open_nursery() as claiming:
                            claiming.start_soon(self._listen, dispatcher)
                            # started() comes last: whoever waits for us may enqueue at once.
                            self._report_started(boot)
                            task_status.started(self)
                            await first_of(self.draining, dispatcher.lost)
                            claiming.cancel_scope.cancel()
                        dispatcher.stop_claiming()
                        grace_s = 0.0 if dispatcher.lost.is_set() else self.config.worker.grace_s
                        self.report(EngineStopping(boot.engine, workers.running, grace_s))
                        jobs.cancel_scope.deadline = trio.current_time() + grace_s
                        for reason in (self._hurried, dispatcher.lost):
                            stepping.start_soon(cancel_when, reason, jobs.cancel_scope)
                    stepping.cancel_scope.cancel()
            finally:
                with trio.CancelScope(shield=True) as scope:
                    scope.deadline = trio.current_time() + (SETTLE_S if boot.held else SIGN_OFF_S)
                    signed_off = await dispatcher.finish()
        self.report(EngineStopped(boot.engine, signed_off))

    def status(self) -> Status:
        """What can be seen of it now. May be asked in any thread, and before it runs."""
        now, dispatcher, workers, sampler = (
            self.clock(), self._dispatcher, self._workers, self._sampler,
        )  # fmt: skip
        is_registered = dispatcher is not None and not dispatcher.lost.is_set()
        return Status(
            at=now,
            name=self.name,
            engine=dispatcher.engine if dispatcher and is_registered else None,
            roles=self.roles,
            draining=self.draining.is_set(),
            redis_away=self._outage.is_on,
            has_lease=dispatcher is not None and dispatcher.pacemaker.may_claim(now),
            workers=self.config.worker.count if "worker" in self.roles else 0,
            running=workers.running if workers else 0,
            waiting=len(workers.backlog) if workers else 0,
            breakers=self._breakers.states(),
            lag_s=sampler.lag_s() if sampler else 0.0,
            seen=None if self._outage.is_on or sampler is None else sampler.seen,
        )

    def _shown(self) -> tuple[str, bytes] | None:
        """What whoever watches is told; None while there is no boot."""
        status, workers = self.status(), self._workers
        if status.engine is None or workers is None:
            return None
        return status.engine, told(status, workers.boot.held.values(), self._recent)

    # -- the tasks' wiring -----------------------------------------------------------------

    async def _register(self, last_born: float) -> tuple[Boot, Pacemaker] | None:
        """A boot that the server knows, and its lease, which begins with the registration.

        An unanswered registration is never sent again: the next try is another boot.

        Returns:
          None: the engine drains.
        """
        registered = None
        async with trio.open_nursery() as trying:
            trying.start_soon(cancel_when, self.draining, trying.cancel_scope)
            if trio.current_time() < last_born + HASTY_S:
                await trio.sleep(HASTY_S * random.random())
            registered = await self._try_to_register()
            trying.cancel_scope.cancel()
        return registered

    async def _try_to_register(self) -> tuple[Boot, Pacemaker]:
        caller, pacemaker = self.access("step"), parts.pacemaker(self.config)
        while True:
            boot = Boot(f"{self.name}.{secrets.token_hex(16)}")
            sent_at = self.clock()
            try:
                await caller.call(caller.store.register, boot.engine, self._info())
            except (StoreUnreachable, StoreBusy) as error:
                await self._outage.failed("step", error)
                continue
            self._outage.answered("step")
            pacemaker.step_answered(sent_at, self.clock())
            return boot, pacemaker

    def _make_dispatcher(self, boot: Boot, backlog: Backlog, pacemaker: Pacemaker) -> Dispatcher:
        dispatcher = self._dispatcher = Dispatcher(
            boot,
            self.access("step"),
            backlog,
            workers=self.config.worker.count,
            order=self._queues_in_order,
            admits=lambda name: self._breakers.admits(name) if name in self.handlers else 0,
            pacemaker=pacemaker,
            clock=self.clock,
            outage=self._outage,
            report=self.report,
            tracer=self.tracer,
        )
        dispatcher.due_changed = self._scheduler.due_changed
        return dispatcher

    def _make_heartbeat(self, boot: Boot, dispatcher: Dispatcher) -> Heartbeat:
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

    def _make_workers(
        self, boot: Boot, backlog: Backlog, dispatcher: Dispatcher, heartbeat: Heartbeat
    ) -> Workers:
        self._workers = Workers(
            boot=boot,
            backlog=backlog,
            handlers=self.handlers,
            rules=parts.rules(self.config),
            breakers=self._breakers,
            threads=trio.CapacityLimiter(self.config.worker.count),
            payloads=self.access("payload"),
            outage=self._outage,
            queues=frozenset(queue.name for queue in self.config.queues),
            settle=dispatcher.settle,
            hold=heartbeat.hold,
            let_go=heartbeat.let_go,
            report=self.report,
            recent=self._recent,
            tracer=self.tracer,
        )
        return self._workers

    def _start_sampling(self, services: trio.Nursery) -> None:
        caller = self.access("sample")
        if not isinstance(caller.store, RedisStore):
            return  # there is nothing to measure
        self._sampler = Sampler(
            caller,
            self.name,
            self.config.queue_names,
            parts.unlimited_queues(self.config),
            parts.rate(self.config),
            self.config.observability.queue_sample_interval_s,
            self._idle,
            self._shown,
            self._outage,
            self.report,
            self.clock,
        )
        services.start_soon(self._sampler.run)

    def _idle(self) -> tuple[int, int] | None:
        """Workers without a job, and jobs ever claimed, while the engine is to claim."""
        if self._dispatcher is None or self.draining.is_set():
            return None
        return self._dispatcher.idle, self._dispatcher.claimed

    def _span(self) -> tuple[str, int] | None:
        """See :meth:`Pacemaker.span`; each boot has spans of its own."""
        if self._dispatcher is None:
            return None
        span = self._dispatcher.pacemaker.span(self.clock())
        return None if span is None else (self._dispatcher.engine, span)

    def _start_watching(self, services: trio.Nursery) -> None:
        worker, caller = self.config.worker, self.access("watch")
        reaper = Reaper(
            caller,
            lambda: self._dispatcher.engine if self._dispatcher else "",
            self._span,
            worker.lease_s,
            self.config.reaper.interval_s,
            worker.max_reaps,
            self._outage,
            self.report,
        )
        self._scheduler = Scheduler(
            caller,
            lambda: self._dispatcher.next_due if self._dispatcher else float("inf"),
            lambda: self._dispatcher.parked if self._dispatcher else (),
            self._poke,
            worker.unknown_name_after_s,
            self._outage,
            self.report,
        )
        services.start_soon(reaper.run)
        services.start_soon(self._scheduler.run)

    async def _produce(self) -> None:
        """Scan, and enqueue at the shared rate, until the producer is through."""
        config = self.config.producer
        assert config is not None
        send, receive = trio.open_memory_channel[Sequence[NewJob]](0)
        rate = parts.rate(self.config)
        limiter = Limiter(self.access("produce"), rate, self._outage, self.report, random.random)
        producer = Producer(
            self.access("scan"),
            parts.scan_rules(self.config, config),
            config.job,
            config.watch,
            config.scan_interval_s,
            self._outage,
            self.report,
            send,
            self.tracer,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(limiter.run, receive)
            nursery.start_soon(producer.run)
        self.produced.set()

    async def _listen(self, dispatcher: Dispatcher) -> None:
        await listen(
            self.access("wait"),
            [queue.name for queue in self.config.queues],
            wait_room=dispatcher.wait_room,
            rung=dispatcher.rung,
            outage=self._outage,
        )

    def _poke(self) -> None:
        if self._dispatcher is not None:
            self._dispatcher.poke()

    def _queues_in_order(self) -> tuple[str, ...]:
        return tuple(order([(q.name, q.weight) for q in self.config.queues], random.random))

    def _info(self) -> bytes:
        """What the engine says of itself to whoever asks the server."""
        info = {
            "name": self.name,
            "pid": os.getpid(),
            "started_ms": time.time_ns() // 1_000_000,
            "queues": [queue.name for queue in self.config.queues],
            "names": sorted(self.handlers),
            "workers": self.config.worker.count,
            "http": self.http,
        }
        return json.dumps(info).encode()

    def _report_started(self, boot: Boot) -> None:
        queues = tuple(queue.name for queue in self.config.queues)
        names = tuple(sorted(self.handlers))
        self.report(EngineStarted(boot.engine, self.config.worker.count, queues, names))
