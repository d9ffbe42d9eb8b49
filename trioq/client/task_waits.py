"""Waits for the ends of jobs, from trio: who waits first listens for all (:mod:`.waits`).

No task of its own is needed: whoever waits does what is to be done, for all who wait, and who
leaves while others wait has another go on.
"""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import random
from typing import Self

import attrs
import trio

from trioq.client.resend import backoff_s
from trioq.client.room import ASIDE_S
from trioq.client.waits import CHECK_S, STILL, Wait, Waiter, Waits
from trioq.core.calls import End
from trioq.core.job import Uid
from trioq.engine.bridge import LaneCaller, ThreadCaller, hearing
from trioq.errors import StoreBusy, StoreClosed, StoreError, StoreUnreachable, WaitTimeout
from trioq.store.listening import Listening
from trioq.store.redis import RedisStore

#: After a failure, the longest time to the next try.
PAUSE_S = 1.0


@attrs.define
class _Own:
    """What one process has: a forked child listens for itself."""

    name: str
    """By which the server knows who is to be told."""
    way: ThreadCaller
    ear: Listening
    hearing: LaneCaller
    waits: Waits = attrs.field(factory=Waits)
    leader: Waiter | None = None
    """Who listens for all."""
    asks: bool = False
    """Whether somebody asks for what is to be asked."""
    failures: int = 0
    """Since something succeeded."""
    pid: int = attrs.field(factory=os.getpid)


class _Sleeper:
    """A task that waits."""

    def __init__(self) -> None:
        self._awake = trio.Event()
        self.waiter = Waiter(self._wake)

    def _wake(self) -> None:
        self._awake.set()

    async def sleep(self, deadline: float) -> None:
        """Until it is woken."""
        with trio.move_on_at(deadline):
            await self._awake.wait()
        self._awake = trio.Event()


class TaskWaits:
    """The waits of all tasks that share a client.

    Args:
      opened: Opens a store for a process, to ask.
      ear: Opens what hears what this client is told.
      deadline_s: How long one request may take, connecting included.
    """

    def __init__(
        self,
        opened: Callable[[], RedisStore],
        ear: Callable[[str], Listening],
        deadline_s: float,
    ) -> None:
        self._opened = opened
        self._ear = ear
        self._deadline_s = deadline_s
        self._made: _Own | None = None

    @property
    def name(self) -> str:
        """By which the server knows who is to be told."""
        return self._own.name

    async def end_of(self, uid: Uid, id: str | None, timeout_s: float = math.inf) -> End:
        """Wait for the end of a job.

        Args:
          id: The caller's, if it is known.
          timeout_s: 0 looks, and doesn't wait.

        Raises:
          WaitTimeout: It hasn't ended in this time.
          StoreClosed, StoreRefused: Nobody can be told anything. While Redis doesn't answer,
              one waits.

        Cancellation: at once, and nothing is left behind.
        """
        if timeout_s <= 0:
            return await self._look(uid, id)
        ends = self.ends_of([(uid, id)], timeout_s)
        try:
            return (await anext(ends))[1]
        finally:
            ends.close()

    async def _look(self, uid: Uid, id: str | None) -> End:
        own = self._own
        (end,) = await own.way.call(own.way.store.wait_for, own.name, [(uid, id)])
        if end.state == "live":
            raise WaitTimeout(STILL)
        return end

    async def history(self, uid: Uid) -> bytes | None:
        """The errors of a job; while Redis doesn't answer, one waits.

        Raises:
          StoreClosed, StoreRefused: Nobody can be told anything.
        """
        own = self._own
        while True:
            try:
                return await own.way.call(own.way.store.history, uid)
            except StoreClosed:
                raise
            except (StoreUnreachable, StoreBusy):
                await trio.sleep(PAUSE_S * random())

    def ends_of(self, jobs: Sequence[tuple[Uid, str | None]], timeout_s: float = math.inf) -> Ends:
        """The ends of jobs as they come, each with the job's place in ``jobs``.

        Raises, and cancellation: as :meth:`end_of`, from the iterator.
        """
        return Ends(self._own, jobs, trio.current_time() + timeout_s)

    async def room(self, queue: str, uid: Uid, ends: float) -> bool:
        """Wait, in line, for room in a queue. True: it is worth trying; False: the time is over.

        Args:
          uid: Of the first job that is to be enqueued.
          ends: When it is over.

        Raises:
          StoreClosed, StoreRefused: Nobody can be told anything.

        Cancellation: within 0.1 s, for the server to hear that nobody is in line any more.
        """
        own = self._own
        waits = Ends(own, [(uid, None)], ends, is_for_room=True)
        try:
            await anext(waits)
        except BaseException as error:
            with trio.move_on_after(ASIDE_S, shield=True), suppress(StoreError):
                await own.way.call(own.way.store.step_aside, queue, [uid])
            if not isinstance(error, WaitTimeout):
                raise
            return False
        finally:
            waits.close()
        return True

    @property
    def _own(self) -> _Own:
        own = self._made
        if own is None or own.pid != os.getpid():
            name = secrets.token_hex(16)
            ear = self._ear(name)
            own = self._made = _Own(
                name,
                ThreadCaller(self._opened(), self._deadline_s),
                ear,
                hearing(ear, CHECK_S + self._deadline_s),
            )
        return own


