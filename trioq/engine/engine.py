"""The nursery: what an engine is made of, in what order it starts and in what order it ends.

    services: reaper, scheduler, breakers, limiter, producer, sampler   outlive every boot
      lease: heartbeat                                             outlives the settling
        stepping: dispatcher                                       outlives the jobs
          jobs: workers × N                                        one handler at a time each
            claiming: bell                                         stops first

A boot is one registration with the server. When the server doesn't know it any more, all
from ``lease`` inwards is cancelled, handlers too, and begins afresh with a new boot. What
the tasks are made of and share is in :mod:`trioq.engine.wiring`.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping

import attrs
import trio

from trioq.core.config import Config
from trioq.core.events import EngineStopped, EngineStopping, Report
from trioq.core.formats.snapshot import Snapshot
from trioq.core.pacemaker import Pacemaker
from trioq.engine import from_config
from trioq.engine.bridge import Access
from trioq.engine.handlers import Handler
from trioq.engine.nurseries import cancel_when, first_of, plain_store_errors
from trioq.engine.shard.boot import Boot
from trioq.engine.snapshot import told
from trioq.engine.status import Status
from trioq.engine.tracer import Tracer
from trioq.engine.wiring import Assembly
from trioq.errors import StoreBusy, StoreUnreachable

#: What each answer may take where nothing is left to settle; the reaper has the rest.
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
    name: str = attrs.field(factory=from_config.engine_name)
    draining: trio.Event = attrs.field(factory=trio.Event)
    """Set by :meth:`drain`."""

    produced: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the producer has finished and all it found is enqueued."""
    _hurried: trio.Event = attrs.field(factory=trio.Event, init=False)
    _made: Assembly = attrs.field(init=False)

    @_made.default
    def _assemble(self) -> Assembly:
        return Assembly(
            self.config,
            self.handlers,
            self.access,
            self.report,
            self.clock,
            self.tracer,
            self.name,
            self.http,
        )

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
        made = self._made
        with plain_store_errors():
            async with trio.open_nursery() as services:
                services.start_soon(made.breakers.run)
                made.start_sampling(services, self._idle, self._shown)
                if "producer" in self.roles and self.config.producer is not None:
                    services.start_soon(self._produce)
                else:
                    self.produced.set()
                if "worker" in self.roles:
                    services.start_soon(made.reaper().run)
                    services.start_soon(made.scheduler.run)
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
        dispatcher, heartbeat, workers = self._made.tasks(boot, pacemaker)
        signed_off = False
        async with heartbeat.beating():
            try:
                async with trio.open_nursery() as stepping:
                    stepping.start_soon(dispatcher.run)
                    async with trio.open_nursery() as jobs:
                        for number in range(self.config.worker.count):
                            jobs.start_soon(workers.work, number)
                        async with trio.open_nursery() as claiming:
                            claiming.start_soon(self._made.listen, dispatcher)
                            # started() comes last: whoever waits for us may enqueue at once.
                            self.report(self._made.started(boot))
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
                    signed_off = await dispatcher.finish(lambda: _extend(scope, boot))
        self.report(EngineStopped(boot.engine, signed_off))

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
        made, caller, pacemaker = (
            self._made,
            self.access("step"),
            from_config.pacemaker(self.config),
        )
        while True:
            boot, sent_at = made.boot(), self.clock()
            try:
                await caller.call(caller.store.register, boot.engine, made.info())
            except (StoreUnreachable, StoreBusy) as error:
                await made.outage.failed("step", error)
                continue
            made.outage.answered("step")
            pacemaker.step_answered(sent_at, self.clock())
            return boot, pacemaker

    async def _produce(self) -> None:
        await self._made.produce()
        self.produced.set()

    # -- what can be seen of it ------------------------------------------------------------

    def status(self) -> Status:
        """What can be seen of it now. May be asked in any thread, and before it runs."""
        now, made = self.clock(), self._made
        dispatcher, workers, sampler = made.dispatcher, made.workers, made.sampler
        is_registered = dispatcher is not None and not dispatcher.lost.is_set()
        return Status(
            at=now,
            name=self.name,
            engine=dispatcher.engine if dispatcher and is_registered else None,
            roles=self.roles,
            draining=self.draining.is_set(),
            redis_away=made.outage.is_on,
            has_lease=dispatcher is not None and dispatcher.pacemaker.may_claim(now),
            workers=self.config.worker.count if "worker" in self.roles else 0,
            running=workers.running if workers else 0,
            waiting=len(workers.backlog) if workers else 0,
            breakers=made.breakers.states(),
            lag_s=sampler.lag_s() if sampler else 0.0,
            seen=None if made.outage.is_on or sampler is None else sampler.seen,
        )

    def _shown(self) -> tuple[str, Snapshot] | None:
        """What whoever watches is told; None while there is no boot."""
        status, workers = self.status(), self._made.workers
        if status.engine is None or workers is None:
            return None
        return status.engine, told(status, workers.boot.held.values(), self._made.recent)

    def _idle(self) -> tuple[int, int] | None:
        """Workers without a job, and jobs ever claimed, while the engine is to claim."""
        dispatcher = self._made.dispatcher
        if dispatcher is None or self.draining.is_set():
            return None
        return dispatcher.idle, dispatcher.claimed


def _extend(scope: trio.CancelScope, boot: Boot) -> None:
    """Begin to finish, or go on: a server that answers is worth waiting for once more."""
    scope.deadline = trio.current_time() + (SETTLE_S if boot.held else SIGN_OFF_S)
