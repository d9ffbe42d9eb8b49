"""Measures the server and the loop, so that metrics and health checks need not.

Every engine looks every few seconds; one of them, whose turn it is, counts the whole
namespace, so that a sum over all engines is right. It also forgets the names of queues that
it finds to be nobody's: clients may invent them. What was seen is dropped the moment
Redis doesn't answer: a number that is missing is better than one that is old.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence

import attrs
import trio

from trioq.core.calls import Rate
from trioq.core.events import (
    DrainAsked,
    KeyPaused,
    KeyResumed,
    NamePaused,
    NameResumed,
    QueuePaused,
    QueueResumed,
    Report,
    WaitsForItself,
)
from trioq.core.formats import lenient
from trioq.core.formats.snapshot import Snapshot
from trioq.core.standstill import Standstill
from trioq.core.waiting import circle
from trioq.core.wall import wall_s
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.engine.status import Seen
from trioq.errors import StoreError
from trioq.store.inspect import Glance, glance, note_minute, sample, tell, waits_of_all
from trioq.store.inspect.sample import Sample
from trioq.store.redis import RedisStore

#: A turn to count that isn't renewed for so many intervals ends; what was counted is shown
#: for less, so that no two engines ever show their counts at a time.
TURN = 3
SHOWN = 2.5

#: Names of queues that are nobody's any more, which one look forgets.
FORGOTTEN_MAX = 200

#: All engines of a queue have waited for each other for so many intervals before that is told: a
#: job that has just ended is told to who waits for it within less.
LASTING = 3

#: How often the loop's lag is measured, and for how long the worst is told.
TICK_S = 0.25
LAG_KEPT_S = 15.0


@attrs.define(kw_only=True)
class Sampler:
    """Looks every ``interval_s``.

    Args:
      server: What is measured, through ``caller``.
      who: Names this process.
      queues: All configured ones.
      claimable: Those that an engine with idle workers claims from without a limit.
      idle: How many workers have no job, and how many jobs the engine has ever claimed;
          None while it claims nothing on purpose.
      shown: The boot's name, and what it tells those who watch; None: nothing now.
      drain: Has the engine drain, where an operator asks for it.
      clock: A monotonic clock, in seconds.
    """

    caller: Caller
    server: RedisStore
    who: str
    queues: Sequence[str]
    claimable: Sequence[str]
    rate: Rate | None
    interval_s: float
    idle: Callable[[], tuple[int, int] | None]
    shown: Callable[[], tuple[str, Snapshot] | None]
    drain: Callable[[], None]
    outage: Outage
    report: Report
    clock: Callable[[], float]
    seen: Seen | None = attrs.field(default=None, init=False)
    """None: there was no look yet, or Redis doesn't answer."""
    _lags: deque[tuple[float, float]] = attrs.field(factory=deque, init=False)
    _standstill: Standstill = attrs.field(factory=Standstill, init=False)
    _paused: Glance | None = attrs.field(default=None, init=False)
    """The last look, for what was paused by then."""
    _has_turn: bool = attrs.field(default=False, init=False)
    _is_asked: bool = attrs.field(default=False, init=False)
    """To drain."""
    _minute: int | None = attrs.field(default=None, init=False)
    """The last that it has kept, since the epoch."""
    _is_in_circle: bool = attrs.field(default=False, init=False)
    """Whether it was told that nothing moves."""

    async def run(self) -> None:
        """Measure until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_loop)
            while True:
                await self.outage.until_answered("sample", self._look)
                await trio.sleep(self.interval_s)

    def lag_s(self) -> float:
        """The longest that a task was late in the last seconds. May be asked in any thread."""
        oldest = self.clock() - LAG_KEPT_S
        return max((lag for at, lag in tuple(self._lags) if at >= oldest), default=0.0)

    async def _watch_loop(self) -> None:
        while True:
            due = self.clock() + TICK_S
            await trio.sleep(TICK_S)
            now = self.clock()
            self._lags.append((now, max(0.0, now - due)))
            while self._lags[0][0] < now - LAG_KEPT_S:
                self._lags.popleft()

    async def _look(self) -> None:
        try:
            await self._measure()
        except StoreError:
            self.seen = None
            self._standstill.forget()
            raise

    async def _measure(self) -> None:
        sent_at, told = self.clock(), self.shown()
        seen = await self.caller.call(
            glance,
            self.server,
            self.who,
            had_turn=self._has_turn,
            turn_ms=round(1000 * TURN * self.interval_s),
            queues=self.claimable,
            rate=self.rate,
            boot=told[0] if told else "",
        )
        self._has_turn = seen.has_turn
        counted = (
            await self.caller.call(sample, self.server, self.queues) if seen.has_turn else None
        )
        ends = sent_at + SHOWN * self.interval_s
        self.seen = Seen(self.clock(), seen, self._stuck_s(seen.ready), counted, ends)
        self._tell_pauses(seen)
        if seen.drain is not None:
            self._drain(seen.drain)
        if counted is not None:
            await self._note_minute(counted, seen.clock_offset_s)
        if counted is not None and (unused := counted.stats.unused):
            # Any of them: those that can't be forgotten for some reason don't hide the others.
            some = random.sample(unused, min(len(unused), FORGOTTEN_MAX))
            await self.caller.call(self.server.forget_queues, some)
        if (told := self.shown()) is not None:
            boot, snapshot = told
            snapshot = attrs.evolve(snapshot, clock_offset_s=seen.clock_offset_s)
            # Who asks why jobs don't run can't wait until engines have heard of it.
            is_odd = snapshot.breakers or snapshot.abandoned or snapshot.waits_for
            if seen.watched or is_odd or snapshot.draining:
                kept_ms = round(1000 * SHOWN * self.interval_s)
                await self.caller.call(tell, self.server, boot, snapshot, kept_ms=kept_ms)
            await self._look_whether_it_moves(boot, snapshot)

    def _drain(self, said: bytes) -> None:
        """Heed who asks for it, once."""
        if not self._is_asked:
            self._is_asked = True
            told = lenient.members(said) or {}
            by, reason = (lenient.optional_text(told.get(name)) for name in ("by", "reason"))
            self.report(DrainAsked(by or "", reason or ""))
            self.drain()

    async def _note_minute(self, counted: Sample, clock_offset_s: float) -> None:
        """Once in each minute of the server's clock, for the pictures of the last day."""
        minute = int((wall_s() + clock_offset_s) // 60)
        if minute != self._minute:
            await self.caller.call(note_minute, self.server, minute, counted)
            self._minute = minute

    async def _look_whether_it_moves(self, boot: str, snapshot: Snapshot) -> None:
        """Say it once if all that its workers wait for waits for them in turn."""
        found = None
        if snapshot.waits_for:
            engines = await self.caller.call(waits_of_all, self.server)
            found = circle(boot, engines) if boot in engines else None
        is_lasting = found is not None and found.for_s >= LASTING * self.interval_s
        if found is not None and is_lasting and not self._is_in_circle:
            queues = tuple(sorted(found.queues))
            self.report(WaitsForItself(queues, len(found.engines), found.for_s))
        self._is_in_circle = is_lasting

    def _stuck_s(self, ready: int) -> float:
        idle = self.idle()
        if idle is None:
            self._standstill.forget()
            return 0.0
        return self._standstill.saw(self.clock(), ready=ready, idle=idle[0], claimed=idle[1])

    def _tell_pauses(self, seen: Glance) -> None:
        before, is_first = self._paused or seen, self._paused is None
        ours = frozenset(self.queues)
        for queue in sorted(ours & (seen.paused if is_first else seen.paused - before.paused)):
            self.report(QueuePaused(queue, is_first))
        for queue in sorted(ours & (before.paused - seen.paused)):
            self.report(QueueResumed(queue))
        names = seen.paused_names if is_first else seen.paused_names - before.paused_names
        for name in sorted(names):
            self.report(NamePaused(name, is_first))
        for name in sorted(before.paused_names - seen.paused_names):
            self.report(NameResumed(name))
        takes = seen.paused_takes if is_first else seen.paused_takes - before.paused_takes
        for take in sorted(takes):
            self.report(KeyPaused(take, is_first))
        for take in sorted(before.paused_takes - seen.paused_takes):
            self.report(KeyResumed(take))
        self._paused = seen
