"""Tells the server again and again what limits there are by the configuration, and what schedules.

The limits are told with each boot's registration. But what holds depends on who lives: once no
engine of a newer deployment does, what the others say holds, and somebody has to say it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs
import trio

from trioq.core.calls import BootId
from trioq.core.limits import LimitSettings
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage

#: Between two times. An engine that has none says so too, to what nobody has any more.
EVERY_S = 20.0


@attrs.define(kw_only=True)
class Declaring:
    """One boot's.

    Args:
      list_schedules: Says once which schedules there are.
    """

    boot: BootId
    limits: Mapping[str, LimitSettings]
    list_schedules: Callable[[], Awaitable[None]]
    caller: Caller
    outage: Outage
    every_s: float = EVERY_S

    async def run(self) -> None:
        """Until cancelled.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: ends a request that is under way; it may have been executed, or may be.
        """
        while True:
            await self.list_schedules()
            await trio.sleep(self.every_s)
            await self.outage.until_answered("limits", self._declare)

    async def _declare(self) -> None:
        await self.caller.call(self.caller.store.declare_limits, self.boot, self.limits)
