"""From a configuration to lanes: embedded server, TCP, TLS or a Unix socket.

redis-py is told to do nothing by itself: no re-sends, no maintenance notifications (they
would disable its check for a stale reply), no commands of its own.
"""

from __future__ import annotations

import errno
import math
import secrets
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import attrs
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)

from trioq.core.config import Config, RedisConfig
from trioq.errors import StoreRefused
from trioq.store import embedded
from trioq.store.greeting import Greeting
from trioq.store.keys import Keys
from trioq.store.lane import Lane, no_retries
from trioq.store.listening import Listening
from trioq.store.protocol import StoreOptions
from trioq.store.redis import RedisStore

#: A connection that is dead without a word is noticed after about 20 s of silence, a send that
#: nobody takes after 10 s. Not every system has all of these.
KEEPALIVE: dict[int, int] = {
    getattr(socket, name): value
    for name, value in {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 3,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 10_000,
    }.items()
    if hasattr(socket, name)
}

Log = Callable[[str], None]
Dial = Callable[..., AbstractConnection]


@attrs.define
class Connector:
    """The way to one namespace. Close it when all its lanes are done with."""

    keys: Keys
    options: StoreOptions
    description: str
    """For people: where it leads, without any secret."""
    redis: RedisConfig
    _dial: Dial = attrs.field(repr=False)
    _embedded: embedded.Embedded | None = None
    _lanes: list[Lane] = attrs.field(factory=list[Lane], init=False, repr=False)
    _is_closed: bool = attrs.field(default=False, init=False)
    _token: str = attrs.field(factory=lambda: secrets.token_hex(4), init=False)

    def lane(self, purpose: str, *, at_most_s: float = math.inf) -> Lane:
        """A connection for one purpose, made when it is first used.

        The server lists it as ``trioq:<purpose>:<8 hex digits of this connector>``.

        Args:
          at_most_s: How long connecting, and each piece of an answer, may take, where the
              configuration allows more.
        """
        connect_s = min(self.redis.connect_timeout_s, at_most_s)
        read_s = min(self.redis.read_timeout_s, at_most_s)
        greeting = Greeting(self.redis)

        def dial(name: str) -> AbstractConnection:
            connection = self._dial(
                socket_connect_timeout=connect_s,
                socket_timeout=read_s,
                redis_connect_func=lambda connection: greeting.say(connection, name),
            )
            # redis-py's defaults have changed twice; a re-sent write would be executed twice.
            assert connection.retry.get_retries() == 0, "redis-py would send again by itself"
            return connection

        lane = Lane(dial, f"trioq:{purpose}:{self._token}")
        if self._is_closed:
            lane.close()  # whoever asks it is told so
        self._lanes.append(lane)
        return lane

    def store(self, purpose: str, *, at_most_s: float = math.inf) -> RedisStore:
        """A store on a lane of its own; see :meth:`lane`."""
        return RedisStore(self.keys, self.lane(purpose, at_most_s=at_most_s), self.options)

    def listening(self, client: str) -> Listening:
        """Hears what a client of this name is told, on a connection of its own."""
        return Listening(self.lane("ends"), self.keys, client)

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


def store_options(config: Config) -> StoreOptions:
    """What a configuration says to the scripts."""
    return StoreOptions(
        keep_done=config.worker.keep_done,
        id_retention_ms=int(config.worker.id_retention_s * 1000),
        max_lengths={q.name: q.max_length for q in config.queues if q.max_length is not None},
        when_full={q.name: q.when_full for q in config.queues if q.when_full is not None},
    )


