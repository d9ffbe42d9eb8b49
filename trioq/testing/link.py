"""The way of one engine, or of one client, to the world's store: it can be cut, and stopped, and
lose what is on it.

An engine looks again and again for what nobody may have told it. In a world everybody is told, so
its looks wait here until there is something to be seen: hours in which nothing happens cost next
to nothing.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import trio

from trioq.core.calls import Gone, Step, StepReply
from trioq.core.pace import POLL_S
from trioq.engine.inline import InlineCaller
from trioq.errors import StoreUnreachable
from trioq.testing.life import Crashed
from trioq.testing.server import Space

P = ParamSpec("P")
T = TypeVar("T")

Fate = Literal["", "request", "reply"]
"""What gets lost of a call; empty: nothing."""

#: A step that waits for a bell without hurry waits so long: what another engine had to do that was
#: killed, say a retry that came due there, is found by then.
LONG_S = 60.0

#: A tick is looked for so long before it comes: the ticker itself looks once a second.
AHEAD_S = 1.0


class Link:
    """One's way to the store: has all methods of that."""

    def __init__(self, space: Space, now: Callable[[], float] = trio.current_time) -> None:
        self.space = space
        self.generation = 1
        """Counts connections: who watches something over time starts anew with each."""
        self._now = now
        self._cut_until = -math.inf
        self._is_over = False
        self.on_call: Callable[[str], Fate] = lambda name: ""
        """Asked before each call, with its name, what becomes of it."""
        self.due_at = math.inf
        """When the next scheduled job is due, as far as it has heard, by the world's clock."""
        self.tick_at = -math.inf
        """When the next tick is looked for, likewise."""
        self._thawed: trio.Event | None = None
        self._rings: list[Callable[[str], None]] = []
        space.on_ring(self._ring)

    def cut(self, for_s: float = math.inf) -> None:
        """Nothing reaches the store any more, for so long."""
        self._cut_until = self._now() + for_s
        self.generation += 1

    def mend(self) -> None:
        """It does again, over a new connection."""
        self._cut_until = -math.inf
        self.generation += 1
        self._ring("")

    def end(self) -> None:
        """Whose way it was is dead: no call is made any more, and none tried again."""
        self._is_over = True
        self.cut()
        self.thaw()

    @property
    def is_cut(self) -> bool:
        return self._now() < self._cut_until

    def freeze(self) -> None:
        """Calls wait before they are made."""
        if self._thawed is None:
            self._thawed = trio.Event()

    def thaw(self) -> None:
        """They go on."""
        if self._thawed is not None:
            self._thawed.set()
            self._thawed = None
            self._ring("")

    @property
    def is_frozen(self) -> bool:
        return self._thawed is not None

    async def thawed(self) -> None:
        """Wait until calls go on."""
        while self._thawed is not None:
            await self._thawed.wait()

    def on_ring(self, listener: Callable[[str], None]) -> None:
        """As of the store; and it is told when there may be something that it has missed."""
        self._rings.append(listener)

    def _ring(self, bell: str) -> None:
        if not self.is_frozen:
            for listener in self._rings:
                listener(bell)

    # -- the store's methods -------------------------------------------------------------------

    def wait(self, queues: Sequence[str], timeout_s: float, boot: str | None = None) -> bool:
        """Who is stopped hears no bell, and leaves it to others."""
        if self.is_frozen:
            return False
        return bool(self._made("wait", self.space.store.wait, queues, timeout_s, boot))

    def step(self, step: Step) -> StepReply | Gone:
        reply: StepReply | Gone = self._made("step", self.space.store.step, step)
        if isinstance(reply, StepReply):
            due_ms = reply.next_due_ms
            self.due_at = math.inf if due_ms is None else self._now() + due_ms / 1000
        return reply

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.space.store, name)
        call = functools.partial(self._made, name, method)
        return functools.update_wrapper(call, method)

    def _made(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._is_over:
            raise Crashed
        if self.is_cut:
            raise StoreUnreachable("the link is cut", sent=False)
        fate = self.on_call(name)
        if fate == "request":
            raise StoreUnreachable("the request got lost")
        answer = method(*args, **kwargs)
        if fate == "reply":
            raise StoreUnreachable("the reply got lost")
        return answer


class Links:
    """All ways to one store: none leads there while there is an outage."""

    def __init__(self, space: Space, now: Callable[[], float]) -> None:
        self._space, self._now = space, now
        self._all: list[Link] = []
        self._away_until = -math.inf

    def one_more(self) -> Link:
        """Another one."""
        link = Link(self._space, self._now)
        if (left_s := self._away_until - self._now()) > 0:
            link.cut(left_s)
        self._all.append(link)
        return link

    def cut(self, for_s: float) -> None:
        """Nobody reaches the store, for so long."""
        self._away_until = self._now() + for_s
        for link in self._all:
            link.cut(for_s)

    def mend(self) -> None:
        """Everybody does again."""
        self._away_until = -math.inf
        for link in self._all:
            link.mend()


class PlainCaller(InlineCaller):
    """A caller over a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        super().__init__(link)

    @property
    def generation(self) -> int:  # type: ignore[override]
        return self._link.generation

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._link.thawed()
        return await super().call(function, *args, **kwargs)

    async def _wait_bell(self, queues: Sequence[str], timeout_s: float, boot: str) -> None:
        await self._link.thawed()
        await super()._wait_bell(queues, timeout_s, boot)
        await self._link.thawed()

    async def drive(self, step: Callable[[], float]) -> None:
        delay_s = 0.0
        while True:
            await trio.sleep(delay_s)
            await self._link.thawed()
            delay_s = step()


class LinkCaller(PlainCaller):
    """One that doesn't ask before there can be anything: it knows when that is."""

    def __init__(self, link: Link) -> None:
        self._has_looked = False
        super().__init__(link)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if getattr(function, "__name__", "") == "next_ticks":
            await self._tick_comes()
        return await super().call(function, *args, **kwargs)

    async def _tick_comes(self) -> None:
        """Until a tick comes soon, but for the first time."""
        await self._link.thawed()
        while self._has_looked:
            changed = trio.Event()
            quiet = self._link.space.on_change(changed.set)
            try:
                seen = self._link.next_ticks(1)
                first_ms = min((tick_ms for _, tick_ms in seen.ticks), default=math.inf)
                left_s = (first_ms - seen.now_ms) / 1000 - AHEAD_S
                if left_s <= 0:
                    return
                self._link.tick_at = trio.current_time() + left_s
                with trio.move_on_after(left_s):
                    await changed.wait()
            finally:
                self._link.tick_at = -math.inf
                quiet()
            await self._link.thawed()
        self._has_looked = True

    async def _wait_bell(self, queues: Sequence[str], timeout_s: float, boot: str) -> None:
        await self._link.thawed()
        if timeout_s >= POLL_S:
            timeout_s = max(timeout_s, min(LONG_S, self._link.due_at - trio.current_time()))
        await super()._wait_bell(queues, timeout_s, boot)
