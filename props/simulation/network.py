"""What lies between an engine and the server: requests get lost, come late, come twice.

All of it is drawn from one generator. A request that was lost for its sender may still be
executed, at any later time: then nobody hears the answer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Literal, ParamSpec, TypeVar

import attrs
import trio

from trioq.core.calls import End, Ended, Gone, Step
from trioq.engine.bridge import Following, Then, nothing
from trioq.engine.inline import InlineCaller
from trioq.errors import StoreBusy, StoreUnreachable, TrioqBug
from trioq.store.memory import MemoryStore

P = ParamSpec("P")
T = TypeVar("T")

#: How long an answer is waited for.
READ_S = 3.0

#: How late a copy may be executed.
LATEST_S = 60.0

Fate = Literal["passes", "request lost", "reply lost", "late", "twice", "refused"]


@attrs.frozen
class Weather:
    """How bad a network is: the chance of each fate, of each call."""

    chances: dict[Fate, float]
    delay_s: float
    """A call takes up to this."""

    def fate(self, draw: random.Random) -> Fate:
        dice = draw.random()
        for fate, chance in self.chances.items():
            dice -= chance
            if dice < 0:
                return fate
        return "passes"


CALM = Weather({}, 0.002)


@attrs.define
class Network:
    """One for all: its weather, its outages, and the copies that are still under way."""

    store: MemoryStore
    draw: random.Random
    weather: Weather
    nursery: trio.Nursery
    is_out: bool = False
    """Whether the server can't be reached by anybody."""
    struck: Counter[Fate] = attrs.field(factory=Counter[Fate])

    def fate(self, name: str = "") -> Fate:
        """What happens to the next call."""
        fate = self.weather.fate(self.draw)
        if fate == "twice" and name == "register":
            # What is sent once is executed once at most, and this one is never sent again.
            fate = "passes"
        self.struck[fate] += 1
        return fate

    def delay_s(self) -> float:
        return self.draw.random() * self.weather.delay_s

    def send_a_copy(self, execute: Callable[[], object]) -> None:
        """It is executed some time or other, unless the server is away then."""
        self.nursery.start_soon(self._execute_late, execute, self.draw.random() * LATEST_S)

    async def _execute_late(self, execute: Callable[[], object], after_s: float) -> None:
        await trio.sleep(after_s)
        if self.is_out:
            return
        try:
            execute()
        except TrioqBug as answer:
            # What the store in memory says to a client's late copy: nobody hears it.
            if "older than its sender's last" not in str(answer):
                raise


@attrs.define
class Link:
    """One process's way to the server."""

    network: Network
    is_cut: bool = False

    @property
    def is_away(self) -> bool:
        return self.is_cut or self.network.is_out


class LinkedStore:
    """The store as a process sees it. A beat is called in it directly, anything else by a
    :class:`LinkedCaller`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link.network.store, name)

    def beat(self, engine: str) -> Any:
        network, beat = self._link.network, self._link.network.store.beat
        fate: Fate = "request lost" if self._link.is_away else network.fate()
        if fate in ("late", "twice"):
            network.send_a_copy(lambda: beat(engine))
        if fate in ("request lost", "late"):
            raise StoreUnreachable("lost")
        if fate == "refused":
            raise StoreBusy("LOADING")
        reply = beat(engine)
        if fate == "reply lost":
            raise StoreUnreachable("lost")
        return reply


class LinkedCaller(InlineCaller):
    """One lane of a process: a connection, and again another after each failure."""

    def __init__(self, link: Link) -> None:
        store: Any = LinkedStore(link)
        super().__init__(store)
        self._link = link
        self._turn = trio.Lock()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._turn:
            try:
                fate = self._link.network.fate(function.__name__)
                return await self._call(fate, lambda: function(*args, **kwargs))
            except StoreUnreachable:
                self.generation += 1
                raise

    async def _call(self, fate: Fate, execute: Callable[[], T]) -> T:
        network = self._link.network
        if self._link.is_away:
            await trio.sleep(READ_S)
            raise StoreUnreachable("away")
        try:
            await trio.sleep(network.delay_s())
        except trio.Cancelled:
            if network.draw.random() < 0.5:
                network.send_a_copy(execute)  # it was under way when its sender went
            raise
        if fate in ("late", "twice"):
            network.send_a_copy(execute)
        if fate in ("request lost", "late") or self._link.is_away:
            await self._lost()
        if fate == "refused":
            raise StoreBusy("LOADING")
        reply = execute()
        if fate == "reply lost":
            await self._lost()
        await trio.lowlevel.checkpoint_if_cancelled()
        return reply

    async def _lost(self) -> None:
        """Either the connection ends, or there is silence."""
        if self._link.network.draw.random() < 0.5:
            await trio.sleep(READ_S)
        raise StoreUnreachable("lost")

    async def step_at_bell(
        self, step: Step, timeout_s: float, then: Then, following: Following = nothing
    ) -> None:
        if self._link.is_away:
            await trio.sleep(READ_S)
            self.generation += 1
            raise StoreUnreachable("away")
        try:
            await self._wait_bell(step.queues if step.want else (), timeout_s, step.boot)
        except trio.Cancelled:
            if self._link.network.draw.random() < 0.5:
                # It lies at the server, which hasn't noticed that its sender went.
                self._link.network.send_a_copy(lambda: self.store.step(step))
            raise
        reply = await self.step(step)
        next_step = None if isinstance(reply, Gone) else following()
        then(reply, next_step is not None)
        if next_step is not None:
            then(await self.step(next_step), False)


class Ear:
    """What a client is told of ends, as :class:`trioq.store.listening.Listening` hears it."""

    def __init__(self, link: Link, client: str) -> None:
        self._link = link
        self._client = client
        self._told: list[Ended] = []
        self._rung = trio.Event()
        self.is_open = False
        link.network.store.on_end(self._publish)

    def _publish(self, client: str, uid: str, end: End) -> None:
        if client != self._client or not self.is_open:
            return
        match self._link.network.fate():
            case "reply lost":
                self.is_open = False  # and with the connection what was under way on it
                self._told.clear()
            case "request lost":
                return  # as where the server goes back in time, and tells nobody of it
            case _:
                self._told.append(Ended(uid, end))
        self._rung.set()

    async def open(self) -> None:
        await trio.sleep(self._link.network.delay_s())
        if self._link.is_away:
            raise StoreUnreachable("away")
        self.is_open = True

    async def next(self, timeout_s: float) -> list[Ended]:
        self._rung = trio.Event()
        if not self._told:
            with trio.move_on_after(timeout_s):
                await self._rung.wait()
        await trio.sleep(self._link.network.delay_s())
        if self._link.is_away:
            self.is_open = False
            self._told.clear()
        if not self.is_open:
            raise StoreUnreachable("lost")
        told, self._told = self._told, []
        return told


class Hearing:
    """Calls an :class:`Ear`."""

    async def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kw: P.kwargs) -> T:
        return await function(*args, **kw)