def open_store(config: Config, *, read_only: bool = False, log: Log = embedded.tell) -> Connector:
    """The way to a configuration's namespace; starts or joins the embedded server.

    A server elsewhere isn't asked for anything yet: lanes connect when they are first used.

    Args:
      read_only: Start nothing where there is no data yet.
      log: Is told what the embedded server has to say, as of :func:`trioq.store.embedded.start`.

    Raises:
      StoreRefused: The embedded server can't be started, there is none to read from, or a
          TLS file can't be used. The message says what to do.
    """
    keys = Keys(config.namespace)
    options = store_options(config)
    directory = config.redis.embedded
    if directory is None:
        dial_there, description = _elsewhere(config)
        return Connector(keys, options, description, config.redis, dial_there)
    path = config.resolve(directory)
    if read_only and not embedded.exists(path):
        raise StoreRefused(f"{path}: no data there yet; `trioq serve` makes it")
    server = embedded.start(path, log=log)

    def dial(**more: Any) -> AbstractConnection:
        return _EmbeddedConnection(server, **_COMMON, **more)  # type: ignore[abstract]

    return Connector(keys, options, f"embedded:{directory}", config.redis, dial, server)


#: What every connection is told, of whatever kind it is. It says nothing by itself.
_COMMON: dict[str, Any] = {
    "retry": no_retries(),
    "protocol": 2,
    "driver_info": None,
    "health_check_interval": 0,
}


def _elsewhere(config: Config) -> tuple[Dial, str]:
    """How to reach a server that somebody else runs."""
    redis = config.redis
    parts = urlsplit(redis.url)
    if parts.scheme == "unix":
        path = unquote(parts.path)

        def unix(**more: Any) -> AbstractConnection:
            return UnixDomainSocketConnection(path=path, **_COMMON, **more)  # type: ignore[abstract]

        return unix, f"unix://{path}"
    host, port = parts.hostname or "localhost", parts.port or 6379
    common = {
        **_COMMON,
        "host": host,
        "port": port,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }
    shown_host = f"[{host}]" if ":" in host else host
    description = f"{parts.scheme}://{shown_host}:{port}/{redis.db}"
    if parts.scheme == "redis":
        return lambda **more: Connection(**common, **more), description
    common |= _tls(config)
    return lambda **more: SSLConnection(**common, **more), description


def _tls(config: Config) -> dict[str, Any]:
    """How to speak TLS; its files are tried now, and read again for each connection."""
    redis = config.redis
    ca, cert, key = (
        None if name is None else config.resolve(name)
        for name in (redis.tls_ca, redis.tls_cert, redis.tls_key)
    )
    _try_tls_files(ca, cert, key)
    return {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        "ssl_ca_certs": str(ca) if ca else None,
        "ssl_certfile": str(cert) if cert else None,
        "ssl_keyfile": str(key) if key else None,
    }


def _try_tls_files(ca: Path | None, cert: Path | None, key: Path | None) -> None:
    """Say now what is wrong with them: later it would look like a server that is away."""
    for path in filter(None, (ca, cert, key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise StoreRefused(f"{path}: can't be read: {error.strerror}") from None
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError as error:
            raise StoreRefused(f"{ca}: has no certificate in PEM form: {_reason(error)}") from None
    if cert is not None:
        try:
            # A passphrase that is wrong, rather than none: OpenSSL would ask on the terminal.
            context.load_cert_chain(cert, key, password="")
        except ssl.SSLError as error:
            raise StoreRefused(
                f"{cert}, {key}: not a certificate and its key, in PEM form and without a"
                f" passphrase: {_reason(error)}"
            ) from None


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()


class _EmbeddedConnection(UnixDomainSocketConnection):
    """A connection to the embedded server, which is started again if it was killed."""

    def __init__(self, server: embedded.Embedded, **options: Any) -> None:
        self._server = server
        super().__init__(path=server.socket_path, **options)  # type: ignore[no-untyped-call]

    def _connect(self) -> socket.socket:
        try:
            return self._dialled()
        except (ConnectionRefusedError, FileNotFoundError):
            # Nobody listens. A server that is stopped or loading does, and is waited for.
            if not self._server.revive():
                if why := self._server.why_gone:
                    raise ConnectionRefusedError(errno.ECONNREFUSED, why) from None
                raise
            return self._dialled()

    def _dialled(self) -> socket.socket:
        sock: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        return sock
