"""Clients of a world: those that a test asks for, those that handlers have, and all others of the
process, which lead there as long as the world lives (:mod:`trioq.client.elsewhere`).

In a loop they are :mod:`.inline`. In a thread they are those of ordinary code, over a store that
each of them calls where it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Lock
from typing import Any, Protocol, cast

import attrs
import trio

from trioq.app import App
from trioq.client.admin import Admin
from trioq.client.client import Client
from trioq.client.elsewhere import lead
from trioq.client.jobs import Drafts
from trioq.client.loop_runtime import LoopClient
from trioq.client.of_engine import EngineClients
from trioq.client.sync import SyncClient
from trioq.core.calls import Ended, Enqueued
from trioq.core.config import Config
from trioq.core.wall import shown_by
from trioq.errors import StoreClosed, StoreRefused
from trioq.observe.tracing import Tracing
from trioq.store.inspect import Explanation, JobView
from trioq.store.protocol import ClientStore, Way
from trioq.testing.clock import PATIENCE_S, NothingHappens, VirtualTime
from trioq.testing.inline import Inline
from trioq.testing.link import Link
from trioq.testing.server import Space

NOBODY_RUNS = (
    "{} waits for a job, and no engine of this world runs: the test would wait for good. Run the"
    " jobs first, tq.run(tq.drain), and then ask for what became of them. A view that enqueues and"
    " waits needs an engine beside it: an async test that calls it in its own loop, after await"
    " tq.start()"
)
IN_THE_LOOP = (
    "a sync client would wait here for a job, and stop the loop that runs it: in async tests and"
    " handlers it is await tq.client…, or await job.client…"
)
NOT_ASKED = (
    "an admin client of a test's world has job, explain, now_ms, pause, resume and reset_breaker:"
    " all else it would ask Redis. tq.enqueued(…) tells what is queued"
)


class Around(Protocol):
    """What clients need of their world."""

    @property
    def app(self) -> App: ...
    @property
    def config(self) -> Config: ...
    @property
    def space(self) -> Space: ...
    @property
    def time(self) -> datetime: ...
    @property
    def timekeeper(self) -> VirtualTime: ...
    @property
    def nursery(self) -> trio.Nursery | None: ...
    @property
    def is_here(self) -> bool: ...


@attrs.define(eq=False)
class Clients:
    """Those of one link: a world's own, or those of an engine in it. Where clients are led: an
    :class:`~trioq.client.elsewhere.Elsewhere`."""

    world: Around
    link: Link
    of_engine: bool = False
    """Whether their threads are those of handlers, for which time stands still."""

    # -- where clients are led -----------------------------------------------------------------

    def way(self, instead_of: Way | None = None) -> Way:
        """For a client of ordinary code."""
        return instead_of if isinstance(instead_of, ThreadWay) else ThreadWay(self, instead_of)

    def runtime(self) -> Inline:
        """For a client in a loop."""
        return Inline(self.link, self)

    def admin(self, queues: Sequence[str]) -> Admin:
        """For operators."""
        return WorldAdmin(cast(Any, self.way().store("admin")), queues)

    @contextmanager
    def lead(self) -> Iterator[None]:
        """While this lasts all clients of the process lead here, and its clocks on the wall show
        the world's time."""

        def world_s() -> float:
            return self.world.time.timestamp()

        with lead(self), shown_by(world_s):
            yield

    # -- what they need of the world -----------------------------------------------------------

    @property
    def space(self) -> Space:
        return self.world.space

    @property
    def is_here(self) -> bool:
        """Whether time passes by itself here: in trio, or in the loop of asyncio's handlers."""
        return self.world.is_here or self.of_engine

    def check_alive(self, who: str = "this") -> None:
        """
        Raises:
          NothingHappens: No engine runs, and none will as long as one waits here.
        """
        if self.world.nursery is None:
            raise NothingHappens(NOBODY_RUNS.format(who))

    # -- clients -------------------------------------------------------------------------------

    def client(self) -> Client:
        """One for any loop."""
        return Client(self.runtime(), *self._parts())

    def sync_client(self) -> SyncClient:
        """One for ordinary code."""
        return SyncClient(self.way(), *self._parts())

    def aio_client(self) -> LoopClient:
        """One for asyncio, which can be closed."""
        with self.lead():
            return LoopClient(self.way(), *self._parts(), None)

    def of_handlers(self, app: App, config: Config) -> EngineClients:
        """What handlers have as ``job.client`` and ``job.sync_client``."""
        return EngineClients(lambda: config, app.handlers, self)

    def _parts(self) -> tuple[Drafts, Tracing]:
        config = self.world.config
        drafts = Drafts(config, knows_queues=True)
        drafts.handler_queues.know(self.world.app.handlers)
        return drafts, Tracing.open(config)


