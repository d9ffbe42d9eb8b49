"""How the children are: each is asked again and again, and who has used up enough is to leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import structlog
import trio

from trioq.processes.child import Child

#: How often the children are asked how they are, and with every so many looks for their metrics:
#: what one has counted since is lost when it is killed.
LOOK_S = 1.0
PAGE_EVERY = 10


@attrs.define(eq=False)
class Health:
    """What the children say of themselves.

    Args:
      children: All that there are, by their numbers; kept by their supervisor.
      changed: Called when one is to leave.
    """

    children: Mapping[int, Child]
    changed: Callable[[], None]
    log: structlog.typing.FilteringBoundLogger

    async def look(self) -> None:
        """Ask all how they are, again and again, until cancelled."""
        looks = 0
        while True:
            looks += 1
            await self.ask_all(page=looks % PAGE_EVERY == 0)
            for child in list(self.children.values()):
                self._look_at(child)
            await trio.sleep(LOOK_S)

    def _look_at(self, child: Child) -> None:
        if child.phase != "ready" or child.leaving or child.usage is None:
            return
        age_s = trio.current_time() - child.started_at
        child.leaving = child.limits.passed(child.usage, age_s)
        if child.leaving:
            self.changed()

    async def ask_all(self, *, page: bool = False) -> None:
        """Have all that are ready say how they are; who doesn't answer is passed over in time."""
        async with trio.open_nursery() as nursery:
            for child in self.children.values():
                if child.phase != "starting":
                    nursery.start_soon(self._ask, child, page)

    async def _ask(self, child: Child, page: bool) -> None:
        is_first = child.usage is None
        await child.ask(page=page)
        if is_first and child.usage is not None and child.limits.is_futile(child.usage):
            self.log.warning(
                "max_rss_is_too_low", process=child.number, mib=child.usage.rss_at_start >> 20,
                why="a child has as much at its start: it isn't replaced for that",
            )  # fmt: skip

    def readiness(self) -> dict[str, dict[str, Any]]:
        """What each said last, and whether it is ready."""
        return {str(child.number): _told(child) for child in self.children.values()}


def _told(child: Child) -> dict[str, Any]:
    if child.phase != "ready" or not child.health:
        return {"ready": False, "pid": child.pid, "phase": child.phase}
    if not child.answers:
        return {**child.health, "ready": False, "pid": child.pid, "phase": "doesn't answer"}
    return {**child.health, "pid": child.pid, "phase": child.phase}
