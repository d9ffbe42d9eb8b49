"""Tells the server which schedules there are by the configuration and the app."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs

from trioq.core.calls import BootId
from trioq.core.events import Report, ScheduleRetired, ScheduleTaken, ScheduleUnlisted
from trioq.core.formats import schedule as rows
from trioq.core.schedules.listed import NOTHING, Heard, Listed, SaidList, Unlisted
from trioq.core.schedules.schedule import Schedule
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage


def digest_of(schedules: Sequence[Schedule]) -> str:
    """Of all that is listed, in whichever order."""
    if not schedules:
        return NOTHING
    told = sorted(f"{each.name}\n".encode() + rows.encode(each) for each in schedules)
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:32]


@attrs.define(kw_only=True)
class Listing:
    """One boot's.

    Args:
      app: Whose schedules they are: what deployments of other apps list is left alone.
    """

    boot: BootId
    app: str
    schedules: Sequence[Schedule]
    caller: Caller
    outage: Outage
    report: Report
    _digest: str = attrs.field(init=False)
    _taken: set[str] = attrs.field(factory=set[str], init=False)
    """Those of which it was told that somebody else has them."""
    _told: frozenset[Unlisted] = attrs.field(default=frozenset(), init=False)
    """What isn't listed any more, of which that was told."""

    def __attrs_post_init__(self) -> None:
        self._digest = digest_of(self.schedules)

    async def say(self) -> None:
        """Say it, and tell what has become of others.

        Raises:
          StoreRefused: Redis said no.

        Cancellation: ends a request that is under way; it may have been executed, or may be.
        """
        heard = await self._say(SaidList(self.app, self._digest))
        if heard.word == "rows":
            await self._say(SaidList(self.app, self._digest, await self._listed()))

    async def _say(self, said: SaidList) -> Heard:
        heard = await self.outage.until_answered(
            "schedules", lambda: self.caller.call(self.caller.store.list_schedules, self.boot, said)
        )
        for name in heard.taken:
            if name not in self._taken:
                self._taken.add(name)
                self.report(ScheduleTaken(name))
        if heard.word != "gone":
            self._tell(heard.unlisted)
        return heard

    def _tell(self, unlisted: Sequence[Unlisted]) -> None:
        """What isn't listed any more, once."""
        for each in unlisted:
            if each not in self._told:
                is_retired = each.retired_ms is not None
                self.report((ScheduleRetired if is_retired else ScheduleUnlisted)(each.name))
        self._told = frozenset(unlisted)

    async def _listed(self) -> tuple[Listed, ...]:
        """What it lists, from now on, by the server's clock."""
        clock = await self.outage.until_answered(
            "schedules", lambda: self.caller.call(self.caller.store.next_ticks, 1)
        )
        return tuple(
            Listed(each.name, rows.encode(each), each.when.after(clock.now_ms))
            for each in self.schedules
        )
