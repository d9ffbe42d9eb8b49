"""Sends numbered writes until they are answered, from trio; see :mod:`trioq.client.sync_sender`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import trio

from trioq.client.elsewhere import place
from trioq.client.resend import Own, Question, ResendPolicy, Write
from trioq.engine.bridge import ThreadCaller
from trioq.errors import StoreError
from trioq.store.redis import RedisStore

T = TypeVar("T")

_Here = Own[ThreadCaller, trio.Lock]


class TaskSender:
    """Sends from trio. Several tasks may share one, and forked children.

    Args:
      opened: Opens a store for a process: called when the first one sends, and in each forked
          child that does.
      deadline_s: How long one try may take, connecting included.
      patience_s: For how long it tries; None: for ten seconds.
    """

    def __init__(
        self,
        opened: Callable[[], RedisStore],
        deadline_s: float,
        patience_s: float | None = None,
    ) -> None:
        self._opened = opened
        self._patience_s = patience_s
        self._deadline_s = deadline_s
        self._made: _Here | None = None

    async def send(self, write: Write[T]) -> T:
        """Send one write until it is answered, or for ten seconds.

        Raises:
          As :meth:`trioq.client.sync_sender.SyncSender.send`.

        Cancellation:
          At once. The write may have been executed, or may be, as long as no other follows it.
        """
        return await self.send_within(math.inf, write)

    async def send_within(self, within_s: float, write: Write[T]) -> T:
        """The same, with no other try after so many seconds."""

        def begun(own: _Here) -> Question[T]:
            sender, number = own.numbering.next()
            return lambda store: write(store, sender, number)

        return await self._in_turn(within_s, begun)

    async def ask(self, question: Question[T]) -> T:
        """Ask the store something, which may be asked twice, until it is answered, or for ten
        seconds.

        Raises, and cancellation: as :meth:`send`.
        """
        return await self.ask_within(math.inf, question)

    async def ask_within(self, within_s: float, question: Question[T]) -> T:
        """The same, with no other try after so many seconds."""
        return await self._in_turn(within_s, lambda _: question)

    async def _in_turn(self, within_s: float, begun: Callable[[_Here], Question[T]]) -> T:
        """See :class:`~trioq.client.sync_sender.SyncSender`."""
        own, policy = self._own, self._policy(within_s)
        async with own.turn:
            if self._patience_s is None:
                policy = self._policy(within_s)
            policy.check(trio.current_time())
            return await self._patiently(begun(own), own.way, policy)

    async def _patiently(self, call: Question[T], way: ThreadCaller, policy: ResendPolicy) -> T:
        while True:
            try:
                return await way.call_by(policy.by, call, way.store)
            except StoreError as error:
                pause_s = policy.pause_s(error, trio.current_time())
            await trio.sleep(pause_s)

    def _policy(self, within_s: float) -> ResendPolicy:
        return ResendPolicy.of(self._patience_s, trio.current_time(), within_s)

    @property
    def _own(self) -> _Here:
        own = self._made
        if own is None or own.place != place():
            way = ThreadCaller(self._opened(), self._deadline_s)
            own = self._made = Own(way, trio.Lock())
        return own
