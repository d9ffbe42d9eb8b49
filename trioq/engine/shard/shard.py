"""All that speaks to one server: one boot after the other, and what belongs to each.

    boot: heartbeat                                   outlives the settling: a drain needs its lease
      stepping: dispatcher, payloads, reaper, …       outlives the runs of what the boot has claimed

A boot is one registration with the server. When the server doesn't know it any more, what
runs of its claims is cancelled and waited for, and a new boot begins. The workers aren't part
of it: they serve whatever is in the backlog, and each run tells the boot that has claimed it.
So nothing of an old boot, however late, can reach a new one.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import attrs
import trio

from trioq.core.config import Config
from trioq.core.events import EngineStarted, EngineStopped, EngineStopping, Report
from trioq.core.fairness import Shares
from trioq.core.flow import Plan
from trioq.core.job import Record
from trioq.core.limits import LimitSettings
from trioq.core.pacemaker import Pacemaker
from trioq.core.schedules.schedule import Schedule
from trioq.engine.appetite import Appetite
from trioq.engine.backlog import Backlog
from trioq.engine.bridge import Access
from trioq.engine.claim import Running, Why
from trioq.engine.fetch import Fetch
from trioq.engine.nurseries import cancel_when, first_of
from trioq.engine.outage import Outage
from trioq.engine.shard.declaring import EVERY_S, Declaring
from trioq.engine.shard.demand import Demand
from trioq.engine.shard.dispatcher import Dispatcher
from trioq.engine.shard.exchange import Exchange
from trioq.engine.shard.expiry import Expiry
from trioq.engine.shard.heartbeat import TICK_S, Heartbeat
from trioq.engine.shard.lateness import Lateness
from trioq.engine.shard.listing import Listing
from trioq.engine.shard.notes import WATCHED_S, Notes
from trioq.engine.shard.reaper import Reaper
from trioq.engine.shard.sharing import Shared, Sharing
from trioq.engine.shard.signatures import Signatures
from trioq.engine.shard.takes import Takes
from trioq.engine.tracer import Tracer

#: What each answer may take where nothing is left to settle; the reaper has the rest.
SIGN_OFF_S = 0.05

#: What settling gets after the jobs have ended, where Redis doesn't answer.
SETTLE_S = 5.0

#: A boot that is lost sooner than this is followed by a pause of up to this, so that an engine
#: whose every boot is lost does no harm by trying.
HASTY_S = 1.0


@attrs.define(eq=False, kw_only=True)
class Shard:
    """One server, as an engine uses it.

    Args:
      name: The process's; the boots' names begin with it.
      queues: Those that it claims from, the highest first.
      access: Opens a lane for each purpose.
      outage: Counts what this server doesn't answer.
      names: Of the handlers that there are.
      signatures: Handler → that of what it takes.
      info: What the engine says of itself to whoever asks the server; made for each boot.
      plan: What the jobs of a name take in a queue.
      keep_ms: For how long how a job ended is kept.
      breakers: The engine's, some of which all engines share.
      limits: What the server is told of limits, before the first claim of each boot.
      schedules: What the configuration and the app have of them.
      admits: How many jobs of a name may be claimed from its parked list now.
      shares: Whose turn it is among the engine's queues, and what each has had.
      order: Names those that are claimed from now, in that order.
      aside: How many of the jobs that are held need no worker yet; None: claim no more.
      is_watched: Whether somebody looks at what engines do.
      clock: A monotonic clock for the lease, in seconds.
      draining, hurried: The engine is to end; without grace.
    """

    name: str
    config: Config
    queues: tuple[str, ...]
    access: Access
    outage: Outage
    backlog: Backlog
    runs: Running
    appetite: Appetite
    names: Iterable[str]
    signatures: Mapping[str, str]
    info: Callable[[], bytes]
    plan: Callable[[str, str], Plan]
    keep_ms: Callable[[Record], int]
    breakers: Shared
    limits: Mapping[str, LimitSettings]
    schedules: Sequence[Schedule]
    admits: Callable[[str], int]
    shares: Shares
    order: Callable[[], tuple[str, ...]]
    aside: Callable[[], int | None]
    is_watched: Callable[[], bool]
    report: Report
    clock: Callable[[], float]
    tracer: Tracer | None
    draining: trio.Event
    hurried: trio.Event

    _versions: Signatures = attrs.field(init=False)
    """Of handlers: what it has, and what others have."""
    dispatcher: Dispatcher | None = attrs.field(default=None, init=False)
    """Of the boot that lives, or lived last; None before the first."""

    @property
    def living(self) -> Dispatcher | None:
        """Of a boot that the server knows, as far as we know."""
        dispatcher = self.dispatcher
        return None if dispatcher is None or dispatcher.lost.is_set() else dispatcher

    def poke(self) -> None:
        """Something may be claimable that wasn't: make a step soon."""
        if self.dispatcher is not None:
            self.dispatcher.poke()

    async def live(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """One boot after the other, until the engine drains.

        ``task_status.started()`` comes when the first is registered, and what it has claimed
        would be run.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: see :meth:`_live_one_boot`.
        """
        born = -math.inf
        while (dispatcher := await self._register(born)) is not None:
            born = trio.current_time()
            await self._live_one_boot(dispatcher, task_status)
            task_status = trio.TASK_STATUS_IGNORED
        task_status.started()  # it was told to drain before it began

    # -- the beginning of a boot -----------------------------------------------------------

    async def _register(self, last_born: float) -> Dispatcher | None:
        """The dispatcher of a boot that the server knows; None: the engine drains."""
        registered = None
        if self.draining.is_set():
            return None
        async with trio.open_nursery() as trying:
            trying.start_soon(cancel_when, self.draining, trying.cancel_scope)
            if trio.current_time() < last_born + HASTY_S:
                await trio.sleep(HASTY_S * random.random())
            registered = await self._try_to_register()
            trying.cancel_scope.cancel()
        return registered

    async def _try_to_register(self) -> Dispatcher:
        """An unanswered registration is never sent again: the next try is another boot."""
        caller, worker = self.access("step"), self.config.worker

        async def register() -> tuple[str, Pacemaker]:
            boot = f"{self.name}.{secrets.token_hex(16)}"
            pacemaker = Pacemaker(worker.heartbeat_interval_s, worker.lease_s)
            sent_at = self.clock()
            await caller.call(caller.store.register, boot, self.info())
            # The lease begins with the registration.
            pacemaker.step_answered(sent_at, self.clock())
            return boot, pacemaker

        boot, pacemaker = await self.outage.until_answered("step", register)

        async def declare() -> None:
            await caller.call(caller.store.declare_limits, boot, self.limits)

        # Before the first claim. That may be sent again.
        await self.outage.until_answered("step", declare)
        return self._dispatcher_of(boot, pacemaker)

    def _dispatcher_of(self, boot: str, pacemaker: Pacemaker) -> Dispatcher:
        return Dispatcher(
            boot=boot,
            exchange=Exchange(
                self.access("step"), self.access("wake"), outage=self.outage, clock=self.clock
            ),
            fetch=Fetch(self.access("payload"), self.outage),
            notes=lambda may_tell: Notes(
                boot=boot,
                caller=self.access("watch"),
                outage=self.outage,
                is_watched=self.is_watched,
                may_tell=may_tell,
                every_s=max(WATCHED_S, self._seldom_s),
            ),
            backlog=self.backlog,
            demand=Demand(
                workers=self.config.worker.count,
                appetite=self.appetite,
                queues=self.queues,
                shares=self.shares,
                order=self.order,
                aside=self.aside,
                admits=self.admits,
                opens=self._versions.opens,
                pacemaker=pacemaker,
                clock=self.clock,
            ),
            runs=self.runs,
            judge=self._versions.judged,
            takes=Takes(self.plan, bool(self.limits), self.report),
            keep_ms=self.keep_ms,
            report=self.report,
            tracer=self.tracer,
        )

    # -- its life and its end --------------------------------------------------------------

    async def _live_one_boot(
        self, dispatcher: Dispatcher, task_status: trio.TaskStatus[None]
    ) -> None:
        """Claim until the boot is lost or the engine drains, then see the boot off.

        Cancellation: its runs are cancelled; their jobs are settled or given back, shielded,
        for a bounded time. What that doesn't reach, the reaper of another engine has.
        """
        self.dispatcher = dispatcher
        signed_off = False
        async with self._heartbeat(dispatcher).beating():
            try:
                async with trio.open_nursery() as stepping:
                    stepping.start_soon(dispatcher.run)
                    stepping.start_soon(dispatcher.payloads.run)
                    stepping.start_soon(dispatcher.notes.run, partial(self.runs.boards, dispatcher))
                    stepping.start_soon(self._reaper(dispatcher).run)
                    stepping.start_soon(self._expiry(dispatcher).run)
                    stepping.start_soon(
                        self._versions.run, lambda: dispatcher.parked, dispatcher.poke
                    )
                    if (lateness := self._lateness()) is not None:
                        stepping.start_soon(lateness.run)
                    stepping.start_soon(self._sharing(dispatcher).run)
                    stepping.start_soon(self._declaring(dispatcher).run)
                    await self._claim(dispatcher, task_status)
                    await self._let_run_out(dispatcher)
                    with trio.move_on_after(SIGN_OFF_S):
                        await dispatcher.settled()  # else it takes another connection
                    stepping.cancel_scope.cancel()
            finally:
                signed_off = await self._finish(dispatcher)
        self.report(EngineStopped(dispatcher.boot, signed_off))

    async def _claim(self, dispatcher: Dispatcher, task_status: trio.TaskStatus[None]) -> None:
        """Until the engine drains or the boot is lost."""
        worker, queues = self.config.worker, self.queues
        names = tuple(sorted(self.names))
        self.report(EngineStarted(dispatcher.boot, worker.count, queues, names))
        # started() comes last: whoever waits for us may enqueue at once.
        task_status.started()
        await first_of(self.draining, dispatcher.lost)

    async def _let_run_out(self, dispatcher: Dispatcher) -> None:
        """Give what runs its grace, unless it has none any more."""
        dispatcher.stop_claiming()
        grace_s = 0.0 if dispatcher.lost.is_set() else self.config.worker.grace_s
        self.report(EngineStopping(dispatcher.boot, self.runs.count(dispatcher), grace_s))
        async with trio.open_nursery() as grace:
            grace.cancel_scope.deadline = trio.current_time() + grace_s
            for reason in (self.hurried, dispatcher.lost):
                grace.start_soon(cancel_when, reason, grace.cancel_scope)
            await self.runs.ended(dispatcher)
            grace.cancel_scope.cancel()
        await self._end_runs(dispatcher)

    async def _end_runs(self, dispatcher: Dispatcher) -> None:
        """Cancel what still runs, and wait for it: while it winds down it has its lease."""
        why: Why = "boot lost" if dispatcher.lost.is_set() else "engine stops"
        self.runs.cancel(dispatcher, why)
        await self.runs.ended(dispatcher)

    async def _finish(self, dispatcher: Dispatcher) -> bool:
        """Settle, sign off. True: nothing is left for the reaper."""
        with trio.CancelScope(shield=True) as scope:
            dispatcher.stop_claiming()
            # They have ended, unless it is for an error or a cancellation that we are here.
            await self._end_runs(dispatcher)

            def patient() -> None:
                # A server that answers is worth waiting for once more.
                patience_s = SETTLE_S if dispatcher.holds else SIGN_OFF_S
                scope.deadline = trio.current_time() + patience_s

            return await dispatcher.finish(patient)
        return False

    # -- its tasks -------------------------------------------------------------------------

    @property
    def _seldom_s(self) -> float:
        """An engine that beats more rarely than usual also looks more rarely for what nobody tells
        it of: four times for each beat will do."""
        return self.config.worker.heartbeat_interval_s / 4

    def _heartbeat(self, dispatcher: Dispatcher) -> Heartbeat:
        worker = self.config.worker
        return Heartbeat(
            boot=dispatcher,
            caller=self.access("beat"),
            clock=self.clock,
            loop_stall_s=worker.loop_stall_s,
            runs=self.runs,
            report=self.report,
            tick_s=max(TICK_S, self._seldom_s),
        )

    def _reaper(self, dispatcher: Dispatcher) -> Reaper:
        pacemaker, worker = dispatcher.pacemaker, self.config.worker
        return Reaper(
            caller=self.access("watch"),
            me=dispatcher.boot,
            span=lambda: pacemaker.span(self.clock()),
            lease_s=worker.lease_s,
            interval_s=self.config.reaper.interval_s,
            max_reaps=worker.max_reaps,
            outage=self.outage,
            report=self.report,
        )

    def _sharing(self, dispatcher: Dispatcher) -> Sharing:
        return Sharing(
            boot=dispatcher.boot,
            breakers=self.breakers,
            caller=self.access("watch"),
            beat_s=self.config.worker.heartbeat_interval_s,
            outage=self.outage,
        )

    def _declaring(self, dispatcher: Dispatcher) -> Declaring:
        return Declaring(
            boot=dispatcher.boot,
            limits=self.limits,
            list_schedules=self._listing(dispatcher).say,
            every_s=max(EVERY_S, self.config.worker.heartbeat_interval_s),
            caller=self.access("watch"),
            outage=self.outage,
        )

    def _listing(self, dispatcher: Dispatcher) -> Listing:
        return Listing(
            boot=dispatcher.boot,
            app=self.config.app_name,
            schedules=self.schedules,
            caller=self.access("watch"),
            outage=self.outage,
            report=self.report,
        )

    def _expiry(self, dispatcher: Dispatcher) -> Expiry:
        return Expiry(
            caller=self.access("watch"),
            parked=lambda: dispatcher.parked,
            unknown_after_s=self.config.worker.unknown_name_after_s,
            outage=self.outage,
            report=self.report,
        )

    @_versions.default
    def _make_versions(self) -> Signatures:
        return Signatures(
            mine=self.signatures,
            queues=self.queues,
            caller=self.access("watch"),
            unknown_after_s=self.config.worker.unknown_name_after_s,
            seldom_s=self._seldom_s,
            outage=self.outage,
        )

    def _lateness(self) -> Lateness | None:
        """None: none of its queues has a longest wait, or the store can't be asked."""
        caller = self.access("watch")
        max_waits_s = {
            queue.name: queue.max_wait_s
            for queue in self.config.queues
            if queue.max_wait_s is not None and queue.name in self.queues
        }
        if not max_waits_s or (server := caller.measured) is None:
            return None
        return Lateness(
            caller=caller,
            server=server,
            max_waits_s=max_waits_s,
            shares=self.shares,
            outage=self.outage,
        )
