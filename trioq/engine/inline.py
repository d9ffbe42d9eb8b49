"""A store in this process, called in the loop: threads and a virtual clock don't mix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol, TypeVar

import trio

from trioq.core.calls import Gone, Step, StepReply
from trioq.engine.bridge import Caller, Following, Then, nothing
from trioq.store.protocol import Store

P = ParamSpec("P")
T = TypeVar("T")


class RingingStore(Store, Protocol):
    """A store that tells when it rings a bell: :class:`~trioq.store.memory.MemoryStore`."""

    def on_ring(self, listener: Callable[[str], None]) -> None: ...


class InlineCaller:
    """Calls it."""

    generation = 1
    measured = None
    can_end_waits = True

    def __init__(self, store: RingingStore) -> None:
        self.store = store
        self._rung = trio.Event()
        self._is_ended = False
        store.on_ring(self._ring)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await trio.lowlevel.checkpoint()
        return function(*args, **kwargs)

    async def step(self, step: Step) -> StepReply | Gone:
        return await self.call(self.store.step, step)

    async def step_at_bell(
        self, step: Step, timeout_s: float, then: Then, following: Following = nothing
    ) -> None:
        await self._wait_bell(step.queues if step.want else (), timeout_s, step.boot)
        reply = self.store.step(step)
        next_step = None if isinstance(reply, Gone) else following()
        then(reply, next_step is not None)
        if next_step is not None:
            then(await self.step(next_step), False)

    async def _wait_bell(self, queues: Sequence[str], timeout_s: float, boot: str) -> None:
        self._is_ended = False
        with trio.move_on_after(timeout_s):
            while not (self._is_ended or self.store.wait(queues, 0, boot)):
                await self._rung.wait()

    def prepare(self, step: Step) -> None:
        pass

    def start_end_wait(self, other: Caller) -> None:
        return None

    async def end_wait(self, other: Caller, started: Callable[[], bool] | None = None) -> None:
        await trio.lowlevel.checkpoint()
        self._is_ended = True
        self._ring("")

    async def drive(self, step: Callable[[], float]) -> None:
        delay_s = 0.0
        while True:
            await trio.sleep(delay_s)
            delay_s = step()

    def _ring(self, queue: str) -> None:
        self._rung.set()
        self._rung = trio.Event()
