"""Waits for the ends of jobs, from asyncio: a thread listens for all tasks that wait.

It is there as long as anybody waits. Another one asks for those who come while it listens.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self
from weakref import WeakKeyDictionary

import attrs

from trioq.client.loop_threads import Bell, Threads, running_loop, soon
from trioq.client.room import ASIDE_S
from trioq.client.sync_waits import SyncWaits
from trioq.client.waits import STILL, Wait, Waiter
from trioq.core.calls import End
from trioq.core.job import Uid
from trioq.errors import WaitTimeout


class LoopWaits:
    """A :class:`~trioq.client.runtime.Waiting`."""

    def __init__(self, waits: SyncWaits, threads: Threads) -> None:
        self.waits = waits
        self._threads = threads
        self._attended = WeakKeyDictionary[asyncio.AbstractEventLoop, _Attended]()

    @property
    def name(self) -> str:
        return self.waits.name

    async def end_of(self, uid: Uid, id: str | None, timeout_s: float = math.inf) -> End:
        if timeout_s <= 0:
            return await self._threads.call(self.waits.end_of, uid, id, 0.0)
        ends = self.ends_of([(uid, id)], timeout_s)
        try:
            return (await anext(ends))[1]
        finally:
            ends.close()

    def ends_of(
        self, jobs: Sequence[tuple[Uid, str | None]], timeout_s: float = math.inf
    ) -> LoopEnds:
        return LoopEnds(self, jobs, time.monotonic() + timeout_s)

    async def history(self, uid: Uid) -> bytes | None:
        return await self._threads.call(self.waits.history, uid)

    async def room(self, queue: str, uid: Uid, ends: float) -> bool:
        waits = LoopEnds(self, [(uid, None)], ends, is_for_room=True)
        try:
            await anext(waits)
        except BaseException as error:
            aside = running_loop().create_future()
            self._threads.start(partial(self.waits.step_aside, queue, uid), aside)
            await asyncio.wait([aside], timeout=ASIDE_S)
            if not isinstance(error, WaitTimeout):
                raise
            return False
        finally:
            waits.close()
        return True

    def come(self) -> None:
        """Somebody has begun to wait."""
        loop = running_loop()
        if (here := self._attended.get(loop)) is None:
            here = self._attended[loop] = _Attended(self.waits, self._threads)
        here.look()


@attrs.define(eq=False)
class _Attended:
    """The threads that attend to the waits of one loop. All of it is called in there."""

    waits: SyncWaits
    threads: Threads
    _is_there: bool = False
    """Whether one listens."""
    _asks: bool = False
    """Whether another asks for those who have come since."""

    def look(self) -> None:
        """Have threads do what is to be done."""
        if not self._is_there and self.waits.is_waited_for:
            self._start(self.waits.attend, self._left)
            self._is_there = True
        elif not self._asks and self.waits.has_new:
            self._start(self.waits.ask_new, self._asked)
            self._asks = True

    def _start(
        self, function: Callable[[], None], then: Callable[[asyncio.Future[None]], None]
    ) -> None:
        over = running_loop().create_future()
        over.add_done_callback(then)
        self.threads.start(function, over)

    # Somebody may have come in the moment in which a thread had nothing to do.

    def _left(self, over: asyncio.Future[None]) -> None:
        self._is_there = False
        over.result()
        self.look()

    def _asked(self, over: asyncio.Future[None]) -> None:
        self._asks = False
        over.result()
        self.look()


class LoopEnds:
    """An async iterator. Who leaves it early may close it; else that is done when it is dropped."""

    def __init__(
        self,
        waits: LoopWaits,
        jobs: Sequence[tuple[Uid, str | None]],
        deadline: float,
        *,
        is_for_room: bool = False,
    ) -> None:
        self._left = dict[int, Wait]()
        self._waits, self._jobs, self._deadline = waits.waits, jobs, deadline
        self._loop, self._bell = running_loop(), Bell()
        self._waiter = Waiter(self._bell.ring)
        self._left = self._waits.begin(jobs, self._waiter, is_for_room=is_for_room)
        try:
            waits.come()
        except BaseException:
            self.close()
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, End]:
        if not self._left:
            raise StopAsyncIteration
        over = self._waiter.over
        await asyncio.sleep(0)
        while not over:
            if (left_s := self._deadline - time.monotonic()) <= 0:
                raise WaitTimeout(STILL)
            await self._bell.wait(left_s)
        wait = over.popleft()
        del self._left[wait.place]
        if isinstance(wait.end, Exception):
            raise wait.end
        assert wait.end is not None
        return wait.place, wait.end

    def close(self) -> None:
        """Wait no longer."""
        left, self._left = self._left, {}
        self._waits.leave(self._jobs, left)

    def __del__(self) -> None:
        # Whoever drops it may be in the midst of what a lock is held for.
        if self._left:
            soon(self._loop, self._waits.leave, self._jobs, self._left)
