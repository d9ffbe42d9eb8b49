"""Takes the jobs of engines that have stopped beating.

It watches counters, by its own monotonic clock, and forgets all it has seen when it was
itself cut off: so neither an outage nor a jumping clock makes it reap the living. An engine
that is configured with a longer lease has that long.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import attrs
import trio

from trioq.core.events import EngineReaped, Report
from trioq.core.formats import engine_info
from trioq.core.watch import Watch, look, next_three
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import StoreBusy, StoreUnreachable


@attrs.define(kw_only=True)
class Reaper:
    """Polls every ``interval_s``, on a lane that it has no need to have for itself.

    Args:
      me: The name of the boot that it works for, which it leaves alone.
      span: Changes when the boot's own signs of life weren't answered for a while; None
          while they aren't.
    """

    caller: Caller
    me: str
    span: Callable[[], Hashable | None]
    lease_s: float
    interval_s: float
    max_reaps: int
    outage: Outage
    report: Report
    _leases: dict[str, float] = attrs.field(factory=dict[str, float], init=False)
    """Of engines that were silent: how long they may be, by their own configurations."""

    async def run(self) -> None:
        """Reap until cancelled."""
        watch = Watch(self.lease_s, self.interval_s)
        poll = 0
        while True:
            try:
                await self._look(watch, poll)
                poll += 1
                self.outage.answered("watch")
            except (StoreUnreachable, StoreBusy) as error:
                await self.outage.failed("watch", error)
            await trio.sleep(self.interval_s)

    async def _look(self, watch: Watch, poll: int) -> None:
        store = self.caller.store
        beats = await self.caller.call(store.observe)
        others = [boot for boot in beats if boot != self.me]
        mine = others if look(poll) else next_three(self.me, others)
        seen = {boot: beats[boot] for boot in mine}
        span = None if (own := self.span()) is None else (self.caller.generation, own)
        now = trio.current_time()
        silent = watch.saw(now, seen, span)
        await self._ask_leases([boot for boot, _ in silent])
        for boot, counter in silent:
            if watch.stood_s(boot, now) < self._leases[boot]:
                continue
            reaped = await self.caller.call(store.reap, boot, counter, self.max_reaps)
            watch.forget(boot)
            if reaped.word == "reaped":
                self.report(EngineReaped(boot, reaped.moved, reaped.dead, reaped.cancelled))

    async def _ask_leases(self, boots: Sequence[str]) -> None:
        """Look up how long these may be silent; another's lease may be longer than ours."""
        if self._leases.keys() >= set(boots):
            return
        infos = await self.caller.call(self.caller.store.engines)
        # All anew, so that nothing is kept of those that are gone.
        self._leases = {boot: engine_info.decode(info).lease_s for boot, info in infos.items()}
        for boot in boots:
            self._leases.setdefault(boot, 0.0)  # it has signed off since
