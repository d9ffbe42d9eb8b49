"""A whole engine in the test's own loop, on a real server, with everything it reports."""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import attrs
import trio

from tests.support import PATIENCE_S, Server, new_job, unwanted
from trioq.app import App
from trioq.core.calls import CANCEL_MAX, Step
from trioq.core.config import Config, QueueConfig, RedisConfig
from trioq.core.config.sections import BreakerConfig, ReaperConfig, WorkerConfig
from trioq.core.events import EngineStarted, EngineStopped, Event
from trioq.engine import from_config
from trioq.engine.engine import Engine
from trioq.errors import StoreUnreachable
from trioq.isolation import runners_of
from trioq.observe.fanout import to_all
from trioq.registry import all_handlers
from trioq.service import lifespans_of, open_access
from trioq.store.connect import open_store
from trioq.store.connector import Connector
from trioq.store.inspect import Stats, stats
from trioq.store.keys import Keys
from trioq.store.lane import Lane
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

E = TypeVar("E", bound=Event)
T = TypeVar("T")

#: Leases and polls of these tests: short, so that a death is found within two seconds.
WORKER: dict[str, Any] = {
    "count": 4, "lease_s": 1.0, "heartbeat_interval_s": 0.2, "grace_s": 5.0, "keep_done": 100,
}  # fmt: skip


def config_of(
    queues: tuple[str, ...] = ("high", "low"),
    *,
    breaker: dict[str, Any] | None = None,
    reaper_s: float = 0.2,
    **worker: Any,
) -> Config:
    """A configuration; what isn't said is short."""
    return Config(
        namespace="t",
        queues=tuple(QueueConfig(name) for name in queues),
        worker=WorkerConfig(**{**WORKER, **worker}),
        circuit_breaker=BreakerConfig(**(breaker or {})),
        reaper=ReaperConfig(interval_s=reaper_s),
    )


class Wire(RedisStore):
    """A store whose requests and replies can get lost, and that remembers each step it sent."""

    def __init__(self, lane: Lane, options: StoreOptions, purpose: str) -> None:
        super().__init__(Keys("t"), lane, options)
        self.purpose = purpose
        self.sent: list[tuple[Any, ...]] = []
        """Every step as it went out: all keys and arguments."""
        self.at_once = 0
        """How many of them didn't wait for a bell."""
        self.last: Step | None = None
        """The step that was sent last."""
        self.lose: list[str] = []
        """What happens to the next calls of scripts, in turn: ``request``, ``reply``, ``""``."""
        self.only_settling = False
        """Whether it happens to nothing but steps that settle something."""
        self.before: Callable[[str], None] = lambda name: None
        """Called in the thread before each script, with its name."""

    def _step(self, step: Step, **wait: Any) -> Any:
        keys, args = self._encode(step)
        self.sent.append((*keys, *args))
        self.at_once += not wait
        self.last = step
        return super()._step(step, **wait)

    @property
    def settles(self) -> bool:
        """Whether the last step settles something."""
        return self.last is not None and bool(self.last.settlements)

    def hold_back(self, *fates: str) -> tuple[trio.Event, threading.Event]:
        """Have a step that settles something wait in its thread, once those before it have had
        these fates.

        Returns:
          What is set when it waits, and what lets it go.
        """
        waits, let_go, loop = trio.Event(), threading.Event(), trio.lowlevel.current_trio_token()

        def before(name: str) -> None:
            if name == "step" and self.settles and not self.lose:
                trio.from_thread.run_sync(waits.set, trio_token=loop)
                let_go.wait()

        self.only_settling, self.lose, self.before = True, [*fates], before
        return waits, let_go

    def _execute(self, name: str, keys: Any, args: Any, **wait: Any) -> list[Any]:
        self.before(name)
        meant = not self.only_settling or (name == "step" and self.settles)
        fate = self.lose.pop(0) if self.lose and meant else ""
        if fate == "request":
            raise StoreUnreachable("the request got lost")
        reply = super()._execute(name, keys, args, **wait)
        if fate == "reply":
            raise StoreUnreachable("the reply got lost")
        return reply


@attrs.frozen
class Wires:
    """Opens such stores, on the lanes of a connector."""

    connector: Connector
    by_purpose: dict[str, Wire] = attrs.field(factory=dict[str, Wire])

    def store(self, purpose: str, *, at_most_s: float = math.inf) -> Wire:
        lane = self.connector.lane(purpose, at_most_s=at_most_s)
        wire = self.by_purpose[purpose] = Wire(lane, self.connector.options, purpose)
        return wire


