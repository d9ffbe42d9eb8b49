"""What an async client needs of its loop, in a world: trio's or asyncio's, wherever it is called.

The store is called where one stands, without a thread, for time must not pass meanwhile. Who waits
for the end of a job asks again whenever something has changed. Decisions about when to send again
are those of every client (:mod:`trioq.client.resend`).
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Protocol, Self, TypeVar, cast

import trio

from trioq.client.loop_threads import Bell as AsyncioBell
from trioq.client.outbox import Part
from trioq.client.resend import Question, ResendPolicy, Write, backoff_s
from trioq.client.room import ASIDE_S
from trioq.client.waits import ROOM_CHECK_S, STILL
from trioq.core.calls import WAIT_MAX, End, Enqueued, Enqueuer, NewJob
from trioq.core.job import Uid
from trioq.core.numbering import Numbering
from trioq.errors import StoreBusy, StoreClosed, StoreError, StoreUnreachable, WaitTimeout
from trioq.store.protocol import ClientStore
from trioq.testing.clock import PATIENCE_S
from trioq.testing.link import Link
from trioq.testing.server import Space

T = TypeVar("T")

#: Ends that aren't one yet.
NOT_YET = ("live", "later")


class Around(Protocol):
    """What a client needs of its world."""

    @property
    def space(self) -> Space: ...
    @property
    def is_here(self) -> bool:
        """Whether this is a task of trio in the world's time."""

    def check_alive(self) -> None:
        """
        Raises:
          NothingHappens: No engine runs, and none will as long as one waits here.
        """


class Bell(Protocol):
    """Wakes a task; rung in any thread, also in vain."""

    def ring(self) -> None: ...
    async def wait(self, timeout_s: float) -> None:
        """Until it is rung, or for so long; the next one waits for the next ring."""


class TrioBell:
    """In trio; rung in its loop."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            await self._rung.wait()
        self._rung = trio.Event()


class Inline:
    """A :class:`~trioq.client.runtime.Runtime`, and all that it is made of.

    Args:
      link: The way of its client.
    """

    def __init__(self, link: Link, world: Around) -> None:
        self.link, self.world = link, world
        self.outbox = Outbox(self)
        self.waits = Waits(self)

    def sender(self, purpose: str) -> Sender:
        return Sender(self)

    def now(self) -> float:
        return trio.current_time() if _in_trio() else asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        if _in_trio():
            await trio.sleep(seconds)
        else:
            await asyncio.sleep(seconds)

    async def in_thread(self, function: Callable[[str], T], argument: str) -> T:
        return function(argument)  # it imports an app, which a test has imported most often

    def bell(self) -> Bell:
        """One for whoever runs here."""
        return TrioBell() if _in_trio() else AsyncioBell()

    async def call(self, ask: Question[T]) -> T:
        """Call the store, once."""
        if _in_trio():
            await self.link.thawed()
            await trio.lowlevel.checkpoint()
        else:
            if self.link.is_frozen:
                await self._thawed()
            await asyncio.sleep(0)
        return ask(cast(ClientStore, self.link))

    async def _thawed(self) -> None:
        """The engine whose link this is was stopped: until it goes on."""
        bell = self.bell()
        self.link.on_ring(lambda _: bell.ring())
        while self.link.is_frozen:
            await bell.wait(math.inf)

    async def patiently(self, ask: Question[T], within_s: float = math.inf) -> T:
        """Call it until it answers, or for ten seconds of the world's time."""
        policy = ResendPolicy.of(None, self.now(), within_s)
        while True:
            try:
                return await self.call(ask)
            except StoreError as error:
                if self.link.is_cut and not self.world.is_here:
                    raise  # an outage doesn't end by waiting where the world's time doesn't pass
                pause_s = policy.pause_s(error, self.now())
            await self.sleep(pause_s)

    async def until_answered(self, ask: Question[T], failures: int = 0) -> T:
        """The same, for as long as it takes."""
        while True:
            try:
                return await self.call(ask)
            except StoreClosed:
                raise
            except (StoreUnreachable, StoreBusy):
                failures += 1
            await self.sleep(backoff_s(failures))


class Sender:
    """A :class:`~trioq.client.runtime.Sender`. Each write is another sender's, so that none waits
    for its turn."""

    def __init__(self, runtime: Inline) -> None:
        self._runtime = runtime

    async def send(self, write: Write[T]) -> T:
        return await self.send_within(math.inf, write)

    async def send_within(self, within_s: float, write: Write[T]) -> T:
        sender, number = Numbering().next()
        return await self._runtime.patiently(lambda store: write(store, sender, number), within_s)

    async def ask(self, question: Question[T]) -> T:
        return await self.ask_within(math.inf, question)

    async def ask_within(self, within_s: float, question: Question[T]) -> T:
        return await self._runtime.patiently(question, within_s)


