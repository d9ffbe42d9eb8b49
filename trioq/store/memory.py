"""The store in this process: the specification, behind the store's protocol.

Engine tests under a virtual clock, simulations and users' tests run on it; nothing of it
outlives the process. Several threads may share one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trioq.core import model
from trioq.core.calls import (
    NOT_EDITED,
    PLAINLY,
    Beat,
    BootId,
    BreakerNews,
    BreakerSeen,
    CancelWord,
    End,
    Enqueued,
    Enqueuer,
    Gone,
    NewJob,
    Note,
    Pausing,
    Rate,
    Reaped,
    Replaced,
    Replacing,
    Revived,
    Step,
    StepReply,
    Taking,
    Unwanted,
)
from trioq.core.formats.pause import of_schedule
from trioq.core.job import Record, Uid
from trioq.core.limits import LimitSettings
from trioq.core.schedules.listed import Heard, SaidList
from trioq.core.schedules.tick import Clock, Known, Tick, Ticked
from trioq.core.seen import Sighting
from trioq.store.protocol import DROPPED, LOST, StoreOptions

if TYPE_CHECKING:
    from trioq.store.inspect import Explanation, JobView, ScheduleView


class MemoryStore:
    """Both protocols of :mod:`trioq.store.protocol`, over one :class:`~trioq.core.model.Namespace`.

    Args:
      clock: The server's clock, in seconds since the epoch; under a virtual clock, trio's.
          Where ``options`` has one, that is asked instead.
    """

    def __init__(
        self, options: StoreOptions | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        options = options or StoreOptions()
        self.space = model.Namespace(
            keep_done=options.keep_done,
            id_retention_ms=options.id_retention_ms,
            max_lengths=options.max_lengths,
            when_full=options.when_full,
            claim_bytes=options.claim_bytes,
            many_queues=options.many_queues,
        )
        self._clock = clock
        self._clock_ms = options.clock_ms
        self._changed = threading.Condition()
        self._listeners: list[Callable[[str], None]] = []
        self._waiters: list[Callable[[str, Uid, End], None]] = []

    def on_ring(self, listener: Callable[[str], None]) -> None:
        """Tell this listener whose bell begins to ring, a queue's or a boot's (``@`` and its
        name), before the call that rang it returns."""
        self._listeners.append(listener)

    def on_end(self, listener: Callable[[str, Uid, End], None]) -> None:
        """Tell this listener what a client is told of the end of a job that it waits for."""
        self._waiters.append(listener)

    # -- the engine's calls ------------------------------------------------------------

    def register(self, boot: BootId, info: bytes) -> bool:
        with self._call() as space:
            return model.register(space, boot, info)

    def beat(self, boot: BootId) -> Beat | Gone:
        with self._call() as space:
            return model.beat(space, boot, now_ms=self._now_ms())

    def step(self, step: Step) -> StepReply | Gone:
        with self._call() as space:
            return model.step(space, step, now_ms=self._now_ms())

    def observe(self) -> Mapping[BootId, int]:
        with self._call() as space:
            return {name: boot.signs for name, boot in space.boots.items()}

    def engines(self) -> Mapping[BootId, bytes]:
        with self._call() as space:
            return {name: boot.info for name, boot in space.boots.items()}

    def reap(self, boot: BootId, seen: int, max_reaps: int) -> Reaped:
        with self._call() as space:
            return model.reap(space, boot, seen, max_reaps, line=LOST, now_ms=self._now_ms())

    def sign_off(self, boot: BootId) -> None:
        with self._call() as space:
            model.sign_off(space, boot, now_ms=self._now_ms())

    def payload(self, uid: Uid) -> bytes | None:
        (payload,) = self._bigs([uid])
        return payload

    def payloads(self, uids: Sequence[Uid], bytes_max: int) -> Sequence[bytes | None]:
        found = self._bigs(uids)
        return found if sum(len(each or b"") for each in found) <= bytes_max else [None] * len(uids)

    def _bigs(self, uids: Sequence[Uid]) -> list[bytes | None]:
        with self._call() as space:
            lives = map(space.jobs.get, uids)
            return [life.big or None if life else None for life in lives]

    def history(self, uid: Uid) -> bytes | None:
        with self._call() as space:
            life = space.jobs.get(uid)
            return life.history or None if life else None

    def note(self, boot: BootId, notes: Sequence[Note]) -> frozenset[Uid]:
        with self._call() as space:
            return model.note(space, boot, notes)

    def notes_of(self, uids: Sequence[Uid]) -> list[bytes | None]:
        with self._call() as space:
            lives = map(space.jobs.get, uids)
            return [life.note or None if life else None for life in lives]

    def wait(self, queues: Sequence[str], timeout_s: float, boot: BootId | None = None) -> bool:
        bells = [] if boot is None else [model.bell_of(boot)]
        bells += queues

        def rung() -> str | None:
            return next((bell for bell in bells if bell in self.space.bells), None)

        with self._changed:
            queue = self._changed.wait_for(rung, timeout_s)
            if queue is None:
                return False
            self.space.bells.remove(queue)
            return True

    def step_at_bell(self, step: Step, timeout_s: float) -> StepReply | Gone:
        self.wait(step.queues if step.want else (), timeout_s, step.boot)
        return self.step(step)

    def unblock(self, client: int) -> bool:
        return False  # it has no connections

    def expire_parked(self, queue: str, name: str, after_ms: int, line: bytes) -> int:
        with self._call() as space:
            return model.expire_parked(
                space, queue, name, after_ms, line=line, now_ms=self._now_ms()
            )

    def breakers(self, boot: BootId, news: Sequence[BreakerNews]) -> list[BreakerSeen]:
        with self._call() as space:
            return model.breakers(space, boot, news, now_ms=self._now_ms())

    def declare_limits(self, boot: BootId, limits: Mapping[str, LimitSettings]) -> bool:
        with self._call() as space:
            return model.declare_limits(space, boot, limits, now_ms=self._now_ms())

    def set_limits(self, settings: Mapping[str, LimitSettings], version: int) -> frozenset[str]:
        with self._call() as space:
            return model.set_limits(space, settings, version)

    def forget_queues(self, queues: Sequence[str]) -> None:
        with self._call() as space:
            model.forget_queues(space, queues)

    # -- the clients' calls ------------------------------------------------------------

    def enqueue(
        self,
        sender: str,
        number: int,
        jobs: Sequence[NewJob],
        *,
        rate: Rate | None = None,
        who: Enqueuer | None = None,
        taking: Taking | None = None,
    ) -> Enqueued:
        with self._call() as space:
            return model.enqueue(
                space, sender, number, jobs,
                now_us=self._now_us(), rate=rate, who=who, taking=taking, dropped=DROPPED,
            )  # fmt: skip

    def start_enqueue(
        self, sender: str, number: int, jobs: Sequence[NewJob], who: Enqueuer | None = None
    ) -> Callable[[], Enqueued]:
        return lambda: self.enqueue(sender, number, jobs, who=who)

    def replace(self, sender: str, number: int, replacing: Replacing) -> Replaced:
        with self._call() as space:
            return model.replace(space, sender, number, replacing, now_ms=self._now_ms())

    def tick(self, sender: str, number: int, tick: Tick, job: NewJob | None) -> Ticked:
        with self._call() as space:
            now_us = self._now_us()
            return model.tick(space, sender, number, tick, job, now_us=now_us, dropped=DROPPED)

    def next_ticks(self, limit: int) -> Clock:
        with self._call() as space:
            ticks = sorted(space.schedules.ticks.items(), key=lambda each: (each[1], each[0]))
            return Clock(self._now_ms(), tuple(ticks[:limit]))

    def schedules(self, names: Sequence[str]) -> list[Known]:
        with self._call() as space:
            its = space.schedules
            return [
                Known(
                    its.rows.get(name, b""),
                    pause.stored if (pause := space.paused.get(of_schedule(name))) else b"",
                    its.runs.get(name, ()),
                    its.ticks.at(name) if name in its.ticks else None,
                )
                for name in names
            ]

    def put_schedule(
        self, sender: str, number: int, name: str, row: bytes, next_ms: int | None
    ) -> bool | None:
        with self._call() as space:
            return model.put_schedule(
                space, sender, number, name, row, next_ms=next_ms, now_ms=self._now_ms()
            )

    def list_schedules(self, boot: BootId, said: SaidList) -> Heard:
        with self._call() as space:
            return model.list_schedules(space, boot, said, now_ms=self._now_ms())

    def step_aside(self, queue: str, uids: Sequence[Uid]) -> None:
        with self._call() as space:
            model.step_aside(space, queue, uids, now_ms=self._now_ms())

    def cancel(self, sender: str, number: int, jobs: Sequence[Unwanted]) -> list[CancelWord]:
        with self._call() as space:
            return model.cancel(space, sender, number, jobs, now_ms=self._now_ms())

    def wait_for(self, client: str, jobs: Sequence[tuple[Uid, str | None]]) -> list[End]:
        with self._call() as space:
            return model.wait_for(space, client, jobs, now_ms=self._now_ms())

    def revive(
        self,
        sender: str,
        number: int,
        jobs: Sequence[tuple[Uid, str]],
        edited: Mapping[Uid, NewJob] = NOT_EDITED,
    ) -> Revived:
        with self._call() as space:
            return model.revive(space, sender, number, jobs, edited)

    def purge_dead(self, sender: str, number: int, uids: Sequence[Uid]) -> int:
        with self._call() as space:
            return model.purge_dead(space, sender, number, uids, now_ms=self._now_ms())

    def purge(self, sender: str, number: int, queue: str, names: Sequence[str], limit: int) -> int:
        with self._call() as space:
            return model.purge(
                space, sender, number, queue, names=names, limit=limit, now_ms=self._now_ms()
            )

    def pause(
        self, sender: str, number: int, what: str, paused: bool, how: Pausing = PLAINLY
    ) -> bool:
        with self._call() as space:
            return model.pause(space, sender, number, what, paused, how=how, now_ms=self._now_ms())

    def hasten(self, sender: str, number: int, queue: str, uid: Uid) -> bool:
        with self._call() as space:
            return model.hasten(space, sender, number, queue, uid, now_ms=self._now_ms())

    def reset_breaker(self, sender: str, number: int, name: str) -> bool:
        with self._call() as space:
            return model.reset_breaker(space, sender, number, name, now_ms=self._now_ms())

    def seen(self, paths: Sequence[str]) -> list[str | None]:
        with self._call() as space:
            return model.known_files(space, paths)

    def seen_from(self, cursor: str, count: int) -> tuple[str, dict[str, str]]:
        with self._call() as space:
            return model.seen_from(space, cursor, count)

    def note_files(self, sightings: Sequence[Sighting], forget_after_ms: int) -> int:
        with self._call() as space:
            return model.note_files(space, sightings, forget_after_ms, now_ms=self._now_ms())

    # -- the clients' questions --------------------------------------------------------

    # What answers them is loaded when the first is asked, as it is of the other store.

    def find(self, id_or_uid: str) -> JobView | None:
        from trioq.store.memory_questions import find

        with self._call() as space:
            return find(space, id_or_uid, self._now_ms())

    def look(self, uid: Uid, id: str | None) -> JobView | None:
        from trioq.store.memory_questions import look

        with self._call() as space:
            return look(space, uid, id, self._now_ms())

    def record(self, uid: Uid) -> Record | None:
        from trioq.store.memory_questions import record

        with self._call() as space:
            return record(space, uid)

    def explain(self, id_or_uid: str) -> Explanation:
        from trioq.store.memory_explained import explain

        with self._call() as space:
            return explain(space, id_or_uid, self._now_ms())

    def jobs(self) -> list[JobView]:
        from trioq.store.memory_questions import all_jobs

        with self._call() as space:
            return all_jobs(space)

    def schedule_views(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        from trioq.store.memory_questions import schedule_views

        with self._call() as space:
            return schedule_views(space, names, self._now_ms())

    def now_ms(self) -> int:
        return self._now_ms()

    def end_by(self, until: float) -> None:
        """Nothing takes long here."""

    # -- below -------------------------------------------------------------------------

    def _now_us(self) -> int:
        if self._clock_ms is not None:
            return self._clock_ms() * 1000
        return round(self._clock() * 1e6)

    def _now_ms(self) -> int:
        return self._now_us() // 1000

    @contextmanager
    def _call(self) -> Iterator[model.Namespace]:
        """One call at a time; whoever waits for what it changed is told."""
        with self._changed:
            silent = set(self.space.bells)
            try:
                yield self.space
            finally:
                self._changed.notify_all()
            rung = self.space.bells - silent
            told, self.space.told = self.space.told, []
        for message in told:
            for waiter in self._waiters:
                waiter(message.client, message.uid, message.end)
        for bell in rung:
            for listener in self._listeners:
                listener(bell)
