"""One engine, from a configuration, until a signal or until all is done."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable

import attrs
import structlog
import trio
from prometheus_client import generate_latest

from trioq.app import App
from trioq.apps import load_app
from trioq.cli import heed_children, leaving
from trioq.cli.common import fail
from trioq.cli.drain import Verdict, judge
from trioq.cli.signals import obeyed
from trioq.client.of_engine import EngineClients
from trioq.core.config import Config, check
from trioq.core.config.served import served
from trioq.core.events import EngineStopped, Event, LifespanFailed
from trioq.engine.bridge import ThreadCaller
from trioq.engine.engine import ROLES, Engine
from trioq.engine.handlers.scheduled import schedules
from trioq.engine.nurseries import plain_errors
from trioq.errors import ConfigError, StoreBusy, StoreError, StoreUnreachable
from trioq.lines import flush
from trioq.observe.fanout import to_all
from trioq.observe.live import Tally, show, shows
from trioq.observe.log_setup import take_over
from trioq.observe.logs import LogLines
from trioq.observe.tracing import Tracing
from trioq.processes.inside import Inside
from trioq.processes.membership import Membership
from trioq.registry import handler_faults, lifespans_of, registry
from trioq.service import open_access
from trioq.settings import warnings
from trioq.store.checks import check_server, explain
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.store.inspect import outstanding
from trioq.web.beside import check_page
from trioq.web.endpoint import View

#: How often a drain looks whether all is done, and how often it says what it waits for.
LOOK_S = 0.1
TELL_S = 10.0

#: How long a thread that has an answer from Redis waits for one that computes. Python's default
#: of 5 ms, several times in each step, is longer than the jobs of a step take.
SWITCH_S = 0.0005

#: New objects between two looks for garbage in cycles; small jobs make hundreds, and none of those.
GARBAGE = 10_000

Log = structlog.typing.FilteringBoundLogger


@attrs.frozen(kw_only=True)
class Attended:
    """Somebody looks on, and develops what it runs: ``trioq dev``."""

    begin: Callable[[Engine, Log], None]
    """Is told of the engine, in its loop, before it runs."""
    signalled: Callable[[], None]
    """Is told of each signal to end."""
    clock: trio.abc.Clock
    """The loop's."""
    log_lines: Callable[[Log], LogLines]


@attrs.frozen(kw_only=True)
class Asked:
    """What ``trioq serve`` was asked for."""

    path: str
    """The configuration."""
    role: str
    """``all``, ``producer`` or ``worker``."""
    horizon_s: float | None
    """End when all is done that is due within so long; None: not by itself."""
    membership: Membership | None = None
    """Whose child this process is."""
    queues: tuple[str, ...] | None = None
    """Those that it claims from; None: all."""
    attended: Attended | None = None


def run_engine(made: Config, asked: Asked) -> None:
    """One engine in this process, until a signal or until all is done."""
    member = asked.membership
    if asked.horizon_s is not None and made.producer is not None:
        made = attrs.evolve(made, producer=attrs.evolve(made.producer, watch=False))
    if member is not None:  # its supervisor has the port, and the page is shown by none of many
        made = attrs.evolve(made, observability=attrs.evolve(made.observability, bind=""))
        made = attrs.evolve(made, web=attrs.evolve(made.web, bind=""))
    observability = made.observability
    # Before the handlers are imported: they may bring a configuration of their own.
    log = take_over(
        observability.log_level, observability.log_format,
        namespace=None if asked.attended else made.namespace,
        process=member.number if member else None,
    )  # fmt: skip
    app = load_app(made.app, made.directory) if made.app else App()
    check(made, handler_faults(app, made))
    check_page(made)
    if asked.role == "producer" and made.producer is None:
        told = f"{asked.path}: producer: the producer role needs a [producer] section"
        raise ConfigError([told])
    if heed_children():
        log.warning("signal_reset", signal="SIGCHLD", why="ignored, no exit code can be known")
    leaving.prepare(made.worker.grace_s, log.warning)
    roles = ROLES if asked.role == "all" else frozenset({asked.role})
    described, refused = made.redis.url, None
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(GARBAGE)
    try:
        with open_store(made, log=lambda line: log.warning("server", message=line)) as connector:
            described = connector.description
            facts = check_server(connector.store("check"), has_keeper=connector.is_embedded)
            log.info("connected", to=described, durability=facts.durability)
            for line in warnings(made) if member is None else ():
                log.warning("configuration", advice=line)
            session = _Session(made, app, connector, roles, log, asked)
            trio.run(session.run, clock=asked.attended.clock if asked.attended else None)
    except* StoreError as group:
        refused = _first(group)
    if refused is not None:
        flush()  # what led to it comes first
        fail(explain(refused, described))


