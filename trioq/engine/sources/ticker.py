"""Makes the ticks of schedules: any engine may, and whoever asks first does.

Looks once a second which schedules come next, sleeps until the first of them, and asks the server
to move it on and to enqueue its job, both in one write (:mod:`trioq.core.schedules.tick`). All
others that ask find that it has moved. What an engine doesn't make, because it is blocked, cut off
or gone, another one does, or whoever comes back first: that is then late, and the schedule says
what becomes of what was missed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import attrs
import trio

from trioq.core.calls import NewJob, Unwanted
from trioq.core.events import Report, ScheduleTicked, TickRefused
from trioq.core.flow import Plan
from trioq.core.formats import pause, schedule
from trioq.core.formats.payload import loads
from trioq.core.formats.record import encode
from trioq.core.formats.summary import encode_cancelled
from trioq.core.job import Record, Uid, new_uid
from trioq.core.limits import SCHEDULE, take_of
from trioq.core.numbering import Numbering
from trioq.core.schedules.schedule import Move, Schedule
from trioq.core.schedules.tick import Known, Outcome, Tick, Ticked
from trioq.engine.bridge import Caller
from trioq.engine.outage import Outage
from trioq.errors import QueueFull, RecordUnreadable

P = ParamSpec("P")
T = TypeVar("T")

#: How often an engine looks, in seconds: a schedule that is new or has changed is known by then.
LOOK_S = 1.0

#: So many ticks are looked at at once; of more that come together, others come in the next round.
LOOK_MAX = 64


@attrs.define
class Ticker:
    """Makes ticks until it is cancelled.

    Args:
      plan: What is so for the jobs of a name in a queue.
      engine: Who it is, for those whose runs it replaces.
    """

    caller: Caller
    plan: Callable[[str, str], Plan]
    engine: str
    outage: Outage
    report: Report
    _numbering: Numbering = attrs.field(factory=Numbering, init=False)
    _refused: dict[str, str] = attrs.field(factory=dict[str, str], init=False)
    """Schedule → why its tick couldn't be made, as it was told last."""

    async def run(self) -> None:
        """Look, and make what comes.

        Cancellation: a request in flight may or may not be executed; whoever looks next sees.
        """
        while True:
            # Who can't be made comes first of all, and must not hide the others.
            limit = LOOK_MAX + len(self._refused)
            seen = await self._ask(self.caller.store.next_ticks, limit)
            looked = trio.current_time()
            agenda = [(tick_ms, name) for name, tick_ms in seen.ticks]
            horizon_ms = seen.now_ms + LOOK_S * 1000
            while agenda and agenda[0][0] <= horizon_ms:
                await trio.sleep_until(looked + (agenda[0][0] - seen.now_ms) / 1000)
                now_ms = seen.now_ms + round((trio.current_time() - looked) * 1000)
                come = []
                while agenda and agenda[0][0] <= now_ms:
                    come.append(heapq.heappop(agenda))
                for tick_ms, name in await self._make(come, now_ms):
                    heapq.heappush(agenda, (tick_ms, name))
            if agenda or len(seen.ticks) < limit:
                await trio.sleep_until(looked + LOOK_S)

    async def _make(self, come: Sequence[tuple[int, str]], now_ms: int) -> list[tuple[int, str]]:
        """Ticks that have come; when those schedules come next, as far as they have moved."""
        known = await self._ask(self.caller.store.schedules, [name for _, name in come])
        following = []
        for (tick_ms, name), each in zip(come, known, strict=True):
            next_ms = await self._move(name, tick_ms, each, now_ms)
            if next_ms is not None:
                following.append((next_ms, name))
        return following

    async def _move(self, name: str, tick_ms: int, known: Known, now_ms: int) -> int | None:
        if not known.row:
            self._refused.pop(name, None)
            return None  # removed since we looked
        if known.next_ms != tick_ms:
            # Another engine has made it: what ran last may be its run, which nobody is to cancel.
            self._refused.pop(name, None)
            return known.next_ms
        try:
            its = schedule.decode(name, known.row)
        except ValueError as error:
            self._refuse(name, f"its row can't be read here: {error}")
            return None
        move = its.move(tick_ms, now_ms, is_paused=_is_paused(known, now_ms))
        if move is None:
            return None
        try:
            ticked, tick = await self._written(its, move, known)
        except (QueueFull, RecordUnreadable, ValueError) as error:
            self._refuse(name, str(error))
            return None
        self._refused.pop(name, None)
        if ticked.word != "moved":
            outcomes: list[tuple[Outcome, int]] = [
                (mark.outcome, mark.late_ms) for mark in tick.marks
            ]
            if ticked.word == "known":
                outcomes[-1] = ("known", outcomes[-1][1])
            fired = tick.marks[-1].uid if outcomes[-1][0] == "fired" else ""
            self.report(ScheduleTicked(name, tuple(outcomes), fired, move.left_out(tick)))
        return move.next_ms

    async def _written(self, its: Schedule, move: Move, known: Known) -> tuple[Ticked, Tick]:
        if move.fires is None:
            tick = move.tick(known.row)
            return await self._tick(tick, None), tick
        if its.overlap == "replace" and known.runs:
            await self._cancel(its, known.runs[0], move.now_ms)
        job = self._job(its, move.fires, move.now_ms)
        tick = move.tick(known.row, job.uid)
        ticked = await self._tick(tick, job)
        if ticked.word == "alive":
            tick = move.passed_over(known.row, ticked.uid)
            ticked = await self._tick(tick, None)
        return ticked, tick

    def _job(self, its: Schedule, tick_ms: int, now_ms: int) -> NewJob:
        due_ms = tick_ms + its.delay_ms(tick_ms)
        record = Record(
            uid=new_uid(),
            name=its.job,
            queue=its.queue,
            payload=its.payload,
            id=its.id_of(tick_ms),
            enqueued_ms=now_ms,
            due_ms=due_ms if due_ms > now_ms else 0,
        )
        stored, big = encode(record)
        plan, payload = self.plan(its.job, its.queue), loads(its.payload)
        takes = plan.takes(payload)
        if its.is_serial:
            takes += (take_of(SCHEDULE, its.name),)
        return NewJob(
            record.uid, its.queue, stored, big, max(0, due_ms - now_ms), record.id,
            name=its.job, takes=takes, fair=plan.turn(payload),
        )  # fmt: skip

    async def _tick(self, tick: Tick, job: NewJob | None) -> Ticked:
        return await self._ask(self.caller.store.tick, *self._numbering.next(), tick, job)

    async def _cancel(self, its: Schedule, uid: Uid, now_ms: int) -> None:
        """The run before it is to end, if it hasn't by itself."""
        kept = encode_cancelled(
            uid=uid, name=its.job, queue=its.queue, at_ms=now_ms, by=self.engine,
            reason=f"replaced by the next run of the schedule {its.name}",
        )  # fmt: skip
        unwanted = [Unwanted(uid, its.queue, its.job, kept)]
        await self._ask(self.caller.store.cancel, *self._numbering.next(), unwanted)

    async def _ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.outage.until_answered(
            "tick", lambda: self.caller.call(function, *args, **kwargs)
        )

    def _refuse(self, name: str, why: str) -> None:
        """Tell once why a tick can't be made; it is tried again with each look."""
        if self._refused.get(name) != why:
            self._refused[name] = why
            self.report(TickRefused(name, why))


def _is_paused(known: Known, now_ms: int) -> bool:
    if not known.paused:
        return False
    until_ms = pause.decode(known.paused).until_ms
    return until_ms is None or until_ms > now_ms
