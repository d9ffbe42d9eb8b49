"""``trioq serve``: one engine, from a configuration, until a signal or until all is done."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable

import attrs
import click
import structlog
import trio

from trioq.app import App, load_app
from trioq.cli import heed_children, leaving
from trioq.cli.common import Number, fail
from trioq.cli.drain import Verdict, judge
from trioq.cli.signals import obeyed
from trioq.core.config import Config
from trioq.core.valid import LONGEST_S
from trioq.engine.bridge import ThreadCaller
from trioq.engine.engine import ROLES, Engine
from trioq.errors import ConfigError, StoreBusy, StoreError, StoreUnreachable
from trioq.lines import flush
from trioq.observe.fanout import to_all
from trioq.observe.live import Tally, show, shows
from trioq.observe.log_setup import take_over
from trioq.observe.logs import LogLines
from trioq.observe.tracing import Tracing
from trioq.service import open_access, registry
from trioq.settings import load, warnings
from trioq.store.checks import check_server, explain
from trioq.store.connect import Connector, open_store
from trioq.store.inspect import outstanding
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


@click.command()
@click.argument("config", type=click.Path())
@click.option("--role", type=click.Choice(["all", "producer", "worker"]), default="all")
@click.option("--drain", is_flag=True, help="Scan once, run all there is, and end.")
@click.option(
    "--drain-horizon",
    type=Number(min=0, max=LONGEST_S),
    default=60.0,
    show_default=True,
    help="Seconds: jobs due later than this don't hold the end back.",
)
def serve(config: str, role: str, drain: bool, drain_horizon: float) -> None:
    """Run an engine: claim and run jobs, and scan for files.

    SIGTERM or Ctrl-C lets running jobs finish within the grace period; a second one cuts
    that short. The exit code is then 0.
    """
    made = load(config)
    if drain and made.producer is not None:
        made = attrs.evolve(made, producer=attrs.evolve(made.producer, watch=False))
    observability = made.observability
    # Before the handlers are imported: they may bring a configuration of their own.
    log = take_over(observability.log_level, observability.log_format, namespace=made.namespace)
    app = load_app(made.app, made.directory) if made.app else App()
    if role == "producer" and made.producer is None:
        raise ConfigError([f"{config}: producer: the producer role needs a [producer] section"])
    if heed_children():
        log.warning("signal_reset", signal="SIGCHLD", why="ignored, no exit code can be known")
    leaving.prepare(made.worker.grace_s, log.warning)
    roles = ROLES if role == "all" else frozenset({role})
    horizon_s = drain_horizon if drain else None
    described, refused = made.redis.url, None
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(GARBAGE)
    try:
        with open_store(made, log=lambda line: log.info("server", message=line)) as connector:
            described = connector.description
            facts = check_server(connector.store("check"), has_keeper=connector.is_embedded)
            log.info("connected", to=described, durability=facts.durability)
            for line in warnings(made):
                log.warning("configuration", advice=line)
            trio.run(_Session(made, app, connector, roles, log, horizon_s).run)
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
    horizon_s: float | None

    async def run(self) -> None:
        is_shown = shows(sys.stderr)
        tally, lines = Tally(), LogLines(self.log)
        handlers = registry(self.app, self.config)
        view = View(self.config, handlers)
        view.bind()
        report = to_all(lines, *view.listeners(), *([tally] if is_shown else []))
        view.engine = engine = Engine(
            self.config,
            handlers,
            open_access(self.connector, self.config),
            report,
            roles=self.roles,
            http=view.address,
            tracer=Tracing.open(self.config).tracer(),
        )
        with obeyed() as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_obey, signals, engine, self.log)
                nursery.start_soon(view.serve, report)
                if is_shown:
                    nursery.start_soon(show, tally, sys.stderr)
                if self.horizon_s is not None:
                    nursery.start_soon(self._end_when_done, engine)
                await engine.run()
                nursery.cancel_scope.cancel()

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
        queues = [queue.name for queue in self.config.queues]
        horizon_ms = int((self.horizon_s or 0) * 1000)
        try:
            counts, running, names = await caller.call(
                outstanding, caller.store, queues, horizon_ms
            )
        except (StoreUnreachable, StoreBusy):
            return None  # the engine tells of the outage
        return judge(counts, running, names)


async def _obey(signals: object, engine: Engine, log: Log) -> None:
    """The first signal drains, the second cuts the grace period short."""
    act: Callable[[], None] = engine.drain
    async for number in signals:  # type: ignore[attr-defined]
        log.info("signal", signal=signal.Signals(number).name)
        act()
        act = engine.hurry


def _first(group: BaseExceptionGroup[StoreError]) -> StoreError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, StoreError)
    return error