@attrs.define(eq=False)
class ThreadWay:
    """A :class:`~trioq.store.protocol.Way` for one client of ordinary code."""

    clients: Clients
    _instead_of: Way | None
    _is_closed: bool = attrs.field(default=False, init=False)

    def open(self) -> None:
        """It is."""

    def store(self, purpose: str, *, call_s: float = math.inf) -> ClientStore:
        return cast(ClientStore, ThreadStore(self))

    def listening(self, client: str, *, call_s: float = math.inf) -> Ear:
        return Ear(self)

    @property
    def is_closed(self) -> bool:
        return self._is_closed or (self._instead_of is not None and self._instead_of.is_closed)

    def close(self) -> None:
        self._is_closed = True

    def check(self) -> None:
        """
        Raises:
          StoreClosed: It leads nowhere any more.
        """
        if self.is_closed:
            raise StoreClosed("the client was closed, and for good: open another")

    def rest(self) -> Rest:
        """Where a thread of its client waits."""
        return Rest(self.clients.world.timekeeper if self.clients.of_engine else None)


class Rest:
    """Where a thread waits for something that happens in the world.

    Args:
      time: Stands still as long as the thread does anything; so it has to be let go meanwhile, and
        held by whoever wakes the thread. None: it doesn't.
    """

    def __init__(self, time: VirtualTime | None) -> None:
        self._time = time
        self._lock = Lock()
        self._awake = Event()
        self._rests = False

    def wake(self) -> None:
        """Something has happened. In any thread."""
        with self._lock:
            if self._rests and self._time is not None and not self._awake.is_set():
                self._time.hold()
            self._awake.set()

    def wait(self, timeout_s: float) -> bool:
        """Until something happens, or has since it was asked last; or for so long, in real seconds:
        False."""
        with self._lock:
            self._rests = not self._awake.is_set()
            if self._rests and self._time is not None:
                self._time.let_go()
        self._awake.wait(timeout_s)
        with self._lock:
            is_awake = self._awake.is_set()
            if self._rests and self._time is not None and not is_awake:
                self._time.hold()
            self._rests = False
            self._awake.clear()
        return is_awake


class ThreadStore:
    """The store, for a thread: has all methods that clients call."""

    def __init__(self, way: ThreadWay) -> None:
        self._way = way
        self._link = way.clients.link
        self._seen: JobView | None = None

    def end_by(self, until: float) -> None:
        """Nothing takes long here."""

    def start_enqueue(self, *args: Any) -> Callable[[], Enqueued]:
        answer: Enqueued = self.enqueue(*args[:3], who=args[3] if len(args) > 3 else None)
        return lambda: answer

    def look(self, uid: str, id: str | None) -> JobView | None:
        """Of who follows a job nobody is to look for good."""
        view: JobView | None = self._called("look", uid, id)
        if view is not None and view == self._seen and view.state not in OVER:
            self._way.clients.check_alive("who follows this")
        self._seen = view
        return view

    def __getattr__(self, name: str) -> Any:
        if name in ("lane", "keys"):
            raise StoreRefused(NOT_ASKED)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._called(name, *args, **kwargs)

        return call

    def _called(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self._way.check()
        if self._link.is_frozen:
            rest = self._way.rest()
            self._link.on_ring(lambda _: rest.wake())
            while self._link.is_frozen:
                rest.wait(PATIENCE_S)
        return getattr(self._link, name)(*args, **kwargs)


#: Where a job is that has ended.
OVER = ("done", "dead", "cancelled")


class Ear:
    """A :class:`~trioq.store.protocol.Hearing` that hears only that something has changed: it is
    then as one that has lost its connection, and whoever waits asks anew."""

    def __init__(self, way: ThreadWay) -> None:
        self._way = way
        self._rest = way.rest()
        self._stop: Callable[[], None] = lambda: None
        self.is_open = False

    def open(self) -> None:
        self._way.check()
        if trio.lowlevel.in_trio_task():
            raise RuntimeError(IN_THE_LOOP)
        self._stop()
        self._stop = self._way.clients.space.on_change(self._rest.wake)
        self.is_open = True

    def next(self, timeout_s: float) -> list[Ended]:
        has_changed = self._rest.wait(min(timeout_s, PATIENCE_S))
        self._way.check()
        if has_changed:
            self._stop()
            self.is_open = False
        elif timeout_s >= PATIENCE_S:
            self._way.clients.check_alive("who called this")
        return []


class WorldAdmin(Admin):
    """What of an admin client a world has."""

    def job(self, id_or_uid: str) -> JobView | None:
        return self.store.find(id_or_uid)

    def explain(self, id_or_uid: str) -> Explanation:
        return self.store.explain(id_or_uid)

    def now_ms(self) -> int:
        return self.store.now_ms()
