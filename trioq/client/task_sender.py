"""Sends numbered writes until they are answered, from trio; see :mod:`trioq.client.sync_sender`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import trio

from trioq.client.resend import PATIENCE_S, Own, ResendPolicy
from trioq.engine.bridge import ThreadCaller
from trioq.errors import StoreError
from trioq.store.redis import RedisStore

P = ParamSpec("P")
T = TypeVar("T")


class TaskSender:
    """Sends from trio. Several tasks may share one, and forked children.

    Args:
      opened: Opens a store for a process: called when the first one sends, and in each forked
          child that does.
      deadline_s: How long one try may take, connecting included.
    """

    def __init__(self, opened: Callable[[], RedisStore], deadline_s: float) -> None:
        self._opened = opened
        self._deadline_s = deadline_s
        self._made: Own[ThreadCaller, trio.Lock] | None = None

    async def send(
        self,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Send one write, a method of the store, until it is answered, or for ten seconds.

        Raises:
          As :meth:`trioq.client.sync_sender.SyncSender.send`.

        Cancellation:
          At once. The write may have been executed, or may be, as long as no other follows it.
        """
        return await self.send_within(PATIENCE_S, write, *args, **kwargs)

    async def send_within(
        self,
        within_s: float,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same, with no other try after so many seconds."""
        own = self._own
        async with own.turn:
            sender, number = own.numbering.next()
            return await self._patiently(
                lambda store: write(store, sender, number, *args, **kwargs), own.way, within_s
            )

    async def ask(
        self, question: Callable[Concatenate[RedisStore, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask the store something, which may be asked twice, until it is answered, or for ten
        seconds.

        Raises, and cancellation: as :meth:`send`.
        """
        return await self.ask_within(PATIENCE_S, question, *args, **kwargs)

    async def ask_within(
        self,
        within_s: float,
        question: Callable[Concatenate[RedisStore, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The same, with no other try after so many seconds."""
        own = self._own
        async with own.turn:
            return await self._patiently(
                lambda store: question(store, *args, **kwargs), own.way, within_s
            )

    @staticmethod
    async def _patiently(
        call: Callable[[RedisStore], T], way: ThreadCaller, within_s: float = PATIENCE_S
    ) -> T:
        policy = ResendPolicy(trio.current_time() + min(within_s, PATIENCE_S))
        while True:
            try:
                return await way.call(call, way.store)
            except StoreError as error:
                pause_s = policy.pause_s(error, trio.current_time())
            await trio.sleep(pause_s)

    @property
    def _own(self) -> Own[ThreadCaller, trio.Lock]:
        own = self._made
        if own is None or own.pid != os.getpid():
            way = ThreadCaller(self._opened(), self._deadline_s)
            own = self._made = Own(way, trio.Lock())
        return own
