"""What all of a world share: a store by the world's clock, which is the model or a real server.

Whoever is in the world calls the store where it stands, in the loop or in a thread: calls are
short, and none of them waits. Who waits for something is told after each call that may have changed
anything, and looks again.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import attrs
import trio

from trioq.core.calls import Enqueued, Enqueuer, NewJob
from trioq.core.config import Config, RedisConfig
from trioq.errors import StoreError
from trioq.store import apart
from trioq.store.connect import open_store
from trioq.store.connector import Connector, store_options
from trioq.store.keys import Keys
from trioq.store.memory import MemoryStore
from trioq.store.protocol import Store, StoreOptions
from trioq.store.redis import RedisStore

#: Calls after which nobody who waits finds more than before: they only look, or change what nobody
#: waits for.
QUIET = frozenset({
    "register", "beat", "observe", "engines", "payload", "payloads", "history", "notes_of", "wait",
    "unblock", "next_ticks", "schedules", "wait_for", "seen", "seen_from",
    "find", "look", "record", "explain", "schedule_views", "now_ms", "jobs",
    "prepare", "end_by", "close",
})  # fmt: skip

Clock = Callable[[], float]
"""Seconds since the epoch."""


class Space:
    """A namespace of its own, and the one store through which everybody calls it.

    Made by :meth:`in_memory` or :meth:`on_redis`; closed when the world ends. All of it may be used
    in any thread.
    """

    def __init__(self, its: MemoryStore | RedisStore) -> None:
        self.its = its
        """What is behind :attr:`store`: for who looks, in one thread."""
        self._turn = threading.RLock()
        self._changed, self._rung = Listeners(), Listeners()
        if isinstance(its, MemoryStore):
            its.on_ring(self._rung.call)
        self.store = cast(Store, _InTurn(its, self._turn, self._called, self._rung.add))
        """The store that everybody calls."""

    @classmethod
    def in_memory(cls, config: Config, now_s: Clock) -> Space:
        """One in the model.

        Args:
          now_s: The world's clock, which is the server's.
        """
        return cls(MemoryStore(_options(config, now_s)))

    @classmethod
    def on_redis(cls, config: Config, now_s: Clock, server: Connector | None = None) -> Space:
        """One on a real server, in a namespace that nobody else has; forgotten in the end.

        Args:
          now_s: The world's clock: scripts and questions go by it, and not by the server's.
          server: The way there; None: to the embedded one of this process.

        Raises:
          StoreRefused: There is no server to be had. The message says what to do.
        """
        keys, options = Keys(f"testing-{secrets.token_hex(8)}"), _options(config, now_s)
        way = attrs.evolve(server or real_server(), keys=keys, options=options)
        return cls(way.store("testing"))

    @property
    def alive(self) -> int:
        """How many jobs are neither over nor dead."""
        if isinstance(self.its, MemoryStore):
            return len(self.its.space.jobs) - len(self.its.space.dead)
        with self._turn:
            return apart.alive(self.its)

    def count(self, word: str) -> int:
        """What the server has counted so far of what this names: ``done``, say."""
        if isinstance(self.its, MemoryStore):
            return self.its.space.stats[word]
        with self._turn:
            return apart.counted(self.its, word)

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call this after each call of the store that may have changed anything.

        Returns:
          Ends that. Who listens in a run of trio is called in its loop, and not after its end.
        """
        return self._changed.add(lambda _: listener())

    def on_ring(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call this when a bell may ring: with its name as far as that is known. Returns: as
        :meth:`on_change`."""
        return self._rung.add(listener)

    def close(self) -> None:
        """Forget all of it."""
        if isinstance(self.its, RedisStore):
            with contextlib.suppress(StoreError):  # the server is gone, and all that it had
                apart.forget(self.its)
            self.its.close()

    def _called(self) -> None:
        if isinstance(self.its, RedisStore):
            self._rung.call("")  # what rang only the server knows: whoever waits for a bell looks
        self._changed.call()


@attrs.define
class Listeners:
    """Who is to be called when something happens, each where it can be.

    trio's events are for the thread of its loop, and a world may outlive several runs of trio.
    """

    _listeners: list[tuple[trio.lowlevel.TrioToken | None, Callable[[str], None]]] = attrs.field(
        factory=list
    )

    def add(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Returns what ends it."""
        entry = (_here(), listener)
        self._listeners.append(entry)

        def remove() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(entry)

        return remove

    def call(self, what: str = "") -> None:
        """Tell all of them."""
        here = _here()
        for entry in list(self._listeners):
            token, listener = entry
            if token is None or token is here:
                listener(what)
                continue
            try:
                token.run_sync_soon(listener, what)
            except trio.RunFinishedError:
                with contextlib.suppress(ValueError):
                    self._listeners.remove(entry)


def _here() -> trio.lowlevel.TrioToken | None:
    return trio.lowlevel.current_trio_token() if trio.lowlevel.in_trio_run() else None


class _InTurn:
    """A store, one call at a time; whoever listens is told afterwards."""

    def __init__(
        self,
        store: Any,
        turn: threading.RLock,
        called: Callable[[], None],
        on_ring: Callable[..., Any],
    ) -> None:
        self._store = store
        self._turn = turn
        self._called = called
        self.on_ring = on_ring

    def wait(self, queues: Sequence[str], timeout_s: float, boot: str | None = None) -> bool:
        """Whether a bell rings, as it is now: time passes for who waits, and not in here."""
        with self._turn:
            return bool(self._store.wait(queues, 0, boot))

    def start_enqueue(
        self, sender: str, number: int, jobs: Sequence[NewJob], who: Enqueuer | None = None
    ) -> Callable[[], Enqueued]:
        # All use one connection: nobody may have an answer under way there.
        return lambda: cast(Enqueued, self.enqueue(sender, number, jobs, who=who))

    def step_at_bell(self, step: Any, timeout_s: float) -> Any:
        self.wait(step.queues if step.want else (), 0, step.boot)
        return self.step(step)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                with self._turn:
                    return method(*args, **kwargs)
            finally:
                if name not in QUIET:
                    self._called()

        setattr(self, name, call)
        return call


def _options(config: Config, now_s: Clock) -> StoreOptions:
    """The server's clock has whole milliseconds, on both."""
    return attrs.evolve(store_options(config), clock_ms=lambda: round(now_s() * 1e6) // 1000)


@functools.cache
def real_server() -> Connector:
    """The way to the embedded server of this process, which ends with it.

    Raises:
      StoreRefused: It can't be started. The message says what to do.
    """
    directory = tempfile.mkdtemp(prefix="trioq-testing-")
    connector = open_store(Config(redis=RedisConfig(url=f"embedded:{directory}")))

    def end() -> None:
        apart.end_server(connector.store("testing"))
        connector.close()
        shutil.rmtree(directory, ignore_errors=True)

    atexit.register(end)
    return connector
