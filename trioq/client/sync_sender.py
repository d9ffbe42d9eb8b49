"""Sends numbered writes until they are answered, from ordinary code: without trio.

Shared by all who write: clients and operators. A sender numbers its writes and sends one at a
time, so that one whose answer was lost can be sent again: the server executes each number once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from trioq.client.resend import PATIENCE_S, Own, ResendPolicy
from trioq.errors import StoreError
from trioq.store.redis import RedisStore

P = ParamSpec("P")
T = TypeVar("T")


class SyncSender:
    """Sends from ordinary code. Several threads may share one, and forked children.

    Args:
      opened: Opens a store for a process: called now, and in each forked child that sends.
    """

    def __init__(self, opened: Callable[[], RedisStore]) -> None:
        self._opened = opened
        self._own = Own(opened(), threading.Lock())

    @property
    def id(self) -> str:
        """What the server knows the sender by."""
        return self._own.numbering.sender

    def send(
        self,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Send one write, a method of the store, until it is answered, or for ten seconds.

        Raises:
          StoreUnreachable: No answer; with ``sent``, it may have been executed, or may be.
          StoreClosed: The connection was closed by its own program.
          StoreBusy, StoreRefused: It wasn't executed.
        """
        return self.send_within(PATIENCE_S, write, *args, **kwargs)

    def send_within(
        self,
        within_s: float,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same, with no other try after so many seconds."""
        own = self._here()
        with own.turn:
            sender, number = own.numbering.next()
            return _patiently(lambda: write(own.way, sender, number, *args, **kwargs), within_s)

    def ask(
        self, question: Callable[Concatenate[RedisStore, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask the store something, which may be asked twice, until it is answered, or for ten
        seconds.

        Raises: As :meth:`send`.
        """
        return self.ask_within(PATIENCE_S, question, *args, **kwargs)

    def ask_within(
        self,
        within_s: float,
        question: Callable[Concatenate[RedisStore, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same, with no other try after so many seconds."""
        own = self._here()
        with own.turn:
            return _patiently(lambda: question(own.way, *args, **kwargs), within_s)

    def _here(self) -> Own[RedisStore, threading.Lock]:
        if self._own.pid != os.getpid():
            self._own = Own(self._opened(), threading.Lock())
        return self._own


def _patiently(call: Callable[[], T], within_s: float = PATIENCE_S) -> T:
    policy = ResendPolicy(time.monotonic() + min(within_s, PATIENCE_S))
    while True:
        try:
            return call()
        except StoreError as error:
            time.sleep(policy.pause_s(error, time.monotonic()))
