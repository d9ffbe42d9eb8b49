"""Sends numbered writes until they are answered, from ordinary code: without trio.

Shared by all who write: clients and operators. A sender numbers its writes and sends one at a
time, so that one whose answer was lost can be sent again: the server executes each number once.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import attrs

from trioq.client.elsewhere import place
from trioq.client.resend import Own, Question, ResendPolicy, Write
from trioq.errors import StoreError
from trioq.store.protocol import ClientStore

T = TypeVar("T")


@attrs.define
class _Way:
    """What one process sends on, made by who sends first, in its turn."""

    opened: Callable[[], ClientStore]

    @cached_property
    def store(self) -> ClientStore:
        return self.opened()


class SyncSender:
    """Sends from ordinary code. Several threads may share one, and forked children.

    Args:
      opened: Opens a store for a process: called in each that sends, forked children too.
      patience_s: For how long it tries; None: for ten seconds.
    """

    def __init__(self, opened: Callable[[], ClientStore], patience_s: float | None = None) -> None:
        self._opened = opened
        self._patience_s = patience_s
        self._own = self._made()

    @property
    def id(self) -> str:
        """What the server knows the sender by."""
        return self._own.numbering.sender

    @property
    def is_bound(self) -> bool:
        """Whether each call ends in time, whatever it waits for."""
        return self._patience_s is not None

    def send(self, write: Write[T]) -> T:
        """Send one write until it is answered, or for ten seconds.

        Raises:
          StoreUnreachable: No answer; with ``sent``, it may have been executed, or may be.
          StoreClosed: The connection was closed by its own program.
          StoreBusy, StoreRefused: It wasn't executed.
        """
        return self.send_within(math.inf, write)

    def send_within(self, within_s: float, write: Write[T]) -> T:
        """The same, with no other try after so many seconds."""
        return self._in_turn(within_s, lambda own: _numbered(own, write))

    def ask(self, question: Question[T]) -> T:
        """Ask the store something, which may be asked twice, until it is answered, or for ten
        seconds.

        Raises: As :meth:`send`.
        """
        return self.ask_within(math.inf, question)

    def ask_within(self, within_s: float, question: Question[T]) -> T:
        """The same, with no other try after so many seconds."""
        return self._in_turn(within_s, lambda own: lambda: question(own.way.store))

    def _in_turn(self, within_s: float, begun: Callable[[_Here], Callable[[], T]]) -> T:
        """Try what there is to be tried when it is our turn. With a patience, that ends in time:
        whoever was before us ends before us."""
        own, policy = self._here(), self.policy(within_s)
        with own.turn:
            if not self.is_bound:
                policy = self.policy(within_s)  # what it waited for its turn isn't its own time
            policy.check(time.monotonic())
            return _patiently(own, begun(own), policy)

    def policy(self, within_s: float) -> ResendPolicy:
        """Of a call that begins now."""
        return ResendPolicy.of(self._patience_s, time.monotonic(), within_s)

    def _here(self) -> _Here:
        if self._own.place != place():
            self._own = self._made()
        return self._own

    def _made(self) -> _Here:
        return Own(_Way(self._opened), threading.Lock())


_Here = Own[_Way, threading.Lock]


def _numbered(own: _Here, write: Write[T]) -> Callable[[], T]:
    """A write of its own number, the same each time that it is tried."""
    sender, number = own.numbering.next()
    return lambda: write(own.way.store, sender, number)


def _patiently(own: _Here, call: Callable[[], T], policy: ResendPolicy) -> T:
    while True:
        own.way.store.end_by(policy.by)
        try:
            return call()
        except StoreError as error:
            pause_s = policy.pause_s(error, time.monotonic())
        finally:
            own.way.store.end_by(math.inf)
        time.sleep(pause_s)
