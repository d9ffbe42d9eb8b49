"""Queues jobs from a loop: waits for room, and for whoever has the id."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from trioq.client.conflict import Begin, Look, Met, Move, Pause, Stop, resolve
from trioq.client.made import all_taken, nothing_sent, raise_told, written
from trioq.client.room import Room, none_came
from trioq.client.runtime import Runtime
from trioq.client.wishes import Wishes
from trioq.core.call import Expected
from trioq.core.calls import Enqueued, Enqueuer, MustWait, NewJob, Replacing, Taking
from trioq.core.current import waits_here
from trioq.core.same import Same
from trioq.errors import StoreUnreachable


class Enqueues:
    """The enqueues of all tasks that share a client."""

    def __init__(self, runtime: Runtime, wishes: Wishes, room: Room) -> None:
        self._runtime = runtime
        self._outbox = runtime.outbox
        self._waits = runtime.waits
        self._wishes = wishes
        self._room = room

    async def queued(
        self,
        jobs: Sequence[NewJob],
        within_s: float,
        patience_s: float,
        taking: Taking | None = None,
    ) -> Enqueued:
        """Queue one batch of jobs, once there is room for it.

        Args:
          within_s: Seconds for all of it.
          patience_s: Seconds to wait for room, where one does.
          taking: From whom the one job takes its id.
        """
        try:
            who = self.who(jobs, patience_s)
            return await self._sent(jobs, within_s, who, taking)
        except MustWait as full:
            return await self.when_there_is_room(jobs, full, patience_s, taking)

    async def _sent(
        self,
        jobs: Sequence[NewJob],
        within_s: float,
        who: Enqueuer | None,
        taking: Taking | None,
    ) -> Enqueued:
        try:
            if taking is not None:
                return await self._wishes.take(jobs[0], taking, who, within_s)
            return all_taken(jobs, await self._outbox.send(jobs, within_s, who))
        except StoreUnreachable as error:
            raise_told(error, jobs)

    def who(self, jobs: Sequence[NewJob], patience_s: float) -> Enqueuer | None:
        """Who waits for room with these; None: nobody."""
        return self._room.who(jobs, patience_s, lambda: self._waits.name)

    async def when_there_is_room(
        self,
        jobs: Sequence[NewJob],
        full: MustWait,
        patience_s: float,
        taking: Taking | None = None,
    ) -> Enqueued:
        """Enqueue what is in line by now."""
        began = self._runtime.now()
        with waits_here([full.queue]):
            while await self._waits.room(full.queue, jobs[0].uid, began + patience_s):
                who = Enqueuer(self._waits.name, full.nth)
                try:
                    return await self._sent(jobs, math.inf, who, taking)
                except MustWait as still:
                    full = still
        raise none_came(full, jobs, self._runtime.now() - began)

    async def met(
        self,
        job: NewJob,
        same: Same,
        expected: Callable[[str], Expected | None],
        within_s: float,
        patience_s: float,
    ) -> Met:
        """Queue a job as it asks to be where its id is another's.

        Args:
          expected: What is known here of a handler.
          within_s, patience_s: As of :meth:`queued`.
        """
        began = self._runtime.now()
        moves = resolve(job, same, expected, self._runtime.now)
        answer: Any = None
        while True:
            try:
                move = moves.send(answer)
            except StopIteration as over:
                met: Met = over.value
                return met
            took_s = self._runtime.now() - began
            answer = await self._made(move, job, within_s - took_s, patience_s - took_s)

    async def _made(self, move: Move, job: NewJob, within_s: float, patience_s: float) -> Any:
        """The answer to one move of these."""
        match move:
            case Pause():
                return await self._runtime.sleep(move.seconds)
            case Begin():
                return await self.queued([job], within_s, patience_s)
            case Taking():
                return await self.queued([job], within_s, patience_s, move)
            case Look():
                with nothing_sent():
                    return await self._wishes.record(move.uid, within_s)
            case Replacing():
                try:
                    return await self._wishes.replace(move, within_s)
                except StoreUnreachable as error:
                    raise_told(error, [move.job])
            case Stop():
                with written(move.replaced):
                    return await self._wishes.stop(move.uid, move.wish, move.expected, within_s)
