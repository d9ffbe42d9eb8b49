"""Speaks with the server of breakers: of those that all engines share, and of resets.

An engine that shares none says nothing, unless one of its own isn't closed: then it asks with each
beat whether somebody has reset it. Of shared ones it tells what its runs have found: failures, and
how probes ended, at once; and all else with each beat. It asks for probes when a job wants one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import attrs
import trio

from trioq.core.calls import BootId, BreakerNews, BreakerSeen
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage

G = TypeVar("G")

#: Between two requests: what is found meanwhile goes together.
PAUSE_S = 0.01


class Shared(Protocol):
    """The engine's breakers."""

    stirred: trio.Event

    @property
    def due(self) -> float: ...
    def begin(self) -> None: ...
    def news(self) -> Sequence[tuple[Any, BreakerNews]]: ...
    def heard(
        self, sent: Sequence[tuple[Any, BreakerNews]], seen: Sequence[BreakerSeen]
    ) -> None: ...


@attrs.define(kw_only=True)
class Sharing:
    """One boot's.

    Args:
      beat_s: How often it is spoken of them, if nothing happens.
    """

    boot: BootId
    breakers: Shared
    caller: Caller
    beat_s: float
    outage: Outage

    async def run(self) -> None:
        """Until cancelled.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: ends a request that is under way; it may have been executed, or may be.
        """
        self.breakers.begin()
        while True:
            await self.outage.until_answered("breakers", self._talk)
            next_at = trio.current_time() + self.beat_s
            await trio.sleep(PAUSE_S)
            with trio.move_on_at(min(next_at, self.breakers.due)):
                await self.breakers.stirred.wait()

    async def _talk(self) -> None:
        self.breakers.stirred = trio.Event()
        news = self.breakers.news()
        if not news:
            return
        told = [each for _, each in news]
        seen = await self.caller.call(self.caller.store.breakers, self.boot, told)
        self.breakers.heard(news, seen)
