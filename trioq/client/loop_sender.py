"""Sends numbered writes from asyncio; see :mod:`trioq.client.sync_sender`."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import TypeVar

import attrs

from trioq.client.loop_threads import Threads, running_loop
from trioq.client.resend import SPARE_S, Question, Write
from trioq.client.sync_sender import SyncSender
from trioq.errors import StoreUnreachable
from trioq.store.protocol import ClientStore

T = TypeVar("T")


class _Left(Exception):
    """Nobody waits for the answer any longer."""


@attrs.define
class _Wanted:
    """One call, and whether somebody waits for its answer."""

    has_left: bool = False

    def check(self) -> None:
        if self.has_left:
            raise _Left


class LoopSender:
    """A :class:`~trioq.client.runtime.Sender`."""

    def __init__(self, sender: SyncSender, threads: Threads) -> None:
        self._sender = sender
        self._threads = threads
        self._turns = dict[asyncio.AbstractEventLoop, asyncio.Lock]()

    async def send(self, write: Write[T]) -> T:
        return await self.send_within(math.inf, write)

    async def send_within(self, within_s: float, write: Write[T]) -> T:
        wanted = _Wanted()

        def unless_left(store: ClientStore, sender: str, number: int) -> T:
            wanted.check()
            return write(store, sender, number)

        return await self._called(wanted, lambda: self._sender.send_within(within_s, unless_left))

    async def ask(self, question: Question[T]) -> T:
        return await self.ask_within(math.inf, question)

    async def ask_within(self, within_s: float, question: Question[T]) -> T:
        wanted = _Wanted()

        def unless_left(store: ClientStore) -> T:
            wanted.check()
            return question(store)

        return await self._called(wanted, lambda: self._sender.ask_within(within_s, unless_left))

    async def _called(self, wanted: _Wanted, send: Callable[[], T]) -> T:
        """One by one, so that a thread is enough for all who ask at a time, also where they don't
        wait for it: the turn is the thread's."""
        turn, policy = self._turn_here(), self._sender.policy(math.inf)
        await turn.acquire()
        answer: asyncio.Future[T] = running_loop().create_future()

        def ended(answer: asyncio.Future[T]) -> None:
            turn.release()
            if not answer.cancelled():
                answer.exception()  # asked for, lest asyncio logs it where the caller has left

        answer.add_done_callback(ended)
        try:
            if self._sender.is_bound:
                policy.check(time.monotonic())
            self._threads.start(send, answer)
        except BaseException:
            answer.cancel()
            raise
        # Whoever had no turn to wait for is told by the thread, which knows more.
        ends_s = policy.by + SPARE_S - time.monotonic() if self._sender.is_bound else None
        try:
            await asyncio.wait([answer], timeout=ends_s)  # who leaves doesn't cancel it
        finally:
            wanted.has_left = True
        if not answer.done():
            raise StoreUnreachable("no answer in time")
        return answer.result()

    def _turn_here(self) -> asyncio.Lock:
        loop = running_loop()
        if (turn := self._turns.get(loop)) is None:
            turns = {each: its for each, its in self._turns.items() if not each.is_closed()}
            turn = turns[loop] = asyncio.Lock()
            self._turns = turns
        return turn
