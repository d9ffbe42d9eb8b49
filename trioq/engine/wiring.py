"""Makes the parts of an engine and hands each what it needs of the others.

Siblings don't import each other; what they share passes through here, once, before anything
runs. What is made anew with each boot is made by its shard.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import trio

from trioq.core.calls import NewJob
from trioq.core.config import Config, QueueConfig
from trioq.core.events import Report
from trioq.core.fairness import Shares
from trioq.core.flow import Flow, Plan, flow
from trioq.core.formats import engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.formats.snapshot import Snapshot
from trioq.core.job import Record
from trioq.core.schedules.schedule import Schedule
from trioq.core.wall import wall_ms
from trioq.engine import from_config
from trioq.engine.appetite import Appetite
from trioq.engine.backlog import Backlog
from trioq.engine.bridge import Access
from trioq.engine.handlers import Apart, AsyncioLoop, Function, Handler, Lifespans, Runners
from trioq.engine.handlers.signature import signature_of
from trioq.engine.outage import Outage
from trioq.engine.runs.aside import Aside
from trioq.engine.runs.breaker import Breakers
from trioq.engine.runs.done import DoneTeller
from trioq.engine.runs.drops import Drops
from trioq.engine.runs.ends import Ends
from trioq.engine.runs.hands import Hands
from trioq.engine.runs.plan import Plans
from trioq.engine.runs.rules import Rules
from trioq.engine.runs.run import Runs
from trioq.engine.runs.settle import Teller
from trioq.engine.runs.shop import Shop
from trioq.engine.runs.turn import Turn
from trioq.engine.runs.worker import Worker
from trioq.engine.sampler import Sampler
from trioq.engine.shard.shard import Shard
from trioq.engine.snapshot import Recent
from trioq.engine.sources.directory import Producer
from trioq.engine.sources.forgetting import Forgetter
from trioq.engine.sources.sender import Limiter
from trioq.engine.sources.ticker import Ticker
from trioq.engine.tracer import Tracer


@attrs.frozen(eq=False, kw_only=True)
class Given:
    """What an engine is made from; see :class:`trioq.engine.engine.Engine`."""

    config: Config
    handlers: Mapping[str, Handler]
    access: Access
    report: Report
    queues: tuple[QueueConfig, ...]
    """Those that it claims from, in order of priority."""
    clock: Callable[[], float]
    tracer: Tracer | None
    name: str
    schedules: tuple[Schedule, ...]
    lifespans: Lifespans
    http: str
    member: tuple[str, int]
    draining: trio.Event
    hurried: trio.Event

    @property
    def queue_names(self) -> tuple[str, ...]:
        """What the queues are called that it claims from."""
        return tuple(queue.name for queue in self.queues)


@attrs.define(eq=False)
class Parts:
    """What an engine is made of. All of it is there before it runs, and does nothing until then."""

    given: Given
    backlog: Backlog = attrs.field(factory=Backlog, init=False)
    runs: Runs = attrs.field(factory=Runs, init=False)
    recent: Recent = attrs.field(factory=Recent, init=False)
    turn: Turn = attrs.field(factory=Turn, init=False)
    shares: Shares = attrs.field(init=False)
    flow: Flow = attrs.field(init=False)
    breakers: Breakers = attrs.field(init=False)
    signatures: Mapping[str, str] = attrs.field(init=False)
    """Of what each handler takes."""
    drops: Drops = attrs.field(init=False)
    done_teller: DoneTeller = attrs.field(init=False)
    ends: Ends = attrs.field(init=False)
    appetite: Appetite = attrs.field(init=False)
    threads: trio.CapacityLimiter = attrs.field(init=False)
    """Bounds those of ``def`` handlers."""
    aside: Aside | None = attrs.field(init=False)
    """None: no handler needs a runner."""
    rules: Rules = attrs.field(init=False)
    shards: tuple[Shard, ...] = attrs.field(init=False)
    workers: tuple[Worker, ...] = attrs.field(init=False)
    _sampler: Sampler | None = attrs.field(default=None, init=False)

    @flow.default
    def _look_up_limits(self) -> Flow:
        return flow(self.given.config)

    @breakers.default
    def _make_breakers(self) -> Breakers:
        given = self.given
        return Breakers(
            settings=from_config.breaker_settings(given.config),
            report=given.report,
            opened=self._poke,
            rules=from_config.breaker_rules(given.config, given.handlers),
        )

    @signatures.default
    def _sign(self) -> Mapping[str, str]:
        return {name: signature_of(handler) for name, handler in self.given.handlers.items()}

    @shares.default
    def _make_shares(self) -> Shares:
        return Shares([(queue.name, queue.weight) for queue in self.given.queues])

    @drops.default
    def _make_drops(self) -> Drops:
        return Drops(self.given.report)

    @done_teller.default
    def _make_done_teller(self) -> DoneTeller:
        return DoneTeller(self.breakers, self.given.report, self.recent, self.drops)

    @ends.default
    def _make_ends(self) -> Ends:
        return Ends(self.runs, self.done_teller, self.turn)

    @appetite.default
    def _make_appetite(self) -> Appetite:
        return Appetite(self.given.clock, self.given.config.worker.count)

    @threads.default
    def _make_threads(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(self.given.config.worker.count)

    @aside.default
    def _make_aside(self) -> Aside | None:
        if (runners := self.runners) is None:
            return None
        given, enough = self.given, self.given.config.worker.count
        return Aside(runners, given.handlers, self.backlog, enough, self._poke)

    @rules.default
    def _make_rules(self) -> Rules:
        return from_config.rules(self.given.config)

    @shards.default
    def _make_shards(self) -> tuple[Shard, ...]:
        given = self.given
        shard = Shard(
            name=given.name,
            config=given.config,
            queues=given.queue_names,
            access=given.access,
            outage=Outage(given.report, random.random),
            backlog=self.backlog,
            runs=self.runs,
            appetite=self.appetite,
            names=given.handlers,
            signatures=self.signatures,
            info=self._info,
            limits=self.flow.settings(
                limit for handler in given.handlers.values() for limit in handler.limits
            ),
            schedules=given.schedules,
            plan=self._plan,
            keep_ms=self._keep_ms,
            breakers=self.breakers,
            admits=self._admits,
            shares=self.shares,
            order=self._queues_in_order,
            aside=self._count_aside,
            is_watched=self._is_watched,
            report=given.report,
            clock=given.clock,
            tracer=given.tracer,
            draining=given.draining,
            hurried=given.hurried,
        )
        return (shard,)

    @workers.default
    def _make_workers(self) -> tuple[Worker, ...]:
        given, count = self.given, self.given.config.worker.count
        plans = Plans(given.handlers, self.rules, self.breakers)
        shop = Shop(
            backlog=self.backlog,
            runs=self.runs,
            handlers=given.handlers,
            queues=frozenset(given.queue_names),
            rules=self.rules,
            grace_s=given.config.worker.cancel_grace_s,
            plans=plans,
            hands=Hands(
                backlog=self.backlog,
                runs=self.runs,
                plans=plans,
                threads=self.threads,
                teller=self.done_teller,
                is_off=given.tracer is not None,
            ),
            done_teller=self.done_teller,
            breakers=self.breakers,
            appetite=self.appetite,
            aside=self.aside,
            threads=self.threads,
            teller=Teller(given.report, self.recent, self.drops),
            turn=self.turn,
            ends=self.ends,
            report=given.report,
            tracer=given.tracer,
        )
        return tuple(Worker(number, shop) for number in range(count))

    def sampler(
        self,
        *,
        outage: Outage,
        idle: Callable[[], tuple[int, int] | None],
        shown: Callable[[], tuple[str, Snapshot] | None],
    ) -> Sampler | None:
        """Measures the server and the loop; None: this store has nothing to measure."""
        given = self.given
        caller = given.access("sample")
        if (server := caller.measured) is None:
            return None
        self._sampler = Sampler(
            caller=caller,
            server=server,
            who=given.name,
            queues=given.config.queue_names,
            claimable=from_config.unlimited(given.queues),
            rate=from_config.rate(given.config),
            interval_s=given.config.observability.queue_sample_interval_s,
            idle=idle,
            shown=shown,
            drain=given.draining.set,
            outage=outage,
            report=given.report,
            clock=given.clock,
        )
        return self._sampler

    @property
    def runners(self) -> Runners | None:
        """Where handlers run that have a process of their own; None: there are no such."""
        found = (h.runners for h in self.given.handlers.values() if isinstance(h, Apart))
        return next(found, None)

    @property
    def asyncio_loop(self) -> AsyncioLoop | None:
        """Where what needs asyncio runs; None: nothing does."""
        if self.given.lifespans.need_asyncio:
            return self.given.lifespans.loop
        handlers = self.given.handlers.values()
        functions = (h.function if isinstance(h, Apart) else h for h in handlers)
        loops = (f.loop for f in functions if isinstance(f, Function) and f.loop is not None)
        return next(loops, None)

    def ticker(self, *, outage: Outage) -> Ticker:
        """Makes the ticks of schedules."""
        given = self.given
        return Ticker(
            caller=given.access("tick"),
            plan=self._plan,
            engine=given.name,
            outage=outage,
            report=given.report,
        )

    async def produce(self, *, outage: Outage) -> None:
        """Scan, and enqueue at the shared rate, until the producer is through."""
        given, config = self.given, self.given.config.producer
        assert config is not None
        send, receive = trio.open_memory_channel[Sequence[NewJob]](0)
        limiter = Limiter(
            caller=given.access("produce"),
            rate=from_config.rate(given.config),
            outage=outage,
            report=given.report,
            random=random.random,
        )
        caller, rules = given.access("scan"), from_config.scan_rules(given.config, config)
        producer = Producer(
            caller=caller,
            rules=rules,
            job=config.job,
            plan=partial(self._plan, config.job),
            watch=config.watch,
            interval_s=config.scan_interval_s,
            outage=outage,
            report=given.report,
            found=send,
            forgetter=Forgetter(
                caller=caller,
                directory=rules.root,
                forget_after_s=config.forget_after_s,
                outage=outage,
                report=given.report,
            ),
            tracer=given.tracer,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(limiter.run, receive)
            nursery.start_soon(producer.run)

    def _plan(self, name: str, queue: str) -> Plan:
        """What the jobs of this name take of limits in this queue."""
        handler = self.given.handlers.get(name)
        return self.flow.plan(name, queue, () if handler is None else handler.limits)

    # -- what they ask of each other -------------------------------------------------------

    def _poke(self) -> None:
        for shard in self.shards:
            shard.poke()

    def _is_watched(self) -> bool:
        seen = None if self._sampler is None else self._sampler.seen
        return seen is not None and seen.glance.watched

    def _admits(self, name: str) -> int:
        return self.breakers.admits(name) if name in self.given.handlers else 0

    def _keep_ms(self, record: Record) -> int:
        keep = self.rules.result_of(self.given.handlers.get(record.name), record)
        return 0 if keep is None else keep.for_ms

    def _queues_in_order(self) -> tuple[str, ...]:
        names = self.shares.order()
        return names if self.aside is None else self.aside.claimable(names) or names

    def _count_aside(self) -> int | None:
        if self.aside is None or not self.backlog.aside:
            return 0
        is_enough = not self.aside.claimable(self.given.queue_names)
        return None if is_enough else len(self.backlog.aside)

    def _info(self) -> bytes:
        """What the engine says of itself to whoever asks the server."""
        given = self.given
        return engine_info.encode(
            EngineInfo(
                name=given.name,
                pid=os.getpid(),
                started_ms=wall_ms(),
                queues=given.queue_names,
                names=tuple(sorted(given.handlers)),
                workers=given.config.worker.count,
                http=given.http,
                lease_s=given.config.worker.lease_s,
                supervisor=given.member[0],
                process=given.member[1],
                strict=all(queue.weight is None for queue in given.queues),
                behind=from_config.behind(given.config, given.handlers),
                signatures=self.signatures,
            )
        )
