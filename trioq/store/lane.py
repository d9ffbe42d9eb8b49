"""One connection to the server, for one purpose, used by one thread at a time.

A lane calls Redis and turns what can go wrong into three errors: no answer
(:class:`StoreUnreachable`), not now (:class:`StoreBusy`), no (:class:`StoreRefused`).
It never sends anything twice: redis-py's own retries are off, because only who made a
request knows whether it may be repeated.

Another thread can :meth:`~Lane.interrupt` a call. It shuts the socket down, which wakes
the reader at once, also when the server is stopped; ``CLIENT UNBLOCK`` would hang exactly
then.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from trioq.errors import StoreBusy, StoreRefused, StoreUnreachable
from trioq.store.scripts import Script

#: "Not now": nothing was executed, and it may work in a while.
_BUSY = (
    "LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS",
    "MISCONF", "OOM", "READONLY", "UNBLOCKED",
)  # fmt: skip

#: redis-py gives these a class of their own and takes the code off the text.
_STRIPPED = {
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.OutOfMemoryError: "OOM",
}


class Dialer(Protocol):
    """Makes a connection object, not yet connected."""

    def __call__(self, name: str) -> AbstractConnection: ...


def no_retries() -> Retry:
    """redis-py's default would send a write up to ten times."""
    return Retry(NoBackoff(), 0)


class Lane:
    """One connection, made when it is first needed and again after each failure."""

    def __init__(self, dial: Dialer, name: str) -> None:
        self.name = name
        self.generation = 0
        """Counts connections: whoever watches something over time starts anew with each."""
        self._dial = dial
        self._lock = threading.Lock()
        self._connection: AbstractConnection | None = None
        self._interrupted = False
        self._closed = False

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def connect(self) -> AbstractConnection:
        """A new connection, ready for use but not yet this lane's.

        May be abandoned: nobody else holds the object.
        """
        connection = self._dial(self.name)
        try:
            connection.connect()
        except Exception as error:
            connection.disconnect()
            raise translated(error, sent=False) from error
        return connection

    def adopt(self, connection: AbstractConnection) -> None:
        """Use this connection from now on."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._connection = connection
                self.generation += 1
        if closed:
            connection.disconnect()

    def arm(self) -> None:
        """Before a call: interrupts from now on are meant for it."""
        self._interrupted = False

    def interrupt(self) -> None:
        """Make the call under way, if any, fail with :class:`StoreUnreachable`. Never blocks."""
        with self._lock:
            self._interrupted = True
            sock = getattr(self._connection, "_sock", None)
            if sock is not None:
                # The base method: SSLSocket.shutdown would drop TLS under the reader.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect for good."""
        with self._lock:
            self._closed = True
        self.interrupt()
        self._drop()

    def call(self, *command: Any, timeout_s: float | None = None) -> Any:
        """Send one command and read its answer."""
        return self.pipeline([command], timeout_s=timeout_s)[0]

    def pipeline(
        self, commands: Sequence[tuple[Any, ...]], *, timeout_s: float | None = None
    ) -> list[Any]:
        """Send commands in one go and read all answers; the first error answer is raised.

        Args:
          timeout_s: How long to wait for each answer; None: the connection's default.
        """
        if self._connection is None:
            self.adopt(self.connect())
        connection = self._connection
        try:
            if connection is None or self._closed or self._interrupted:
                raise StoreUnreachable(f"{self.name}: interrupted")
            connection.send_packed_command(
                connection.pack_commands(commands) if len(commands) > 1
                else connection.pack_command(*commands[0]),
                check_health=False,
            )  # fmt: skip
            answers = [self._read(connection, timeout_s) for _ in commands]
        except Exception as error:
            self._drop()
            raise translated(error) from error
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise translated(answer) from answer
        return answers

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script: by its SHA-1, or by its text where the server doesn't have it."""
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except StoreRefused as error:
            if not isinstance(error.__cause__, redis.exceptions.NoScriptError):
                raise
        return self.call("EVAL", script.text, len(keys), *keys, *args)

    @staticmethod
    def _read(connection: AbstractConnection, timeout_s: float | None) -> Any:
        try:
            if timeout_s is None:
                return connection.read_response(disconnect_on_error=False)
            return connection.read_response(timeout=timeout_s, disconnect_on_error=False)
        except redis.ResponseError as error:
            return error

    def _drop(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.disconnect()


def translated(error: Exception, *, sent: bool = True) -> Exception:
    """The error in our own words, with its cause's text.

    Args:
      sent: Whether a request may have reached the server before it.
    """
    if isinstance(error, StoreUnreachable | StoreBusy | StoreRefused):
        return error
    text = str(error) or type(error).__name__
    if isinstance(error, redis.exceptions.NoScriptError):
        return StoreRefused(text)
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return StoreRefused(text)
    for kind, code in _STRIPPED.items():
        if isinstance(error, kind):
            return StoreBusy(f"{code} {text}")
    if isinstance(error, redis.ConnectionError | redis.TimeoutError | OSError):
        if "max number of clients" in text:
            return StoreBusy(text)
        return StoreUnreachable(text, sent=sent)
    if isinstance(error, redis.ResponseError):
        return StoreBusy(text) if _says_busy(text) else StoreRefused(text)
    return error


def _says_busy(text: str) -> bool:
    # Older servers wrap the code: "Error running script …: -READONLY You can't write …".
    return text.startswith(_BUSY) or any(f"-{code} " in text for code in _BUSY)
