"""From a configuration to lanes: embedded server, TCP, TLS or a Unix socket.

redis-py is told to do nothing by itself: no re-sends, no maintenance notifications (they
would disable its check for a stale reply), no commands of its own.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)

from trioq.core.config import Config
from trioq.errors import StoreRefused
from trioq.extras import extra
from trioq.store import greeting, listening
from trioq.store.connector import Connector, Dial, keys_of, store_options
from trioq.store.lane import no_retries

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

#: What a connector loads late is here as soon as there is one: without descriptors nothing more can
#: be loaded, and that is to be told as what it is.
_LOADED = (greeting, listening)


def open_store(config: Config, *, read_only: bool = False, log: Log | None = None) -> Connector:
    """The way to a configuration's namespace; starts or joins the embedded server.

    A server elsewhere isn't asked for anything yet: lanes connect when they are first used.

    Args:
      read_only: Start nothing where there is no data yet.
      log: Is told what the embedded server has to say, as of :func:`trioq.store.embedded.start`.
          None: that goes to stderr.

    Raises:
      StoreRefused: The embedded server can't be started, there is none to read from, or a
          TLS file can't be used. The message says what to do.
    """
    keys = keys_of(config)
    options = store_options(config)
    directory = config.redis.embedded
    if directory is None:
        dial_there, description = _elsewhere(config)
        return Connector(keys, options, description, config.redis, dial_there)
    with extra("the embedded server"):
        from trioq.store import embedded
        from trioq.store.embedded.dial import EmbeddedConnection

    path = config.resolve(directory)
    if read_only and not embedded.exists(path):
        raise StoreRefused(f"{path}: no data there yet; `trioq serve` makes it")
    server = embedded.start(path, log=log or embedded.tell)

    def dial(**more: Any) -> AbstractConnection:
        return EmbeddedConnection(server, **_COMMON, **more)  # type: ignore[abstract]

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
