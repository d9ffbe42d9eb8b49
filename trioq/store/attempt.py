"""Connecting, in a way that can be given up at any moment."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from redis.connection import AbstractConnection

from trioq.errors import StoreUnreachable


class Attempt:
    """Connecting in a thread that can be left behind.

    Neither a name server nor a server that takes connections and says nothing can be
    interrupted. Connecting writes nothing, so nobody has to know how it ends.

    A Ctrl-C may come at any moment of it, in the main thread. Python's threads and events are
    written in Python: one in the midst of them leaves their locks as they are, or comes out as
    another error. So what is used here is what they are made of, which is in C.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._over = SimpleQueue[None]()
        self._abandoned = False
        self._connection: AbstractConnection | None = None
        self._error: Exception | None = None

    def run(
        self, connect: Callable[[], AbstractConnection], timeout_s: float | None = None
    ) -> AbstractConnection:
        """The connection that ``connect`` makes.

        Args:
          timeout_s: It is abandoned after so long.

        Raises:
          StoreUnreachable: Abandoned, or there is no thread for it. Else what ``connect`` raises.
        """
        connection, told = None, "interrupted while connecting"
        try:
            _thread.start_new_thread(self._work, (connect,))
            try:
                self._over.get(timeout=timeout_s)
            except Empty:
                told = "no connection in time"
                self.abandon()
            with self._lock:
                connection, self._connection = self._connection, None
        except RuntimeError as error:
            raise StoreUnreachable(
                f"{self._name}: no thread to connect: {error}", sent=False
            ) from error
        except BaseException:
            self.abandon()
            if connection is not None:
                connection.disconnect()
            raise
        if self._error is not None:
            raise self._error
        if connection is None:
            raise StoreUnreachable(f"{self._name}: {told}", sent=False)
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
            self._over.put(None)

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
            self._over.put(None)
