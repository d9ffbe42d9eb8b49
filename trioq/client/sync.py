"""Enqueue jobs from ordinary code: :func:`connect_sync`. Nothing here loads trio.

Each request is one numbered write (:mod:`trioq.client.sync_outbox`), so that one whose answer
was lost can be sent again without queueing anything twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, TypeVar, overload
from uuid import UUID

import attrs

from trioq.client import arguments
from trioq.client.arguments import INHERIT, Inherit, many, name_of
from trioq.client.ends import JobEnd, job_end, name_job
from trioq.client.handle import SyncHandle
from trioq.client.jobs import CALLED_S, Drafts, Keep, Seconds, When
from trioq.client.made import (
    NOTHING,
    all_taken,
    found,
    handles,
    met_by,
    raise_told,
)
from trioq.client.many import drafted, following
from trioq.client.opening import configured, opening
from trioq.client.room import Room, Waiting
from trioq.client.same import IdDead, OnConflict, Same
from trioq.client.sync_enqueues import SyncEnqueues
from trioq.client.sync_outbox import SyncOutbox
from trioq.core import valid
from trioq.core.call import Call
from trioq.core.calls import End, MustWait, NewJob
from trioq.core.config import Config
from trioq.core.current import waits_here
from trioq.errors import StoreBusy, StoreClosed, StoreUnreachable, WaitTimeout
from trioq.observe.tracing import Tracing

if TYPE_CHECKING:
    from trioq.app import Handler
    from trioq.client.cancel import CancelOutcome
    from trioq.client.status import Status
    from trioq.client.sync_schedules import SyncSchedules
    from trioq.client.sync_waits import SyncWaits
    from trioq.client.sync_wishes import SyncWishes
    from trioq.store.connect import Connector
    from trioq.store.inspect import Explanation

R = TypeVar("R")


class SyncClient:
    """Enqueues from ordinary code. Blocks; several threads may share one, and forked children.

    What several threads enqueue at once goes together, in one request.
    """

    def __init__(self, connector: Connector, drafts: Drafts, tracing: Tracing) -> None:
        self._drafts = drafts
        self._tracing = tracing
        self._outbox = SyncOutbox(lambda: connector.store("client"))
        self._connector = connector
        self._enqueues = SyncEnqueues(
            self._outbox, lambda: self._waits, lambda: self._wishes, Room.of(drafts.config)
        )

    @property
    def sender(self) -> str:
        """What the server knows this client by."""
        return self._outbox.id

    @overload
    def enqueue(
        self,
        what: Call[R],
        payload: None = None,
        *,
        queue: str | None = None,
        delay: Seconds = 0.0,
        at: datetime | None = None,
        id: str | UUID | None = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        result: Keep | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        full_timeout: Seconds | None = None,
        on_conflict: OnConflict | None = None,
        debounce: Keep | None = None,
        max_wait: Keep | None = None,
        cooldown: Keep | None = None,
        id_retention: Keep | None = None,
        id_dead: IdDead | None = None,
    ) -> SyncHandle[R]: ...
    @overload
    def enqueue(
        self,
        what: str,
        payload: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        delay: Seconds = 0.0,
        at: datetime | None = None,
        id: str | UUID | None = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        result: Keep | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        full_timeout: Seconds | None = None,
        on_conflict: OnConflict | None = None,
        debounce: Keep | None = None,
        max_wait: Keep | None = None,
        cooldown: Keep | None = None,
        id_retention: Keep | None = None,
        id_dead: IdDead | None = None,
    ) -> SyncHandle: ...
    def enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        delay: Seconds = 0.0,
        at: datetime | None = None,
        id: str | UUID | None = None,
        max_attempts: int | None = None,
        timeout: Seconds | None = None,
        result: Keep | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        full_timeout: Seconds | None = None,
        on_conflict: OnConflict | None = None,
        debounce: Keep | None = None,
        max_wait: Keep | None = None,
        cooldown: Keep | None = None,
        id_retention: Keep | None = None,
        id_dead: IdDead | None = None,
        **unknown: Never,
    ) -> SyncHandle:
        """Queue one job; see :meth:`~trioq.client.client.Client.enqueue`."""
        return self._enqueue(
            what, payload, queue=queue, delay=delay, at=at, id=id,
            max_attempts=max_attempts, timeout=timeout, result=result,
            deadline=deadline, expires=expires, fair_key=fair_key, weight=weight,
            full_timeout=full_timeout, on_conflict=on_conflict, debounce=debounce,
            max_wait=max_wait, cooldown=cooldown, id_retention=id_retention, id_dead=id_dead,
            **unknown,
        )  # fmt: skip

    def _enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None,
        *,
        within_s: float = math.inf,
        result: Keep | None = None,
        full_timeout: Seconds | None = None,
        on_conflict: OnConflict | None = None,
        debounce: Keep | None = None,
        max_wait: Keep | None = None,
        cooldown: Keep | None = None,
        id_retention: Keep | None = None,
        id_dead: IdDead | None = None,
        **options: Any,
    ) -> SyncHandle:
        patience_s = arguments.patience(full_timeout, "full_timeout")
        same = Same.said(
            on_conflict=on_conflict, debounce=debounce, max_wait=max_wait,
            cooldown=cooldown, id_retention=id_retention, id_dead=id_dead,
        )  # fmt: skip
        with self._tracing.sending(name_of(what)) as sending:
            job = self._drafts.draft(
                what, payload, result=result, same=same, trace=sending.headers, **options
            )
            made = self.send_one(job, same, within_s, patience_s)
            sending.sent([made.uid], {job.queue})
        return made if result is None else attrs.evolve(made, wants_result=True)

    def enqueue_many(
        self,
        calls: Iterable[Call[R]],
        *,
        queue: str | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        full_timeout: Seconds | None = None,
    ) -> list[SyncHandle[R]]:
        """Queue many jobs, in batches; see :meth:`~trioq.client.client.Client.enqueue_many`."""
        options = self._drafts.options(deadline=deadline, expires=expires)
        asked = arguments.fair(fair_key, weight)
        patience_s = arguments.patience(full_timeout, "full_timeout")
        ends = time.monotonic() + patience_s
        made: list[SyncHandle[R]] = []
        queues: set[str] = set()
        with self._tracing.sending(None) as sending:
            batches = drafted(
                many(calls), self._drafts, queue, sending.headers, options, asked=asked
            )
            batch, before, enqueued = following(batches), list[NewJob](), NOTHING
            while isinstance(batch, list):
                part = self._outbox.start(batch, self._enqueues.who(batch, patience_s))
                try:
                    # While the server is busy.
                    made += handles(SyncHandle, self, before, enqueued)
                    queues |= {job.queue for job in batch}
                    before, after = batch, following(batches)
                except BaseException:
                    self._outbox.leave(part)
                    raise
                try:
                    enqueued = all_taken(batch, self._outbox.finish(part))
                except MustWait as full:
                    left_s = ends - time.monotonic()
                    enqueued = self._enqueues.when_there_is_room(batch, full, left_s)
                except StoreUnreachable as error:
                    raise_told(error, batch)
                batch = after
            made += handles(SyncHandle, self, before, enqueued)
            if batch is not None:
                raise batch
            sending.sent([handle.uid for handle in made], queues)
        return made

    @overload
    def call(
        self, what: Call[R], payload: None = None, *, timeout: Seconds, **options: Any
    ) -> R: ...
    @overload
    def call(
        self,
        what: str,
        payload: Mapping[str, Any] | None = None,
        *,
        timeout: Seconds,
        **options: Any,
    ) -> Any: ...
    def call(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        timeout: Seconds,
        **options: Any,
    ) -> Any:
        """Queue one job and wait for what its handler returns; see
        :meth:`~trioq.client.client.Client.call`."""
        wait_s = arguments.seconds("timeout", timeout, valid.DELAY_S)
        ends = time.monotonic() + wait_s
        options.setdefault("result", wait_s + CALLED_S)
        handle = self._enqueue(what, payload, within_s=wait_s, **options)
        return handle.result(max(0.0, ends - time.monotonic()))

    def wait(self, handle: SyncHandle[R], timeout: Seconds | None = None) -> JobEnd[R]:
        """Wait for the end of a job; see :meth:`~trioq.client.handle.Handle.wait`."""
        try:
            with waits_here([handle.queue]):
                end = self._waits.end_of(handle.uid, handle.id, arguments.patience(timeout))
        except WaitTimeout as error:
            name_job(error, handle.uid, handle.name)
            raise
        return self.told(handle, end)

    def ends_of(
        self, handles: Sequence[SyncHandle[Any]], timeout: Seconds | None = None
    ) -> Iterator[tuple[int, End]]:
        """The ends of jobs as they come; see :func:`~trioq.client.as_done.as_done`."""
        jobs = [(handle.uid, handle.id) for handle in handles]
        return self._waits.ends_of(jobs, arguments.patience(timeout))

    @overload
    def handle(self, id_or_uid: str | UUID) -> SyncHandle[Any]: ...
    @overload
    def handle(self, id_or_uid: str | UUID, *, of: Handler[..., ..., Any, R]) -> SyncHandle[R]: ...
    def handle(self, id_or_uid: str | UUID, *, of: Any = None) -> SyncHandle[Any]:
        """The handle of a job that was enqueued elsewhere, or long ago; see
        :meth:`~trioq.client.client.Client.handle`."""
        asked = arguments.id_or_uid(id_or_uid)
        expected = None if of is None else arguments.handler(of)
        view = self._wishes.find(asked)
        return found(SyncHandle, self, asked, view, expected, drafts=self._drafts)

    def cancel(
        self,
        job: str | UUID | SyncHandle[Any],
        reason: str = "",
        *,
        wait: Seconds | None = 5.0,
    ) -> CancelOutcome:
        """Have a job end, wherever it is; see :meth:`~trioq.client.client.Client.cancel`."""
        from trioq.client.cancel import CancelOutcome, Wish

        wish = Wish.checked(reason, wait)
        if not isinstance(job, SyncHandle):
            view = self._wishes.find(arguments.id_or_uid(job))
            if view is None:
                return CancelOutcome.unknown
            job = SyncHandle(view.uid, view.callers_id)
        return self._wishes.cancel(job.uid, job.id, wish, self._drafts.expected.get)

    def status(self, handle: SyncHandle[Any]) -> Status:
        """Where a job is now; see :meth:`~trioq.client.client.Client.status`."""
        from trioq.client.status import status

        return status(handle.uid, self._wishes.find(handle.uid))

    def explain(self, job: str | UUID | SyncHandle[Any]) -> Explanation:
        """Why a job doesn't run now; see :meth:`~trioq.client.client.Client.explain`."""
        id = job.uid if isinstance(job, SyncHandle) else arguments.id_or_uid(job)
        return self._wishes.explain(id)

    def follow(self, handle: SyncHandle[Any]) -> Iterator[Status]:
        """A status whenever it has changed, until the job has ended; see
        :meth:`~trioq.client.client.Client.follow`."""
        from trioq.client.status import LOOK_S, status

        last: Status | None = None
        while last is None or not last.has_ended:
            try:
                now: Status | None = status(handle.uid, self._wishes.look(handle.uid, handle.id))
            except StoreClosed:
                raise
            except (StoreUnreachable, StoreBusy):
                now = last
            if now is not None and now != last:
                last = now
                yield now
            if last is None or not last.has_ended:
                time.sleep(LOOK_S)

    def told(self, handle: SyncHandle[R], end: End) -> JobEnd[R]:
        """All that is to be known of an end."""
        lines = self._waits.history(handle.uid) if end.state == "dead" else None
        told = job_end(
            handle.uid, end, lines,
            expected=self._drafts.expected.get(handle.name),
            wants_result=self._drafts.wants_result(handle),
        )  # fmt: skip
        name_job(told.error, handle.uid, handle.name)
        return told

    @cached_property
    def _waits(self) -> SyncWaits:
        # Most clients wait for nothing, and are to be open soon.
        from trioq.client.sync_waits import SyncWaits

        connector = self._connector
        return SyncWaits(lambda: connector.store("wait"), connector.listening)

    @cached_property
    def _wishes(self) -> SyncWishes:
        from trioq.client.sync_wishes import SyncWishes

        return SyncWishes(lambda: self._connector.store("wish"), self._waits)

    @cached_property
    def schedules(self) -> SyncSchedules:
        """Those that this program puts, and what there is of all."""
        from trioq.client.sync_schedules import SyncSchedules
        from trioq.client.sync_sender import SyncSender

        sender = SyncSender(lambda: self._connector.store("schedules"))
        return SyncSchedules(self._drafts, sender, self.enqueue)

    def send(
        self,
        jobs: Sequence[NewJob],
        within_s: float = math.inf,
        full_timeout_s: float = math.inf,
        waiting: Waiting | None = None,
    ) -> list[SyncHandle]:
        """Queue one batch of jobs that are made already.

        Args:
          within_s: Seconds for all of it.
          full_timeout_s: How long to wait for room, where one does.
          waiting: Is entered while that is so.
        """
        enqueued = self._enqueues.queued(jobs, within_s, full_timeout_s, waiting)
        return handles(SyncHandle, self, jobs, enqueued)

    def send_one(
        self,
        job: NewJob,
        same: Same,
        within_s: float = math.inf,
        full_timeout_s: float = math.inf,
        waiting: Waiting | None = None,
    ) -> SyncHandle:
        """Queue a job that is made already as it asks to be where its id is another's.

        Args:
          within_s, full_timeout_s, waiting: As of :meth:`send`.
        """
        if same.is_plain:
            return self.send([job], within_s, full_timeout_s, waiting)[0]
        expected = self._drafts.expected.get
        met = self._enqueues.met(
            job, same, expected,
            within_s=within_s, full_timeout_s=full_timeout_s, waiting=waiting,
        )  # fmt: skip
        return met_by(SyncHandle, self, job, met, same.mode)


@opening
def connect_sync(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
) -> Iterator[SyncClient]:
    """Open a client for ordinary code; see :func:`~trioq.client.client.connect`."""
    # redis-py is loaded by whoever connects: an import of this module is to cost little.
    from trioq.store.connect import open_store

    made, knows_queues = configured(config, url, namespace)
    tracing = Tracing.open(made)
    connector = open_store(made)
    try:
        yield SyncClient(connector, Drafts(made, knows_queues), tracing)
    finally:
        connector.close()
