"""Queues jobs from ordinary code: waits for room, and for whoever has the id."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from trioq.client.made import all_taken, nothing_sent, raise_told, written
from trioq.client.room import Room, Waiting, none_came
from trioq.client.sync_outbox import SyncOutbox
from trioq.core.calls import Enqueued, Enqueuer, MustWait, NewJob, Replacing, Taking
from trioq.core.current import waits_here
from trioq.core.same import Same
from trioq.errors import StoreUnreachable

if TYPE_CHECKING:
    from trioq.client.conflict import Met, Move
    from trioq.client.sync_waits import SyncWaits
    from trioq.client.sync_wishes import SyncWishes
    from trioq.core.call import Expected


class SyncEnqueues:
    """The enqueues of all threads that share a client, also of forked children.

    Args:
      waits, wishes: Of the same client, made when they are first needed.
    """

    def __init__(
        self,
        outbox: SyncOutbox,
        waits: Callable[[], SyncWaits],
        wishes: Callable[[], SyncWishes],
        room: Room,
    ) -> None:
        self._outbox = outbox
        self._waits = waits
        self._wishes = wishes
        self._room = room

    def queued(
        self,
        jobs: Sequence[NewJob],
        within_s: float,
        full_timeout_s: float,
        waiting: Waiting | None,
        taking: Taking | None = None,
    ) -> Enqueued:
        """Queue one batch of jobs, once there is room for it.

        Args:
          within_s: Seconds for all of it.
          full_timeout_s: How long to wait for room, where one does.
          waiting: Is entered while that is so.
          taking: From whom the one job takes its id.
        """
        patience_s = min(full_timeout_s, within_s)
        try:
            return self._sent(jobs, within_s, self.who(jobs, patience_s), taking)
        except MustWait as full:
            return self.when_there_is_room(jobs, full, patience_s, waiting, taking)

    def _sent(
        self,
        jobs: Sequence[NewJob],
        within_s: float,
        who: Enqueuer | None,
        taking: Taking | None,
    ) -> Enqueued:
        try:
            if taking is not None:
                return self._wishes().take(jobs[0], taking, who, within_s)
            return all_taken(jobs, self._outbox.send(jobs, within_s, who))
        except StoreUnreachable as error:
            raise_told(error, jobs)

    def who(self, jobs: Sequence[NewJob], patience_s: float) -> Enqueuer | None:
        """Who waits for room with these; None: nobody."""
        return self._room.who(jobs, patience_s, lambda: self._waits().name)

    def when_there_is_room(
        self,
        jobs: Sequence[NewJob],
        full: MustWait,
        patience_s: float,
        waiting: Waiting | None = None,
        taking: Taking | None = None,
    ) -> Enqueued:
        """Enqueue what is in line by now."""
        began = time.monotonic()

        def room() -> bool:
            with nullcontext() if waiting is None else waiting(full):
                return self._waits().room(full.queue, jobs[0].uid, began + patience_s)

        with waits_here([full.queue]):
            while room():
                who = Enqueuer(self._waits().name, full.nth)
                try:
                    return self._sent(jobs, math.inf, who, taking)
                except MustWait as still:
                    full = still
        raise none_came(full, jobs, time.monotonic() - began)

    def met(
        self,
        job: NewJob,
        same: Same,
        expected: Callable[[str], Expected | None],
        *,
        within_s: float,
        full_timeout_s: float,
        waiting: Waiting | None,
    ) -> Met:
        """Queue a job as it asks to be where its id is another's.

        Args:
          expected: What is known here of a handler.
          within_s, full_timeout_s, waiting: As of :meth:`queued`.
        """
        # Most clients ask for nothing of that, and are to be open soon.
        from trioq.client.conflict import resolve

        began = time.monotonic()
        moves = resolve(job, same, expected, time.monotonic)
        answer: Any = None
        while True:
            try:
                move = moves.send(answer)
            except StopIteration as over:
                met: Met = over.value
                return met
            took_s = time.monotonic() - began
            answer = self._made(move, job, within_s - took_s, full_timeout_s - took_s, waiting)

    def _made(
        self,
        move: Move,
        job: NewJob,
        within_s: float,
        full_timeout_s: float,
        waiting: Waiting | None,
    ) -> Any:
        """The answer to one move of these."""
        from trioq.client.conflict import Begin, Look, Pause, Stop

        match move:
            case Pause():
                return time.sleep(move.seconds)
            case Begin():
                return self.queued([job], within_s, full_timeout_s, waiting)
            case Taking():
                return self.queued([job], within_s, full_timeout_s, waiting, move)
            case Look():
                with nothing_sent():
                    return self._wishes().record(move.uid, within_s)
            case Replacing():
                try:
                    return self._wishes().replace(move, within_s)
                except StoreUnreachable as error:
                    raise_told(error, [move.job])
            case Stop():
                with written(move.replaced):
                    return self._wishes().stop(move.uid, move.wish, move.expected, within_s)
