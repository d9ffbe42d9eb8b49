"""Hears of the ends of jobs: what the scripts publish to whoever waits for one.

A message is a hint. It is lost where nobody listens at that moment, so whoever waits asks for
itself after each :meth:`~Listening.open`, and now and then besides.
"""

from __future__ import annotations

from typing import cast

from redis.connection import AbstractConnection

from trioq.core.calls import End, Ended, EndWord
from trioq.errors import StoreRefused, StoreUnreachable
from trioq.store import kept
from trioq.store.keys import Keys
from trioq.store.lane import Lane
from trioq.store.replies import END_WORDS, MESSAGE

#: How long a server may take to say that it has understood.
OPEN_S = 10.0


class Listening:
    """One client's ear. Blocks; for one thread at a time, but that others may :meth:`close` it.

    Args:
      lane: Used for nothing else.
      client: The name by which the client is told.
    """

    def __init__(self, lane: Lane, keys: Keys, client: str) -> None:
        self.lane = lane
        self._channel = keys.of("ends", client)
        self._needs = f"+subscribe and &{keys.of('ends', '*')}"
        """What an ACL user has to have for it."""
        self._connection: AbstractConnection | None = None

    def open(self) -> None:
        """Listen from now on.

        Raises:
          StoreUnreachable, StoreBusy, StoreRefused: Nobody listens.
        """
        self._connection = None
        try:
            connection = self.lane.start("SUBSCRIBE", self._channel)
            is_heard = (
                self.lane.more(connection, MESSAGE, min(OPEN_S, self.lane.call_s)) is not None
            )
        except StoreRefused as error:
            if not str(error).startswith("NOPERM"):
                raise
            raise StoreRefused(f"{error}; who waits for jobs needs {self._needs}") from error
        if not is_heard:
            self.lane.interrupt()
            raise StoreUnreachable(f"{self.lane.name}: no answer to SUBSCRIBE")
        self._connection = connection

    @property
    def is_open(self) -> bool:
        """Whether somebody listens, as far as is known."""
        return self._connection is not None

    def next(self, timeout_s: float) -> list[Ended]:
        """The next ends that are told, those that come together; empty: none was, in this time.

        Raises:
          StoreUnreachable: The connection is lost, and with it what was told since: open again.
        """
        connection, ends = self._connection, list[Ended]()
        if connection is None:
            raise StoreUnreachable(f"{self.lane.name}: nobody listens")
        try:
            said = self.lane.more(connection, MESSAGE, max(timeout_s, 0.001))
            while said is not None:
                if (ended := _ended(said)) is not None:
                    ends.append(ended)
                said = self.lane.more(connection, MESSAGE, 0)
        except BaseException:
            self._connection = None
            raise
        return ends

    def close(self) -> None:
        """Listen no longer; from any thread, and at once."""
        self.lane.interrupt()


def _ended(message: list[bytes]) -> Ended | None:
    """What a message tells; None: it is none of ours."""
    kind, _, said = message
    uid, _, rest = said.partition(b" ") if kind == b"message" else (b"", b"", b"")
    word, _, value = rest.partition(b" ")
    if word not in END_WORDS:
        return None
    return Ended(kept.text(uid), End(cast(EndWord, kept.text(word)), value))
