"""Sees which queues wait for longer than they should, so that strict priority starves none."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import trio

from trioq.core.fairness import Shares
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.store.inspect import oldest_ready_ms
from trioq.store.redis import RedisStore

#: So many looks within the shortest of the waits, and the longest time between two.
LOOKS = 4
OFTEN_S = 0.05
EVERY_S = 5.0


def every_s(max_waits_s: Mapping[str, float]) -> float:
    """The time between two looks."""
    return max(OFTEN_S, min(EVERY_S, min(max_waits_s.values()) / LOOKS))


@attrs.frozen(kw_only=True)
class Lateness:
    """One engine's look at its queues, now and then.

    Args:
      server: What is asked, through ``caller``.
      max_waits_s: For how long the next job of each of these may wait.
      shares: Is told who is late, and by how much.
    """

    caller: Caller
    server: RedisStore
    max_waits_s: Mapping[str, float]
    shares: Shares
    outage: Outage

    async def run(self) -> None:
        """Look until cancelled."""
        pause_s = every_s(self.max_waits_s)
        while True:
            await self.outage.until_answered("lateness", self._look)
            await trio.sleep(pause_s)

    async def _look(self) -> None:
        queues = tuple(self.max_waits_s)
        ages_ms = await self.caller.call(oldest_ready_ms, self.server, queues)
        waits = {name: age_ms / 1000 / self.max_waits_s[name] for name, age_ms in ages_ms.items()}
        self.shares.late = {name: times for name, times in waits.items() if times > 1}
