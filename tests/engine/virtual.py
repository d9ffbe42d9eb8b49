"""Whole engines under a virtual clock: hours of leases and retries in a second.

The store is the one in memory, called in the loop, because threads and a virtual clock
don't mix. Give these tests trio's ``autojump_clock``.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import attrs
import trio

from tests.engine.rig import config_of
from tests.support import new_job, unwanted
from trioq.app import App
from trioq.core.config import Config
from trioq.core.events import Event, Report
from trioq.engine.engine import Engine
from trioq.engine.handlers.scheduled import schedules
from trioq.engine.inline import InlineCaller
from trioq.engine.tracer import Tracer
from trioq.errors import StoreUnreachable
from trioq.observe.fanout import to_all
from trioq.store.connect import store_options
from trioq.store.memory import MemoryStore

E = TypeVar("E", bound=Event)

#: What the server's clock says when the test begins: whole seconds, so that due times are exact.
EPOCH_S = 1_700_000_000


def calm(**options: Any) -> Config:
    """A configuration whose engines beat and look seldom, so that hours pass quickly."""
    return config_of(**{"lease_s": 40.0, "heartbeat_interval_s": 10.0, "reaper_s": 10.0, **options})


class Link:
    """One engine's way to the store, which can be cut."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.is_cut = False
        self.generation = 1
        """Counts connections: who watches something over time starts anew with each."""

    def cut(self) -> None:
        self.is_cut = True

    def mend(self) -> None:
        self.is_cut = False
        self.generation += 1

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_cut:
                raise StoreUnreachable("cut")
            return method(*args, **kwargs)

        return method if name == "on_ring" else call


class LinkCaller(InlineCaller):
    """A caller over a link."""

    @property
    def generation(self) -> int:  # type: ignore[override]
        link: Any = self.store
        return int(link.generation)


@attrs.define
class Running:
    """An engine that runs in the test's nursery."""

    engine: Engine
    link: Link
    scope: trio.CancelScope
    ended: trio.Event

    def kill(self) -> None:
        """As SIGKILL: nothing that it does reaches the store any more."""
        self.link.cut()
        self.scope.cancel()


@attrs.define
class World:
    """Engines over one store, in virtual time."""

    nursery: trio.Nursery
    app: App = attrs.field(factory=App)
    config: Config = attrs.field(factory=calm)
    store: MemoryStore = attrs.field(init=False)
    told: list[tuple[float, Event]] = attrs.field(factory=list[tuple[float, Event]])
    """Every event, with its time since the test began."""
    listeners: tuple[Report, ...] = ()
    """Who else is told."""
    tracer: Tracer | None = None
    _began: float = attrs.field(factory=trio.current_time)
    _changed: trio.Event = attrs.field(factory=trio.Event)
    _sender: str = attrs.field(factory=lambda: secrets.token_hex(8))
    _sent: int = 0

    def __attrs_post_init__(self) -> None:
        self.store = MemoryStore(store_options(self.config), lambda: EPOCH_S + self.now)

    @property
    def now(self) -> float:
        """Seconds since the test began."""
        return trio.current_time() - self._began

    async def start(self, app: App | None = None, config: Config | None = None) -> Running:
        """One more engine, once it has started."""
        link, scope, ended = Link(self.store), trio.CancelScope(), trio.Event()
        callers: dict[str, LinkCaller] = {}

        def access(purpose: str) -> Any:
            return callers.setdefault(purpose, LinkCaller(link))  # type: ignore[arg-type]

        handlers: Any = (app or self.app).handlers
        engine = Engine(
            config or self.config,
            handlers,
            access,
            to_all(self.report, *self.listeners),
            schedules=schedules(config or self.config, (app or self.app).schedules, handlers),
            clock=trio.lowlevel.current_clock().current_time,  # in threads too
            tracer=self.tracer,
        )

        async def run(task_status: trio.TaskStatus[Engine]) -> None:
            with scope:
                await engine.run(task_status=task_status)
            ended.set()

        await self.nursery.start(run)
        return Running(engine, link, scope, ended)

    def report(self, event: Event) -> None:
        self.told.append((self.now, event))
        self._changed.set()
        self._changed = trio.Event()

    def of(self, kind: type[E], **fields: Any) -> list[E]:
        """The reported events of a kind that have these fields."""
        return [event for _, event in self.timed(kind, **fields)]

    def timed(self, kind: type[E], **fields: Any) -> list[tuple[float, E]]:
        """The same, with their times."""
        return [
            (at, event) for at, event in self.told
            if isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
        ]  # fmt: skip

    async def reported(
        self, kind: type[E], count: int = 1, within_s: float = 24 * 3600, **fields: Any
    ) -> list[E]:
        """Wait until so many of these events were reported."""
        await self.until(lambda: len(self.of(kind, **fields)) >= count, within_s)
        return self.of(kind, **fields)

    async def until(self, what: Callable[[], bool], within_s: float = 24 * 3600) -> None:
        """Wait until this is true; asks again at each event."""
        with trio.move_on_after(within_s):
            while not what():
                await self._changed.wait()
            return
        raise AssertionError(f"not within {within_s} s; reported: {self.told[-20:]}")

    def enqueue(self, name: str, count: int = 1, queue: str = "low", **options: Any) -> list[str]:
        """Queue jobs of a name; their uids. ``payload`` is an object."""
        payload = json.dumps(options.pop("payload", {})).encode()
        jobs = [new_job(queue, name, payload, **options) for _ in range(count)]
        for start in range(0, count, 500):
            self._sent += 1
            self.store.enqueue(self._sender, self._sent, jobs[start : start + 500])
        return [job.uid for job in jobs]

    def cancel(self, *uids: str, name: str, queue: str = "low") -> list[str]:
        """Say that nobody wants these jobs any more; what became of each by now."""
        self._sent += 1
        jobs = [unwanted(uid, queue, name) for uid in uids]
        return [*self.store.cancel(self._sender, self._sent, jobs)]

    def history(self, uid: str) -> list[dict[str, Any]]:
        """What is kept of a job's failed attempts."""
        return [json.loads(line) for line in self.store.space.jobs[uid].history.splitlines()]
