"""Waits for the ends of jobs, from ordinary code: whichever thread waits first listens for all
(:mod:`.waits`). No thread of its own is needed, and nothing here loads trio."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from random import random
from typing import Self

import attrs

from trioq.client.elsewhere import place
from trioq.client.resend import backoff_s
from trioq.client.waits import CHECK_S, STILL, Wait, Waiter, Waits
from trioq.core.calls import End
from trioq.core.job import Uid
from trioq.errors import StoreBusy, StoreClosed, StoreError, StoreUnreachable, WaitTimeout
from trioq.store.protocol import ClientStore, Hearing

#: After a failure, the longest time to the next try.
PAUSE_S = 1.0

#: Whoever waits is woken. Where that is lost with who should have done it, as by Ctrl-C in that
#: very moment, it looks by itself after so long.
LOOK_S = 1.0


@attrs.define
class _Own:
    """What one process has: a forked child listens for itself."""

    name: str
    """By which the server knows who is to be told."""
    store: ClientStore
    ear: Hearing
    waits: Waits = attrs.field(factory=Waits)
    lock: threading.Lock = attrs.field(factory=threading.Lock)
    """Around each use of the waits."""
    lead: threading.Lock = attrs.field(factory=threading.Lock)
    """Who has it listens for all."""
    leader: Waiter | None = None
    """That is who."""
    ask: threading.Lock = attrs.field(factory=threading.Lock)
    """Who has it asks for what is to be asked."""
    failures: int = 0
    """Since something succeeded."""
    place: object = attrs.field(factory=place)


@attrs.define(eq=False)
class _Attendant(Waiter):
    """One who waits for nothing of its own, but for all."""

    waits: Waits = attrs.field(kw_only=True)

    @property
    def is_through(self) -> bool:
        return not len(self.waits)


class SyncWaits:
    """The waits of all threads that share a client, also of forked children.

    Args:
      opened: Opens a store for a process, to ask.
      ear: Opens what hears what this client is told.
    """

    def __init__(self, opened: Callable[[], ClientStore], ear: Callable[[str], Hearing]) -> None:
        self._opened = opened
        self._ear = ear
        self._made: _Own | None = None
        self._making = threading.Lock()

    @property
    def name(self) -> str:
        """By which the server knows who is to be told."""
        return self._own().name

    def end_of(self, uid: Uid, id: str | None, timeout_s: float = math.inf) -> End:
        """Wait for the end of a job.

        Args:
          id: The caller's, if it is known.
          timeout_s: 0 looks, and doesn't wait.

        Raises:
          As the iterator of :meth:`ends_of`.
        """
        if timeout_s > 0:
            return next(self.ends_of([(uid, id)], timeout_s))[1]
        own = self._own()
        with own.ask:
            (end,) = own.store.wait_for(own.name, [(uid, id)])
        if end.state == "live":
            raise WaitTimeout(STILL)
        return end

    def room(self, queue: str, uid: Uid, ends: float) -> bool:
        """Wait, in line, for room in a queue; see
        :meth:`~trioq.client.task_waits.TaskWaits.room`."""
        try:
            next(self.ends_of([(uid, None)], ends - time.monotonic(), is_for_room=True))
        except BaseException as error:
            self.step_aside(queue, uid)
            if not isinstance(error, WaitTimeout):
                raise
            return False
        return True

    def ends_of(
        self,
        jobs: Sequence[tuple[Uid, str | None]],
        timeout_s: float = math.inf,
        *,
        is_for_room: bool = False,
    ) -> Iterator[tuple[int, End]]:
        """The ends of jobs as they come, each with the job's place in ``jobs``.

        Args:
          jobs: Each with its caller's id, if that is known.

        Raises:
          WaitTimeout: Another hasn't ended in this time.
          StoreClosed, StoreRefused: Nobody can be told anything. While Redis doesn't answer,
              one waits.
        """
        own, bell = self._own(), SimpleQueue[None]()
        waiter = Waiter(lambda: bell.put(None))
        deadline = time.monotonic() + timeout_s
        left = dict[int, Wait]()
        try:
            left = self.begin(jobs, waiter, is_for_room=is_for_room)
            while left:
                if not waiter.over:
                    _until(own, waiter, bell, deadline)
                wait = waiter.over.popleft()
                del left[wait.place]
                if isinstance(wait.end, Exception):
                    raise wait.end
                assert wait.end is not None
                yield wait.place, wait.end
        finally:
            self.leave(jobs, left)

    # -- waits of those who have no thread: others attend to them ------------------------------

    def begin(
        self,
        jobs: Sequence[tuple[Uid, str | None]],
        waiter: Waiter,
        *,
        is_for_room: bool = False,
    ) -> dict[int, Wait]:
        """Register these, in one go.

        Returns:
          Each wait, by its place. Those that aren't over have to be left.
        """
        own, left = self._own(), {place: Wait(waiter, place) for place in range(len(jobs))}
        with own.lock:
            for place, (uid, id) in enumerate(jobs):
                own.waits.add(uid, id, left[place], is_for_room=is_for_room)
        return left

    def leave(self, jobs: Sequence[tuple[Uid, str | None]], left: Mapping[int, Wait]) -> None:
        """Nobody waits for these any longer."""
        own = self._own()
        with own.lock:
            for place, wait in left.items():
                own.waits.leave(jobs[place][0], wait)

    @property
    def is_waited_for(self) -> bool:
        """Whether there is anything to attend to."""
        return bool(len(self._own().waits))

    @property
    def has_new(self) -> bool:
        """Whether there are some that nobody has asked for."""
        return _is_new(self._own())

    def attend(self) -> None:
        """Listen and ask for all, as long as anybody waits."""
        own, bell = self._own(), SimpleQueue[None]()
        try:
            _until(own, _Attendant(lambda: bell.put(None), waits=own.waits), bell, math.inf)
        except Exception as error:
            with own.lock:
                own.waits.fail(error)

    def ask_new(self) -> None:
        """Ask for those that have just begun to wait; somebody else listens."""
        own, asker = self._own(), Waiter(lambda: None)
        while own.ear.is_open and _is_new(own):
            own.ask.acquire()
            with _failing(own, math.inf):
                _ask(own, asker)

    def step_aside(self, queue: str, uid: Uid) -> None:
        """Wait for room in a queue no longer."""
        own = self._own()
        with own.ask, suppress(StoreError):
            own.store.step_aside(queue, [uid])

    def history(self, uid: Uid) -> bytes | None:
        """The errors of a job; while Redis doesn't answer, one waits.

        Raises:
          StoreClosed, StoreRefused: Nobody can be told anything.
        """
        own = self._own()
        while True:
            try:
                with own.ask:
                    return own.store.history(uid)
            except StoreClosed:
                raise
            except (StoreUnreachable, StoreBusy):
                time.sleep(PAUSE_S * random())

    def _own(self) -> _Own:
        if self._made is None or self._made.place != place():
            name = secrets.token_hex(16)
            self._making = threading.Lock() if self._made is not None else self._making
            with self._making:
                if self._made is None or self._made.place != place():
                    self._made = _Own(name, self._opened(), self._ear(name))
        return self._made


def _until(own: _Own, waiter: Waiter, bell: SimpleQueue[None], deadline: float) -> None:
    """Until something that it waits for is over; meanwhile do what nobody else does."""
    with own.lock:
        own.waits.comes(waiter)
    try:
        while not waiter.is_through:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise WaitTimeout(STILL)
            if own.lead.acquire(blocking=False):
                own.leader = waiter
                try:
                    _lead(own, waiter, deadline)
                finally:
                    own.leader = None
                    own.lead.release()
            elif own.ear.is_open and _is_new(own) and own.ask.acquire(blocking=False):
                with _failing(own, deadline):
                    _ask(own, waiter)
            else:
                with suppress(Empty):
                    bell.get(timeout=min(left_s, LOOK_S))
    finally:
        with own.lock:
            own.waits.goes(waiter)
            # Also if it has done nothing for the others: it may be that it was woken to do it.
            if own.leader is None or own.waits.next_at() == 0:
                own.waits.wake_another(own.leader)


def _lead(own: _Own, leader: Waiter, deadline: float) -> None:
    """Listen for all, until something that it waits for is over."""
    while not leader.is_through and time.monotonic() < deadline:
        with _failing(own, deadline):
            _listen(own, leader, deadline)


def _listen(own: _Own, leader: Waiter, deadline: float) -> None:
    """Hear what is told, or ask what is to be asked."""
    if not own.ear.is_open:
        with own.lock:
            own.waits.unheard()
        own.ear.open()
    now = time.monotonic()
    with own.lock:
        next_at = own.waits.next_at()
    if next_at <= now:
        if own.ask.acquire(blocking=False):
            _ask(own, leader)
            with own.lock:
                next_at = own.waits.next_at()
        else:
            next_at = math.inf  # another asks meanwhile
    for_s = min(next_at, deadline, now + CHECK_S) - time.monotonic()
    if for_s > 0 and not leader.is_through:
        heard = own.ear.next(for_s)
        with own.lock:
            for ended in heard:
                own.waits.told(ended.uid, ended.end)


def _is_new(own: _Own) -> bool:
    with own.lock:
        return own.waits.next_at() == 0


def _ask(own: _Own, asker: Waiter) -> None:
    """Ask for all that is to be asked, many at a time. It is our turn, which ends with this."""
    try:
        while True:
            with own.lock:
                jobs = own.waits.next(time.monotonic())
            if not jobs:
                return
            ends = own.store.wait_for(own.name, [(job.uid, job.id) for job in jobs])
            with own.lock:
                own.waits.answered(jobs, ends, time.monotonic())
    finally:
        own.ask.release()
        with own.lock:
            own.waits.wake_another(asker, own.leader)


@attrs.define
class _failing:  # noqa: N801 - a with statement reads it
    """What goes wrong is waited for to pass, or told to all who wait where it won't."""

    own: _Own
    deadline: float

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        own = self.own
        if error is None:
            own.failures = 0
        if not isinstance(error, StoreError):
            return False
        if isinstance(error, StoreUnreachable | StoreBusy) and not isinstance(error, StoreClosed):
            own.failures += 1
            pause_s = backoff_s(own.failures)
            time.sleep(max(0.0, min(pause_s, self.deadline - time.monotonic())))
        else:
            with own.lock:
                own.waits.fail(error)
        return True
