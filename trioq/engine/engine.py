"""The nursery: what an engine is made of, in what order it starts and in what order it ends.

    services: breakers, producer, ticker,      outlive all else
            sampler, runners, lifespans, the
            loop of asyncio
      workers × N                              one run at a time each; outlive every boot
        shards: one boot after the other       claim, drain, settle and sign off
      (the backlog closes, and the workers end)

What a shard does, with what tasks, and how it ends is drawn in
:mod:`trioq.engine.shard.shard`; there is one for now. How a worker runs a job is drawn in
:mod:`trioq.engine.runs.worker`. What they share passes through :mod:`trioq.engine.wiring`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import attrs
import trio

from trioq.core.clients_here import Clients
from trioq.core.config import Config
from trioq.core.config.served import served
from trioq.core.events import Report
from trioq.core.formats.snapshot import Snapshot
from trioq.core.schedules.schedule import Schedule
from trioq.engine import from_config
from trioq.engine.bridge import Access
from trioq.engine.forks import no_copies
from trioq.engine.handlers import Handler, Lifespans, abandoned_threads
from trioq.engine.handlers.runners.runner import LEAVE_S
from trioq.engine.nurseries import cancel_when, plain_errors
from trioq.engine.sampler import Sampler
from trioq.engine.shard.shard import Shard
from trioq.engine.snapshot import told
from trioq.engine.status import Status
from trioq.engine.tracer import Tracer
from trioq.engine.wiring import Given, Parts

ROLES = frozenset({"worker", "producer"})


@attrs.define(eq=False)
class Engine:
    """One engine, over a store that somebody else opened.

    Args:
      access: Opens a lane for each purpose.
      report: Is told all events, in the engine's loop.
      roles: ``worker`` claims and runs, ``producer`` scans.
      queues: Those that it claims from; None: all that are configured.
      schedules: What its configuration and its app say that there is.
      lifespans: Those of its handlers' apps.
      clock: A monotonic clock for the lease, in seconds; it goes on while the loop is blocked.
      tracer: Makes spans of what the engine does; None: there are none.
      clients: Those that handlers find; None: there are none.
    """

    config: Config
    handlers: Mapping[str, Handler]
    access: Access
    report: Report
    roles: frozenset[str] = ROLES
    queues: Sequence[str] | None = None
    schedules: tuple[Schedule, ...] = ()
    lifespans: Lifespans = attrs.field(factory=Lifespans)
    clock: Callable[[], float] = time.monotonic
    tracer: Tracer | None = None
    clients: Clients | None = None
    http: str = ""
    """Where its metrics are served, for whoever asks the server."""
    member: tuple[str, int] = ("", 0)
    """The name of the supervisor that started it, and its number there; for them, too."""
    name: str = attrs.field(factory=from_config.engine_name)
    draining: trio.Event = attrs.field(factory=trio.Event)
    """Set by :meth:`drain`."""

    produced: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the producer has finished and all it found is enqueued."""
    _hurried: trio.Event = attrs.field(factory=trio.Event, init=False)
    _parts: Parts = attrs.field(init=False)
    _sampler: Sampler | None = attrs.field(init=False)

    @_parts.default
    def _make_parts(self) -> Parts:
        return Parts(
            Given(
                config=self.config,
                handlers=self.handlers,
                access=self.access,
                report=self.report,
                queues=served(self.config, self.queues),
                clock=self.clock,
                tracer=self.tracer,
                name=self.name,
                schedules=self.schedules,
                lifespans=self.lifespans,
                http=self.http,
                member=self.member,
                draining=self.draining,
                hurried=self._hurried,
            )
        )

    @_sampler.default
    def _make_sampler(self) -> Sampler | None:
        (shard,) = self.shards
        return self._parts.sampler(outage=shard.outage, idle=self._idle, shown=self._shown)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The servers that it works for."""
        return self._parts.shards

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
          ConfigError: Handlers that run in processes of their own can't be found in one.
          LifespanError: That of an app failed. At its end, when all else has ended.

        Cancellation:
          Handlers are cancelled; jobs are settled or given back, shielded, for a bounded
          time. What that doesn't reach, the reaper of another engine has.
        """
        with no_copies(self.name), plain_errors(), self._clients_there():
            async with trio.open_nursery() as services:
                services.start_soon(self._parts.breakers.run)
                services.start_soon(self._parts.ends.run)
                services.start_soon(self._tick)
                if (loop := self._parts.asyncio_loop) is not None:
                    stall_s = self.config.worker.loop_stall_s
                    services.start_soon(loop.watch, self.report, stall_s)
                if "producer" in self.roles and self.config.producer is not None:
                    services.start_soon(self._produce)
                else:
                    self.produced.set()
                if "worker" in self.roles:
                    await self._start_runners(services)
                    failed = None
                    try:
                        if await self.lifespans.enter(services, self.draining, self.report):
                            await self._work(services, task_status)
                        else:
                            task_status.started(self)
                    finally:
                        runners_s = LEAVE_S if self._parts.runners is not None else 0.0
                        failed = await self.lifespans.leave(self.report, then_s=runners_s)
                        if loop is not None:
                            await loop.close(self.report)
                    if failed is not None:
                        raise failed
                else:
                    self._sample(services)
                    task_status.started(self)
                    await self.draining.wait()
                services.cancel_scope.cancel()

    def _clients_there(self) -> AbstractContextManager[None]:
        if self.clients is None:
            return nullcontext()
        loop = self._parts.asyncio_loop
        return self.clients.there(lambda: None if loop is None else loop.here)

    async def _tick(self) -> None:
        (shard,) = self.shards
        await self._parts.ticker(outage=shard.outage).run()

    async def _start_runners(self, services: trio.Nursery) -> None:
        """Before anything is claimed: an app that they can't import is no job's fault."""
        if (runners := self._parts.runners) is not None:
            async with trio.open_nursery() as starting:
                starting.start_soon(cancel_when, self.draining, starting.cancel_scope)
                await services.start(runners.run)
                starting.cancel_scope.cancel()

    async def _work(self, services: trio.Nursery, task_status: trio.TaskStatus[Engine]) -> None:
        async with trio.open_nursery() as workers:
            for worker in self._parts.workers:
                workers.start_soon(worker.run)
            async with trio.open_nursery() as shards:
                for shard in self.shards:
                    await shards.start(shard.live)
                # Not before it is registered: the first look would miss it, and be told until
                # the next.
                self._sample(services)
                task_status.started(self)
            # Nobody claims any more, and what was claimed has ended or gone back.
            self._parts.backlog.close()

    def _sample(self, services: trio.Nursery) -> None:
        if self._sampler is not None:
            services.start_soon(self._sampler.run)

    async def _produce(self) -> None:
        (shard,) = self.shards
        await self._parts.produce(outage=shard.outage)
        self.produced.set()

    # -- what can be seen of it ------------------------------------------------------------

    def status(self) -> Status:
        """What can be seen of it now. May be asked in any thread, and before it runs."""
        now, parts, sampler = self.clock(), self._parts, self._sampler
        boots = [shard.living for shard in self.shards]
        away = any(shard.outage.is_on for shard in self.shards)
        return Status(
            at=now,
            name=self.name,
            engine=boots[0].boot if boots[0] is not None else None,
            roles=self.roles,
            draining=self.draining.is_set(),
            redis_away=away,
            has_lease=all(boot is not None and boot.pacemaker.may_claim(now) for boot in boots),
            workers=self.config.worker.count if "worker" in self.roles else 0,
            running=len(parts.runs),
            waiting=len(parts.backlog)
            + len(parts.backlog.aside)
            + sum(len(boot.payloads) for boot in boots if boot),
            breakers=parts.breakers.states(),
            shared=parts.breakers.shared(),
            shut=parts.breakers.shut(),
            lag_s=sampler.lag_s() if sampler else 0.0,
            entering=self.lifespans.entering,
            asyncio_lag_s=loop.lag_s() if (loop := parts.asyncio_loop) else None,
            seen=None if away or sampler is None else sampler.seen,
            want=parts.appetite.want,
            abandoned=parts.runs.abandoned_by_name(),
        )

    @property
    def ended(self) -> int:
        """Runs that have succeeded or failed."""
        return self._parts.recent.ended

    @property
    def going_on(self) -> Mapping[str, int]:
        """Handlers in the loop that haven't ended, by name. May be asked in any thread."""
        return self._parts.runs.going_on()

    def _shown(self) -> tuple[str, Snapshot] | None:
        """What whoever watches is told; None while there is no boot."""
        status = self.status()
        if status.engine is None:
            return None
        runs = self._parts.runs
        abandoned = Counter(status.abandoned) + Counter(abandoned_threads())
        since = runs.abandoned_since()
        return status.engine, told(status, runs, self._parts.recent, abandoned, since)

    def _idle(self) -> tuple[int, int] | None:
        """Workers without a job, and jobs ever claimed, while the engine is to claim."""
        (shard,) = self.shards
        is_whole = self._parts.appetite.want is None
        if shard.dispatcher is None or self.draining.is_set() or not is_whole:
            return None
        return shard.dispatcher.idle, shard.dispatcher.claimed
