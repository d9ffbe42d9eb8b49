"""The way to one namespace: lanes and stores, made when somebody first asks for one.

Nothing here loads redis-py, which takes longer to import than all the rest of a client: whoever
connects first does.
"""

from __future__ import annotations

import math
import secrets
import threading
from typing import TYPE_CHECKING, Any, Protocol, Self

import attrs

from trioq.core.config import Config, RedisConfig
from trioq.errors import StoreClosed
from trioq.store.keys import Keys
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

if TYPE_CHECKING:
    from redis.connection import AbstractConnection

    from trioq.store.embedded import Embedded
    from trioq.store.lane import Lane
    from trioq.store.listening import Listening


class Dial(Protocol):
    """Makes a connection object, not yet connected."""

    def __call__(self, **more: Any) -> AbstractConnection: ...


@attrs.define
class Connector:
    """The way to one namespace. Close it when all its lanes are done with."""

    keys: Keys
    options: StoreOptions
    description: str
    """For people: where it leads, without any secret."""
    redis: RedisConfig
    _dial: Dial | None = attrs.field(default=None, repr=False)
    _embedded: Embedded | None = None
    _lanes: list[Lane] = attrs.field(factory=list, init=False, repr=False)
    _is_closed: bool = attrs.field(default=False, init=False)
    _token: str = attrs.field(factory=lambda: secrets.token_hex(4), init=False)

    def lane(self, purpose: str, *, at_most_s: float = math.inf, call_s: float = math.inf) -> Lane:
        """A connection for one purpose, made when it is first used.

        The server lists it as ``trioq:<purpose>:<8 hex digits of this connector>``.

        Args:
          at_most_s: How long connecting, and each piece of an answer, may take, where the
              configuration allows more.
          call_s: How long a call may take in all.
        """
        from trioq.store.greeting import Greeting
        from trioq.store.lane import Lane

        at_most_s = min(at_most_s, call_s)
        connect_s = min(self.redis.connect_timeout_s, at_most_s)
        read_s = min(self.redis.read_timeout_s, at_most_s)
        greeting = Greeting(self.redis)

        def dial(name: str) -> AbstractConnection:
            connection = self._dial_there(
                socket_connect_timeout=connect_s,
                socket_timeout=read_s,
                redis_connect_func=lambda connection: greeting.say(connection, name),
            )
            # redis-py's defaults have changed twice; a re-sent write would be executed twice.
            assert connection.retry.get_retries() == 0, "redis-py would send again by itself"
            return connection

        lane = Lane(dial, f"trioq:{purpose}:{self._token}", call_s)
        if self._is_closed:
            lane.close()  # whoever asks it is told so
        self._lanes.append(lane)
        return lane

    def open(self) -> None:
        """Do now what whoever connects first would do."""

    def _dial_there(self, **more: Any) -> AbstractConnection:
        assert self._dial is not None
        return self._dial(**more)

    def store(
        self, purpose: str, *, at_most_s: float = math.inf, call_s: float = math.inf
    ) -> RedisStore:
        """A store on a lane of its own; see :meth:`lane`."""
        lane = self.lane(purpose, at_most_s=at_most_s, call_s=call_s)
        return RedisStore(self.keys, lane, self.options)

    def listening(self, client: str, *, call_s: float = math.inf) -> Listening:
        """Hears what a client of this name is told, on a connection of its own.

        Args:
          call_s: How long it may take to begin.
        """
        from trioq.store.listening import Listening

        return Listening(self.lane("ends", call_s=call_s), self.keys, client)

    @property
    def is_closed(self) -> bool:
        """Whether it leads nowhere any more."""
        return self._is_closed

    @property
    def is_embedded(self) -> bool:
        """Whether it leads to a server of one's own, with a keeper."""
        return self._embedded is not None

    def close(self) -> None:
        """Close all lanes, for good, and give up the embedded server if there is one."""
        self._is_closed = True
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()
        if self._embedded is not None:
            self._embedded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@attrs.define(kw_only=True)
class _Later(Connector):
    """One that is opened by whoever connects first, in the thread in which that is."""

    _config: Config
    _opening: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _opened: Connector | None = attrs.field(default=None, init=False, repr=False)

    def open(self) -> None:
        """Do now what is to be done; see :func:`open_store`."""
        with self._opening:
            if self._opened is None and not self._is_closed:
                from trioq.store.connect import open_store

                self._opened = open_store(self._config)

    def _dial_there(self, **more: Any) -> AbstractConnection:
        self.open()
        if self._opened is None:
            raise StoreClosed("the client was closed, and for good: open another")
        return self._opened._dial_there(**more)

    def close(self) -> None:
        super().close()
        with self._opening:
            if self._opened is not None:
                self._opened.close()


def keys_of(config: Config) -> Keys:
    """The keys of a configuration's namespace."""
    return Keys(config.namespace)


def store_options(config: Config) -> StoreOptions:
    """What a configuration says to the scripts."""
    return StoreOptions(
        keep_done=config.worker.keep_done,
        id_retention_ms=int(config.worker.id_retention_s * 1000),
        max_lengths={q.name: q.max_length for q in config.queues if q.max_length is not None},
        when_full={q.name: q.when_full for q in config.queues if q.when_full is not None},
    )


def open_later(config: Config) -> Connector:
    """The way to a configuration's namespace; whatever has to be done for it is done by whoever
    connects first, and may then raise what :func:`open_store` raises."""
    return _Later(keys_of(config), store_options(config), "", config.redis, config=config)