@attrs.define
class Rig:
    """Engines on one server."""

    server: Server
    app: App = attrs.field(factory=App)
    config: Config = attrs.field(factory=config_of)
    read_timeout_s: float = 1.0
    events: list[Event] = attrs.field(factory=list[Event])
    wires: dict[str, Wire] = attrs.field(factory=dict[str, Wire])
    """By purpose; of the engine that was made last."""
    connectors: list[Connector] = attrs.field(factory=list[Connector])
    _store: RedisStore = attrs.field(init=False)
    _sent: int = 0
    _changed: trio.Event = attrs.field(factory=trio.Event)
    _sender: str = attrs.field(factory=lambda: secrets.token_hex(8))

    def __attrs_post_init__(self) -> None:
        self._store = self.server.store("t")

    # -- engines ---------------------------------------------------------------------------

    def engine(self, **options: Any) -> Engine:
        """One that isn't running yet."""
        config = self.whole_config
        wires = self.connect()
        self.wires = wires.by_purpose
        # Without the built-in ones: tests have their own of these names.
        retry, runners = from_config.retry(config), runners_of(self.app, config)
        options.setdefault("lifespans", lifespans_of(self.app))
        handlers = all_handlers(
            self.app,
            config.commands,
            App(),
            config.directory,
            retry,
            runners=runners,
            lifespans=options["lifespans"],
        )
        return Engine(config, handlers, open_access(wires, config), to_all(self.report), **options)

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Engine]:
        """One that runs, and is drained in the end."""
        engine = self.engine(**options)
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            yield engine
            engine.drain()

    @property
    def whole_config(self) -> Config:
        """With the way to the server."""
        redis = RedisConfig(
            url=self.server.url, connect_timeout_s=1.0, read_timeout_s=self.read_timeout_s
        )
        return attrs.evolve(self.config, redis=redis)

    def connect(self) -> Wires:
        """Lanes of somebody's own, closed with the rig."""
        wires = Wires(open_store(self.whole_config))
        self.connectors.append(wires.connector)
        return wires

    def report(self, event: Event) -> None:
        """Note an event."""
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()

    # -- what has happened -----------------------------------------------------------------

    def of(self, kind: type[E], **fields: Any) -> list[E]:
        """The reported events of a kind that have these fields."""
        return [
            event for event in self.events
            if isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
        ]  # fmt: skip

    async def until(self, what: Callable[[], T], timeout_s: float = PATIENCE_S) -> T:
        """The first true answer; asks again at each event, and every few milliseconds."""
        with trio.move_on_after(timeout_s):
            while not (answer := what()):
                with trio.move_on_after(0.005):
                    await self._changed.wait()
            return answer
        raise AssertionError(f"not within {timeout_s} s; reported: {self.events[-20:]}")

    async def reported(self, kind: type[E], count: int = 1, **fields: Any) -> list[E]:
        """Wait until so many of these events were reported."""
        return await self.until(
            lambda: found if len(found := self.of(kind, **fields)) >= count else []
        )

    # -- the server's side -----------------------------------------------------------------

    def enqueue(self, name: str, count: int = 1, queue: str = "low", **options: Any) -> list[str]:
        """Queue jobs of a name; their uids. ``payload`` is an object."""
        payload = json.dumps(options.pop("payload", {})).encode()
        jobs = [new_job(queue, name, payload, **options) for _ in range(count)]
        for start in range(0, count, 500):
            self._sent += 1
            self._store.enqueue(self._sender, self._sent, jobs[start : start + 500])
        return [job.uid for job in jobs]

    def cancel(self, *uids: str, name: str, queue: str = "low") -> list[str]:
        """Say that nobody wants these jobs any more; what became of each by now."""
        words = list[str]()
        for start in range(0, len(uids), CANCEL_MAX):
            self._sent += 1
            jobs = [unwanted(uid, queue, name) for uid in uids[start : start + CANCEL_MAX]]
            words += self._store.cancel(self._sender, self._sent, jobs)
        return words

    def stats(self) -> Stats:
        """How many jobs are where."""
        return stats(self._store, [queue.name for queue in self.config.queues])

    def left_properly(self) -> bool:
        """Whether whoever says that it has signed off is gone.

        Signing off has 50 ms. Who isn't through by then says so, and is the reaper's.
        """
        gone = {event.boot for event in self.of(EngineStopped) if event.signed_off}
        return not gone & {engine.id for engine in self.stats().engines}

    @property
    def store(self) -> RedisStore:
        """The test's own."""
        return self._store

    def reconnect(self) -> None:
        """A new one for the test: the server has closed its connection."""
        self._store.lane.close()
        self._store = self.server.store("t")

    def key(self, *command: Any) -> Any:
        """One command whose second word is the name of a key in the namespace."""
        verb, key, *rest = command
        return self._store.lane.call(verb, f"{{t}}:{key}", *rest)

    def history(self, uid: str) -> list[dict[str, Any]]:
        """What is kept of a job's failed attempts."""
        lines = self.key("HGET", "history", uid) or b""
        return [json.loads(line) for line in lines.splitlines()]

    def close(self) -> None:
        self._store.lane.close()
        for connector in self.connectors:
            connector.close()


@contextmanager
def rig_on(server: Server, **options: Any) -> Iterator[Rig]:
    """A rig, closed in the end."""
    rig = Rig(server, **options)
    try:
        yield rig
    finally:
        rig.close()


# -- handlers of many tests --------------------------------------------------------------------


def noop(rig: Rig, name: str = "noop") -> None:
    """Register a handler that does nothing."""

    @rig.app.job(name)
    async def handler() -> None:
        pass


def gated(rig: Rig, name: str = "gated") -> trio.Event:
    """Register a handler that runs until this event is set."""
    gate = trio.Event()

    @rig.app.job(name)
    async def handler() -> None:
        await gate.wait()

    return gate


def boot_of(rig: Rig) -> str:
    """The engine that started last."""
    return rig.of(EngineStarted)[-1].boot


@attrs.define
class Tally:
    """How many handlers run at a time."""

    running: int = 0
    most: int = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more, while this lasts."""
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield
        finally:
            self.running -= 1
