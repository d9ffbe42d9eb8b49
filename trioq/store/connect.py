"""From a configuration to lanes: embedded server, TCP, TLS or a Unix socket.

redis-py is told to do nothing by itself: no re-sends, no maintenance notifications (they
would disable its check for a stale reply), no commands of its own beyond AUTH and SELECT.
"""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Callable
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
from trioq.store.keys import Keys
from trioq.store.lane import Lane, no_retries
from trioq.store.redis import RedisStore, StoreOptions

#: A connection that is dead without a word is noticed after about 20 s of silence, a send that
#: nobody takes after 10 s.
KEEPALIVE: dict[int, int] = {
    socket.TCP_KEEPIDLE: 10,
    socket.TCP_KEEPINTVL: 3,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 10_000,
}

Log = Callable[[str], None]


@attrs.define
class Connector:
    """The way to one namespace. Close it when all its lanes are done with."""

    keys: Keys
    options: StoreOptions
    description: str
    """For people: where it leads, without any secret."""
    redis: RedisConfig
    _dial: Callable[..., AbstractConnection]
    _embedded: embedded.Embedded | None = None
    _lanes: list[Lane] = attrs.field(factory=list[Lane], init=False)
    _token: str = attrs.field(factory=lambda: secrets.token_hex(4), init=False)

    def lane(self, purpose: str, *, read_timeout_s: float | None = None) -> Lane:
        """A connection for one purpose, made when it is first used."""
        read_s = self.redis.read_timeout_s if read_timeout_s is None else read_timeout_s

        def dial(name: str) -> AbstractConnection:
            return self._dial(client_name=name, socket_timeout=read_s)

        lane = Lane(dial, f"trioq:{purpose}:{self._token}")
        self._lanes.append(lane)
        return lane

    def store(self, purpose: str, *, read_timeout_s: float | None = None) -> RedisStore:
        """A store on a lane of its own."""
        lane = self.lane(purpose, read_timeout_s=read_timeout_s)
        return RedisStore(self.keys, lane, self.options)

    def close(self) -> None:
        """Close all lanes, and give up the embedded server if there is one."""
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()
        if self._embedded is not None:
            self._embedded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_store(
    config: Config, *, read_only: bool = False, log: Log = lambda line: None
) -> Connector:
    """The way to a configuration's namespace; starts or joins the embedded server.

    Args:
      read_only: Start nothing where there is no data yet.
      log: Is told what the embedded server had to say at its start.

    Raises:
      StoreRefused: The embedded server can't be started, or there is none to read from.
    """
    keys = Keys(config.namespace)
    options = StoreOptions(
        keep_done=config.worker.keep_done,
        id_retention_ms=int(config.worker.id_retention_s * 1000),
        max_lengths={q.name: q.max_length for q in config.queues if q.max_length is not None},
    )
    common: dict[str, Any] = {
        "db": config.redis.db,
        "username": config.redis.username,
        "password": config.redis.password.reveal() if config.redis.password else None,
        "socket_connect_timeout": config.redis.connect_timeout_s,
        "retry": no_retries(),
        "protocol": 2,
        "driver_info": None,
        "health_check_interval": 0,
    }
    directory = config.redis.embedded
    if directory is None:
        dial_there, description = _elsewhere(config, common)
        return Connector(keys, options, description, config.redis, dial_there)
    path = config.resolve(directory)
    if read_only and not embedded.exists(path):
        raise StoreRefused(f"{path}: there is no data yet; `trioq serve` and `enqueue` make it")
    server = embedded.start(path, log=log)
    for notice in server.notices:
        log(notice)
    description = f"embedded:{directory}"

    def dial(**more: Any) -> AbstractConnection:
        return _EmbeddedConnection(server, **common, **more)  # type: ignore[abstract]

    return Connector(keys, options, description, config.redis, dial, server)


def _elsewhere(config: Config, common: dict[str, Any]) -> tuple[Callable[..., Any], str]:
    """How to reach a server that somebody else runs."""
    redis = config.redis
    parts = urlsplit(redis.url)
    if parts.scheme == "unix":
        path = unquote(parts.path)

        def unix(**more: Any) -> AbstractConnection:
            return UnixDomainSocketConnection(path=path, **common, **more)  # type: ignore[abstract]

        return unix, f"unix://{path}"
    host, port = parts.hostname or "localhost", parts.port or 6379
    common = {
        **common,
        "host": host,
        "port": port,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }
    description = f"{parts.scheme}://{host}:{port}/{redis.db}"
    if parts.scheme == "redis":
        return lambda **more: Connection(**common, **more), description
    common |= {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        "ssl_ca_certs": str(config.resolve(redis.tls_ca)) if redis.tls_ca else None,
        "ssl_certfile": str(config.resolve(redis.tls_cert)) if redis.tls_cert else None,
        "ssl_keyfile": str(config.resolve(redis.tls_key)) if redis.tls_key else None,
    }
    return lambda **more: SSLConnection(**common, **more), description


class _EmbeddedConnection(UnixDomainSocketConnection):
    """A connection to the embedded server, which is started again if it was killed."""

    def __init__(self, server: embedded.Embedded, **options: Any) -> None:
        self._server = server
        super().__init__(path=server.socket_path, **options)  # type: ignore[no-untyped-call]

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[no-untyped-call]
        except Exception:
            if not self._server.revive():
                raise
            super().connect()  # type: ignore[no-untyped-call]
