"""What becomes of jobs whose payload doesn't fit their handler here: another engine may have
another version of it.

While one lives that says another signature, such a job is parked, behind a door that says which
it didn't fit. Who has none of those opens the door. Where nobody has another any more, those who
are named there open it in the end, and the job is dead as one that fits nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import trio

from trioq.core.formats import door, engine_info
from trioq.core.formats.engine_info import EngineInfo
from trioq.core.outcome import Failed, Snoozed, Unfit
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import StoreBusy, StoreUnreachable

#: Nobody who fits them has lived for so long when parked jobs are tried again, and die of it: an
#: engine may be on its way back.
ALONE_S = 60.0

#: And so many looks have found that, however short the time is.
LOOKS = 3

#: How often one looks, where the time is long.
OFTEN_S = 5.0

#: What was seen is good for so long to park by; not for a job to die by.
FRESH_S = 1.0

#: An engine of an older version says no signatures, and opens no such doors. What doesn't fit here
#: is left for it in the line again, and comes back after this if it isn't there any more.
SAYS_NONE_S = 30.0

#: Signatures on one door; a job that fits none of so many is dead.
MOST = 8


Door = tuple[str, str]
"""A queue, and what the door is called."""


@attrs.define(eq=False, kw_only=True)
class Signatures:
    """One shard's.

    Args:
      mine: Handler → its signature.
      queues: Those that the engine claims from.
      unknown_after_s: Jobs don't wait longer than this for who could run them, nor than a minute.
      seldom_s: How often it looks, where that is more seldom than usual.
    """

    mine: Mapping[str, str]
    queues: Sequence[str]
    caller: Caller
    outage: Outage
    unknown_after_s: float
    seldom_s: float = OFTEN_S
    _infos: Sequence[EngineInfo] = attrs.field(default=(), init=False)
    """What all engines have said that lived at the last look."""
    _met: dict[str, tuple[EngineInfo, float]] = attrs.field(
        factory=dict[str, tuple[EngineInfo, float]], init=False
    )
    """Boot → what it said, and when it was last seen, of those of the last minute."""
    _seen_at: float = attrs.field(default=float("-inf"), init=False)
    """By trio's clock, as all times here."""
    _alone: dict[Door, tuple[float, int]] = attrs.field(
        factory=dict[Door, tuple[float, int]], init=False
    )
    """Since when nobody else could open it, and how many looks have found that."""

    # -- a payload that doesn't fit --------------------------------------------------------------

    async def judged(
        self, failed: Failed, name: str, queue: str, behind: str, has_run: bool
    ) -> Failed | Snoozed | Unfit:
        """What becomes of a run whose payload didn't fit.

        Where no engine could run it, one may be on its way back: for one that has lived lately,
        or has had the job, it waits once.

        Args:
          behind: The door that its job was parked behind before; empty: none.
          has_run: An engine has had it that it fitted, as far as is known.

        Returns:
          What was given, where no engine can run it and none is waited for.

        Cancellation: at once; nothing is decided then.
        """
        unfit = door.unfit_of(behind) | {self.mine[name]}
        if trio.current_time() - self._seen_at > FRESH_S or not self._others(name, queue, unfit):
            await self._see()
        others = self._others(name, queue, unfit)
        if len(unfit) <= MOST and others - {""}:
            self._alone.pop((queue, behind), None)
            return Unfit(door.named(name, unfit))
        if others:
            return Snoozed(SAYS_NONE_S)
        is_awaited = has_run or self._lately(name, queue, unfit) - {""}
        if is_awaited and len(unfit) <= MOST and self.mine[name] not in door.unfit_of(behind):
            return Unfit(door.named(name, unfit))
        return failed

    def _others(self, name: str, queue: str, unfit: frozenset[str]) -> set[str]:
        """The signatures of engines that may fit what doesn't fit these; empty: one says none."""
        return _said_by(self._infos, name, queue) - unfit

    def _lately(self, name: str, queue: str, unfit: frozenset[str]) -> set[str]:
        """The same of engines that a look has found within the last minute."""
        since = trio.current_time() - self.alone_s
        lately = [info for info, seen_at in self._met.values() if seen_at > since]
        return _said_by(lately, name, queue) - unfit

    # -- doors -------------------------------------------------------------------------------------

    def opens(self, queue: str, called: str) -> bool:
        """Whether jobs behind this door may fit here, or nobody fits them."""
        mine = self.mine.get(door.name_of(called), "")
        if mine not in door.unfit_of(called):
            return True
        since, looks = self._alone.get((queue, called), (trio.current_time(), 0))
        return looks >= LOOKS and trio.current_time() - since >= self.alone_s

    @property
    def alone_s(self) -> float:
        """How long nobody has lived who could open a door when it is opened all the same."""
        return min(ALONE_S, self.unknown_after_s)

    @property
    def every_s(self) -> float:
        """How long it waits between two looks."""
        return max(0.05, min(max(OFTEN_S, self.seldom_s), self.alone_s / 4))

    async def run(self, parked: Callable[[], Sequence[Door]], poke: Callable[[], None]) -> None:
        """For one boot, look again and again, as long as there are doors that don't open here;
        until cancelled.

        Args:
          parked: All doors with parked jobs, as far as the boot has heard.
          poke: Called when one opens.
        """
        self._alone.clear()
        while True:
            await trio.sleep(self.every_s)
            if not (shut := self._shut(parked())):
                self._alone.clear()
                continue
            try:
                await self._look()
                self._note(shut)
                self.outage.answered("watch")
            except (StoreUnreachable, StoreBusy) as error:
                self._alone.clear()  # who has not looked doesn't know
                await self.outage.failed("watch", error)
            if any(self.opens(*each) for each in self._alone):
                poke()

    def _shut(self, parked: Sequence[Door]) -> list[Door]:
        """The doors that say that their jobs didn't fit here."""
        return [
            (queue, called)
            for queue, called in parked
            if queue in self.queues
            and self.mine.get(door.name_of(called), "") in door.unfit_of(called)
        ]

    async def _see(self) -> None:
        """Look now, until Redis answers."""
        await self.outage.until_answered("signatures", self._look)

    async def _look(self) -> None:
        infos = await self.caller.call(self.caller.store.engines)
        now = self._seen_at = trio.current_time()
        living = {boot: engine_info.decode(info) for boot, info in infos.items()}
        self._infos = list(living.values())
        met = {boot: each for boot, each in self._met.items() if each[1] > now - self.alone_s}
        self._met = met | {boot: (info, now) for boot, info in living.items()}

    def _note(self, shut: Sequence[Door]) -> None:
        """One look has found who could open these."""
        now = trio.current_time()
        self._alone = {
            (queue, called): (since, looks + 1)
            for queue, called in shut
            if not self._others(door.name_of(called), queue, door.unfit_of(called)) - {""}
            for since, looks in [self._alone.get((queue, called), (now, 0))]
        }


def _said_by(infos: Iterable[EngineInfo], name: str, queue: str) -> set[str]:
    """The signatures of this handler that these say, who claim it from there; empty: one says
    none."""
    return {
        info.signatures.get(name, "")
        for info in infos
        if name in info.names and queue in info.queues
    }
