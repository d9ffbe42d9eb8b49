"""What is told in a world, and waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio

from trioq.core.events import Event

E = TypeVar("E", bound=Event)

DAY_S = 24 * 3600.0


class Telling:
    """What engines have told of themselves and of jobs."""

    def __init__(self) -> None:
        self.told: list[tuple[float, Event]] = []
        """Every event, with its time in seconds since the world began."""
        self.awaited: float | None = None
        """Until when the test waits for nothing but us, by trio's clock; None: it doesn't."""
        self._changed = trio.Event()

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        raise NotImplementedError

    def report(self, event: Event) -> None:
        """Tell of an event."""
        self.tell(event)

    def tell(self, event: Event) -> None:
        """Note an event, and have those look who wait for one."""
        self.told.append((self.now, event))
        self.look()

    def look(self) -> None:
        """Have those who wait for something look again."""
        self._changed.set()
        self._changed = trio.Event()

    async def changed(self) -> None:
        """Wait until there is something to look at, beside others that wait."""
        await self._changed.wait()

    async def looked(self) -> None:
        """Wait until there is something to look at."""
        with self._waits():
            await self._changed.wait()

    def of(self, kind: type[E], **fields: Any) -> list[E]:
        """The events of a kind.

        Args:
          kind: Their class.
          fields: What they have in these fields.
        """
        return [event for _, event in self.timed(kind, **fields)]

    def timed(self, kind: type[E], **fields: Any) -> list[tuple[float, E]]:
        """The same as :meth:`of`, with their times in seconds since the world began."""
        return [
            (at, event) for at, event in self.told
            if isinstance(event, kind) and all(getattr(event, k) == v for k, v in fields.items())
        ]  # fmt: skip

    async def reported(
        self, kind: type[E], count: int = 1, within_s: float = DAY_S, **fields: Any
    ) -> list[E]:
        """Wait until so many of these events were told.

        Args:
          kind, fields: As of :meth:`of`.
          count: So many.
          within_s: How long to wait at most, in seconds of the world's time.

        Returns:
          All that were told.

        Raises:
          AssertionError: They weren't, within so many seconds.
        """
        await self.until(lambda: len(self.of(kind, **fields)) >= count, within_s)
        return self.of(kind, **fields)

    async def until(self, what: Callable[[], bool], within_s: float = DAY_S) -> None:
        """Wait until this is true; asks again at each event.

        Args:
          what: Says whether it is.
          within_s: How long to wait at most, in seconds of the world's time.

        Raises:
          AssertionError: It isn't, within so many seconds.
        """
        with trio.move_on_after(within_s):
            while not what():
                await self.looked()
            return
        raise AssertionError(f"not within {within_s} s; told: {self.told[-20:]}")

    async def pass_by(self, seconds: float) -> None:
        """Let so much time pass."""
        with trio.move_on_after(seconds), self._waits():
            await trio.sleep_forever()

    @contextmanager
    def _waits(self) -> Iterator[None]:
        """While this lasts the test waits for nothing but us, if it is it that does."""
        if not self.is_alone:
            yield
            return
        self.awaited = trio.current_effective_deadline()
        try:
            yield
        finally:
            self.awaited = None

    @property
    def is_alone(self) -> bool:
        """Whether the task that runs is the test, and has no others beside it."""
        return False
