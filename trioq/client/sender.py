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


class Sender:
    """Sends from trio. Several tasks may share one.

    Args:
      deadline_s: How long one try may take, connecting included.
    """

    def __init__(self, opened: Callable[[], RedisStore], deadline_s: float) -> None:
        self._opened = opened
        self._deadline_s = deadline_s
        self._own = self._made()

    async def send(
        self,
        write: Callable[Concatenate[RedisStore, str, int, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Send one write; see :meth:`~trioq.client.sync_sender.SyncSender.send`.

        Cancellation:
          At once. The write may have been executed, or may be; the next one has a number of
          its own, and what comes of this one later is refused.
        """
        if self._own.pid != os.getpid():
            self._own = self._made()
        own = self._own
        async with own.turn:
            sender, number = own.numbering.next()
            policy = ResendPolicy(trio.current_time() + PATIENCE_S)
            while True:
                try:
                    return await own.way.call(write, own.way.store, sender, number, *args, **kwargs)
                except StoreError as error:
                    await trio.sleep(policy.pause_s(error, trio.current_time()))

    def _made(self) -> Own[ThreadCaller, trio.Lock]:
        return Own(ThreadCaller(self._opened(), self._deadline_s), trio.Lock())