@attrs.define
class _Session:
    config: Config
    app: App
    connector: Connector
    roles: frozenset[str]
    log: Log
    asked: Asked

    @property
    def member(self) -> Membership | None:
        return self.asked.membership

    @property
    def attended(self) -> Attended | None:
        return self.asked.attended

    async def run(self) -> None:
        # At a breakpoint somebody wants the terminal as it is.
        is_shown = self.member is None and self.attended is None and shows(sys.stderr)
        tally = Tally()
        lines = self.attended.log_lines(self.log) if self.attended else LogLines(self.log)
        lifespans = lifespans_of(self.app)
        handlers = registry(self.app, self.config, takes_over=True, lifespans=lifespans)
        view = View(self.config, handlers)
        view.bind()
        if self.member is not None and self.member.http:
            _ = view.metrics  # from now on they count
        ending = _Ending()
        report = to_all(lines, *view.listeners(), ending, *([tally] if is_shown else []))
        view.engine = ending.engine = engine = Engine(
            self.config,
            handlers,
            open_access(self.connector, self.config),
            report,
            roles=self.roles,
            queues=self.asked.queues,
            schedules=schedules(self.config, self.app.schedules, handlers),
            lifespans=lifespans,
            http=self.member.http if self.member else view.address,
            member=(self.member.supervisor, self.member.number) if self.member else ("", 0),
            tracer=Tracing.open(self.config).tracer(),
            clients=EngineClients(lambda: self.config, self.app.handlers),
        )
        with obeyed() as signals, plain_errors():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals, engine)
                nursery.start_soon(self._end_in_time, engine)
                nursery.start_soon(view.serve, report, self.connector)
                if is_shown:
                    nursery.start_soon(show, tally, sys.stderr)
                if self.asked.horizon_s is not None:
                    nursery.start_soon(self._end_when_done, engine)
                if self.attended is not None:
                    self.attended.begin(engine, self.log)
                if self.member is None:
                    await engine.run()
                else:
                    await self._run_as_child(self.member, view, engine)
                nursery.cancel_scope.cancel()

    async def _obey(self, signals: AsyncIterator[int], engine: Engine) -> None:
        """The first signal drains, the second cuts the grace period short."""
        act: Callable[[], None] = engine.drain
        async for number in signals:
            self.log.info("signal", signal=signal.Signals(number).name)
            if self.attended is not None:
                self.attended.signalled()
            act()
            act = engine.hurry

    async def _run_as_child(self, member: Membership, view: View, engine: Engine) -> None:
        """Run the engine, and tell the supervisor how it is."""

        def orphaned() -> None:
            self.log.warning("supervisor_gone")
            engine.drain()

        def page() -> str:
            return generate_latest(view.metrics.registry).decode()

        inside = Inside.on(
            member.fd,
            page=page if member.http else None,
            health=view.readiness,
            jobs=lambda: engine.ended,
            orphaned=orphaned,
        )
        async with trio.open_nursery() as nursery:
            started = _Started()
            nursery.start_soon(inside.run, started.event)
            await engine.run(task_status=started)
            await inside.say_last()
            nursery.cancel_scope.cancel()

    async def _end_in_time(self, engine: Engine) -> None:
        """A handler that heeds no end can't keep the process for ever."""
        await engine.draining.wait()
        worker = self.config.worker
        await trio.sleep(worker.grace_s + worker.cancel_grace_s)
        _begin_leaving(engine)

    async def _end_when_done(self, engine: Engine) -> None:
        """Stop the engine when there is nothing left that it could do."""
        await engine.produced.wait()
        redis = self.config.redis
        deadline_s = redis.connect_timeout_s + redis.read_timeout_s
        caller = ThreadCaller(self.connector.store("drain"), deadline_s)
        tell_at = trio.current_time() + TELL_S
        while True:
            verdict = await self._judge(caller)
            if verdict is not None and verdict.is_done:
                self.log.info("drained", left_behind=list(verdict.left_behind))
                engine.drain()
                return
            if verdict is not None and trio.current_time() >= tell_at:
                self.log.info("draining", waiting_for=list(verdict.waiting_for))
                tell_at = trio.current_time() + TELL_S
            await trio.sleep(LOOK_S)

    async def _judge(self, caller: ThreadCaller) -> Verdict | None:
        queues = [queue.name for queue in served(self.config, self.asked.queues)]
        horizon_ms = int((self.asked.horizon_s or 0) * 1000)
        try:
            counts, running, names = await caller.call(
                outstanding, caller.store, queues, horizon_ms
            )
        except (StoreUnreachable, StoreBusy):
            return None  # the engine tells of the outage
        return judge(counts, running, names)


@attrs.define
class _Ending:
    """Sees that the process ends when its engine has."""

    engine: Engine | None = None

    def listener_for(self, kind: type[Event]) -> Callable[[Event], None] | None:
        """It is told of these alone."""
        return self if kind in (EngineStopped, LifespanFailed) else None

    def __call__(self, event: Event) -> None:
        """The engine has stopped, or something fails after that."""
        if isinstance(event, LifespanFailed):
            leaving.failed()
            return
        engine = self.engine
        # Of a boot that was lost it is told, too, and another follows.
        if engine is not None and engine.draining.is_set():
            _begin_leaving(engine)


def _begin_leaving(engine: Engine) -> None:
    leaving.begin(lambda: engine.going_on, engine.lifespans)


@attrs.frozen
class _Started:
    """Set when an engine has started."""

    event: trio.Event = attrs.field(factory=trio.Event)

    def started(self, value: Engine | None = None) -> None:
        self.event.set()


def _first(group: BaseExceptionGroup[StoreError]) -> StoreError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StoreError)
    return error
