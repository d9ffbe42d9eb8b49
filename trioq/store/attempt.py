"""Connecting, in a way that can be given up at any moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from redis.connection import AbstractConnection

from trioq.errors import StoreUnreachable


class Attempt:
    """Connecting in a thread that can be left behind.

    Neither a name server nor a server that takes connections and says nothing can be
    interrupted. Connecting writes nothing, so nobody has to know how it ends.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._abandoned = False
        self._connection: AbstractConnection | None = None
        self._error: Exception | None = None

    def run(self, connect: Callable[[], AbstractConnection]) -> AbstractConnection:
        """The connection that ``connect`` makes.

        Raises:
          StoreUnreachable: Abandoned, or there is no thread for it. Else what ``connect`` raises.
        """
        thread = threading.Thread(
            target=self._work, args=(connect,), name=f"{self._name}:connect", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            raise StoreUnreachable(
                f"{self._name}: no thread to connect: {error}", sent=False
            ) from error
        try:
            self._over.wait()
        except BaseException:
            self.abandon()
            raise
        with self._lock:
            connection, self._connection = self._connection, None
        if self._error is not None:
            raise self._error
        if connection is None:
            raise StoreUnreachable(f"{self._name}: interrupted while connecting", sent=False)
        return connection

    @property
    def is_abandoned(self) -> bool:
        return self._abandoned

    def abandon(self) -> None:
        """Whoever waits for the connection is told that there is none."""
        with self._lock:
            self._abandoned = True
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.disconnect()
            self._over.set()

    def _work(self, connect: Callable[[], AbstractConnection]) -> None:
        connection, failure = None, None
        try:
            connection = connect()
        except Exception as error:
            failure = error
        with self._lock:
            if not self._abandoned:
                self._connection, self._error = connection, failure
            elif connection is not None:
                connection.disconnect()
            self._over.set()