class Ends:
    """An async iterator. Who leaves it early may close it; else that is done when it is dropped."""

    def __init__(
        self,
        own: _Own,
        jobs: Sequence[tuple[Uid, str | None]],
        deadline: float,
        *,
        is_for_room: bool = False,
    ) -> None:
        self._own, self._jobs, self._deadline = own, jobs, deadline
        self._sleeper = _Sleeper()
        waiter = self._sleeper.waiter
        self._left = {place: Wait(waiter, place) for place in range(len(jobs))}
        for place, (uid, id) in enumerate(jobs):
            own.waits.add(uid, id, self._left[place], is_for_room=is_for_room)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, End]:
        if not self._left:
            raise StopAsyncIteration
        over = self._sleeper.waiter.over
        if over:
            await trio.lowlevel.checkpoint()
        else:
            await _until(self._own, self._sleeper, self._deadline)
        wait = over.popleft()
        del self._left[wait.place]
        if isinstance(wait.end, Exception):
            raise wait.end
        assert wait.end is not None
        return wait.place, wait.end

    def close(self) -> None:
        """Wait no longer."""
        while self._left:
            place, wait = self._left.popitem()
            self._own.waits.leave(self._jobs[place][0], wait)

    def __del__(self) -> None:
        self.close()


async def _until(own: _Own, sleeper: _Sleeper, deadline: float) -> None:
    """Until something that it waits for is over; meanwhile do what nobody else does."""
    waiter = sleeper.waiter
    own.waits.comes(waiter)
    try:
        while not waiter.over:
            if trio.current_time() >= deadline:
                raise WaitTimeout(STILL)
            if own.leader is None:
                await _lead(own, waiter, deadline)
            elif _is_wanted(own):
                with _failing(own) as trouble:
                    await _ask(own)
                await trouble.pass_by(deadline)
            else:
                await sleeper.sleep(deadline)
    finally:
        own.waits.goes(waiter)
        # Also if it has done nothing for the others: it may be that it was woken to do it.
        if own.leader is None or _is_wanted(own):
            own.waits.wake_another(own.leader)


def _is_wanted(own: _Own) -> bool:
    """Whether somebody is to ask, beside who listens."""
    return own.ear.is_open and not own.asks and own.waits.next_at() == 0


async def _lead(own: _Own, leader: Waiter, deadline: float) -> None:
    """Listen for all, until something that it waits for is over."""
    own.leader = leader
    try:
        while not leader.over and trio.current_time() < deadline:
            with _failing(own) as trouble:
                await _listen(own, leader, deadline)
            await trouble.pass_by(deadline)
    finally:
        own.leader = None


async def _listen(own: _Own, leader: Waiter, deadline: float) -> None:
    """Hear what is told, or ask what is to be asked."""
    if not own.ear.is_open:
        own.waits.unheard()
        await own.hearing.call(own.ear.open)
    if not own.asks and own.waits.next_at() <= trio.current_time():
        await _ask(own)
    now = trio.current_time()
    next_at = math.inf if own.asks else own.waits.next_at()  # what another asks isn't ours to ask
    for_s = min(next_at, deadline, now + CHECK_S) - now
    if for_s > 0 and not leader.over:
        for ended in await own.hearing.call(own.ear.next, for_s):
            own.waits.told(ended.uid, ended.end)


async def _ask(own: _Own) -> None:
    """Ask for all that is to be asked, many at a time."""
    own.asks = True
    try:
        while jobs := own.waits.next(trio.current_time()):
            asked = [(job.uid, job.id) for job in jobs]
            ends = await own.way.call(own.way.store.wait_for, own.name, asked)
            own.waits.answered(jobs, ends, trio.current_time())
    finally:
        own.asks = False


@attrs.define
class _failing:  # noqa: N801 - a with statement reads it
    """What goes wrong is passed by, or told to all who wait where it won't."""

    own: _Own
    pause_s: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if error is None:
            self.own.failures = 0
        if not isinstance(error, StoreError):
            return False
        if isinstance(error, StoreUnreachable | StoreBusy) and not isinstance(error, StoreClosed):
            self.own.failures += 1
            self.pause_s = backoff_s(self.own.failures)
        else:
            self.own.waits.fail(error)
        return True

    async def pass_by(self, deadline: float) -> None:
        """Wait until it is worth trying again."""
        if self.pause_s:
            with trio.move_on_at(deadline):
                await trio.sleep(self.pause_s)