class Outbox:
    """A :class:`~trioq.client.runtime.Outgoing`: each call's jobs go alone."""

    def __init__(self, runtime: Inline) -> None:
        self._runtime = runtime

    async def send(
        self, jobs: Sequence[NewJob], within_s: float = math.inf, who: Enqueuer | None = None
    ) -> Enqueued:
        return await Sender(self._runtime).send_within(
            within_s, lambda store, sender, number: store.enqueue(sender, number, jobs, who=who)
        )

    async def start(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        return Part(jobs, 0, who=who)

    async def finish(self, part: Part, ends: float = math.inf) -> Enqueued:
        return await self.send(part.jobs, ends - self._runtime.now(), part.who)

    def leave(self, part: Part) -> None:
        part.has_left = True


class Waits:
    """A :class:`~trioq.client.runtime.Waiting`."""

    def __init__(self, runtime: Inline) -> None:
        self._runtime = runtime
        self.name = secrets.token_hex(16)

    async def end_of(self, uid: Uid, id: str | None, timeout_s: float = math.inf) -> End:
        if timeout_s <= 0:
            (end,) = await self._runtime.call(lambda store: store.wait_for(self.name, [(uid, id)]))
            if end.state == "live":
                raise WaitTimeout(STILL)
            return end
        ends = self.ends_of([(uid, id)], timeout_s)
        try:
            return (await anext(ends))[1]
        finally:
            ends.close()

    def ends_of(self, jobs: Sequence[tuple[Uid, str | None]], timeout_s: float = math.inf) -> Ends:
        return Ends(self._runtime, self.name, jobs, self._runtime.now() + timeout_s)

    async def history(self, uid: Uid) -> bytes | None:
        return await self._runtime.until_answered(lambda store: store.history(uid))

    async def room(self, queue: str, uid: Uid, ends: float) -> bool:
        waits = Ends(self._runtime, self.name, [(uid, None)], ends, look_s=ROOM_CHECK_S)
        try:
            await anext(waits)
        except BaseException as error:
            with _shielded(), suppress(StoreError):
                await self._runtime.call(lambda store: store.step_aside(queue, [uid]))
            if not isinstance(error, WaitTimeout):
                raise
            return False
        finally:
            waits.close()
        return True


class Ends:
    """The ends of jobs as they come."""

    def __init__(
        self,
        runtime: Inline,
        name: str,
        jobs: Sequence[tuple[Uid, str | None]],
        deadline: float,
        look_s: float = math.inf,
    ) -> None:
        self._runtime, self._name, self._deadline = runtime, name, deadline
        self._left = dict(enumerate(jobs))
        self._over = dict[int, End]()
        self._look_s = look_s
        """It is looked again after so long, though nothing has changed."""
        self._bell = runtime.bell()
        self._stop = runtime.world.space.on_change(self._bell.ring)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, End]:
        if not (self._left or self._over):
            raise StopAsyncIteration
        while not self._over:
            await self._ask()
            if not self._over:
                await self._wait()
        place = next(iter(self._over))
        return place, self._over.pop(place)

    def close(self) -> None:
        """Wait no longer."""
        self._left.clear()
        self._stop()

    def __del__(self) -> None:
        self._stop()

    async def _ask(self) -> None:
        """Of a few at a time, as long as there are some that the last answer had no room for."""
        asked = list(self._left.items())
        while asked:
            page, asked = asked[:WAIT_MAX], asked[WAIT_MAX:]
            jobs = [job for _, job in page]
            ends = await self._runtime.until_answered(partial(_wait_for, self._name, jobs))
            later = []
            for (place, job), end in zip(page, ends, strict=True):
                if end.state == "later":
                    later.append((place, job))
                elif end.state not in NOT_YET:
                    self._over[place] = end
                    del self._left[place]
            asked = later + asked

    async def _wait(self) -> None:
        """Until something has changed."""
        for_s = self._deadline - self._runtime.now()
        if for_s <= 0:
            raise WaitTimeout(STILL)
        if self._runtime.world.is_here:
            await self._bell.wait(min(for_s, self._look_s))
            return
        # Real time passes here, also where nobody is there to change anything.
        began = self._runtime.now()
        await self._bell.wait(min(for_s, self._look_s, PATIENCE_S))
        if self._runtime.now() - began >= PATIENCE_S:
            self._runtime.world.check_alive()


def _wait_for(
    name: str, jobs: Sequence[tuple[Uid, str | None]], store: ClientStore
) -> Sequence[End]:
    return store.wait_for(name, jobs)


def _shielded() -> AbstractContextManager[object]:
    """Of asyncio a cancellation comes once."""
    return trio.move_on_after(ASIDE_S, shield=True) if _in_trio() else nullcontext()


def _in_trio() -> bool:
    return trio.lowlevel.in_trio_task()
