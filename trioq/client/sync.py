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
from typing import TYPE_CHECKING, Any, Never, Self, TypeVar, overload
from uuid import UUID

from trioq.client.elsewhere import way
from trioq.client.ends import JobEnd, job_end, name_job
from trioq.client.handle import SyncHandle
from trioq.client.jobs import CALLED_S, Drafts
from trioq.client.made import (
    NOTHING,
    all_taken,
    found,
    handles,
    met_by,
    raise_told,
)
from trioq.client.many import drafted, following
from trioq.client.opening import configured, patience_of
from trioq.client.room import Room, Waiting
from trioq.client.sync_enqueues import SyncEnqueues
from trioq.client.sync_outbox import SyncOutbox
from trioq.client.what import asked_of, handler_of, many, name_of
from trioq.core import arguments, valid
from trioq.core.arguments import INHERIT, Inherit, Keep, Seconds, When
from trioq.core.call import Call
from trioq.core.calls import End, MustWait, NewJob
from trioq.core.config import Config
from trioq.core.current import waits_here
from trioq.core.same import IdDead, OnConflict, Same
from trioq.errors import StoreBusy, StoreClosed, StoreUnreachable, WaitTimeout
from trioq.observe.tracing import Tracing
from trioq.store.connector import open_later
from trioq.store.protocol import ClientStore, Hearing, Way

if TYPE_CHECKING:
    from trioq.client.cancel import CancelOutcome
    from trioq.client.status import Status
    from trioq.client.sync_schedules import SyncSchedules
    from trioq.client.sync_sender import SyncSender
    from trioq.client.sync_waits import SyncWaits
    from trioq.client.sync_wishes import SyncWishes
    from trioq.handler import Handler
    from trioq.store.inspect import Explanation

R = TypeVar("R")


class SyncClient:
    """Enqueues from ordinary code. Blocks; several threads may share one, and forked children.

    What several threads enqueue at once goes together, in one request.
    """

    def __init__(
        self,
        connector: Way,
        drafts: Drafts,
        tracing: Tracing,
        *,
        patience_s: float | None = None,
    ) -> None:
        self._drafts = drafts
        self._tracing = tracing
        self._connector = connector
        self._patience_s = patience_s
        self._call_s = math.inf if patience_s is None else patience_s
        self._outbox = SyncOutbox(lambda: self._store("client"), patience_s)
        self._enqueues = SyncEnqueues(
            self._outbox, lambda: self._waits, lambda: self._wishes, Room.of(drafts.config)
        )

    def close(self) -> None:
        """Close its connections, for good; what waits for an answer is told so."""
        self._connector.close()

    def __enter__(self) -> Self:
        """
        Raises:
          StoreRefused: The embedded server can't be started, or a TLS file can't be used.
        """
        way(self._connector).open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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
        delay: Seconds | None = None,
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
        delay: Seconds | None = None,
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
        delay: Seconds | None = None,
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
        given = {
            "queue": queue, "delay": delay, "at": at, "id": id,
            "max_attempts": max_attempts, "timeout": timeout, "result": result,
            "deadline": deadline, "expires": expires, "fair_key": fair_key, "weight": weight,
            "full_timeout": full_timeout, "on_conflict": on_conflict, "debounce": debounce,
            "max_wait": max_wait, "cooldown": cooldown, "id_retention": id_retention,
            "id_dead": id_dead, **unknown,
        }  # fmt: skip
        return self._enqueue(what, payload, **asked_of(what, given))

    def _enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None,
        *,
        within_s: float = math.inf,
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
            job = self._drafts.draft(what, payload, same=same, trace=sending.headers, **options)
            made = self.send_one(job, same, within_s, patience_s)
            sending.sent([made.uid], {job.queue})
        return made

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
        patience_s = arguments.patience(full_timeout, "full_timeout")
        ends = time.monotonic() + patience_s
        made: list[SyncHandle[R]] = []
        queues: set[str] = set()
        with self._tracing.sending(None) as sending:
            batches = drafted(
                many(calls), self._drafts, sending.headers, queue=queue, deadline=deadline,
                expires=expires, fair_key=fair_key, weight=weight,
            )  # fmt: skip
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
        options = asked_of(what, options)
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
        expected = None if of is None else handler_of(of)
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
        """All that is to be known of an ``end``: that of the job of this ``handle``."""
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

        def ear(name: str) -> Hearing:
            return way(self._connector).listening(name, call_s=self._call_s)

        return SyncWaits(lambda: self._store("wait"), ear)

    @cached_property
    def _wishes(self) -> SyncWishes:
        from trioq.client.sync_wishes import SyncWishes

        return SyncWishes(self._sender("wish"), self._waits)

    @cached_property
    def schedules(self) -> SyncSchedules:
        """Those that this program puts, and what there is of all."""
        from trioq.client.sync_schedules import SyncSchedules

        return SyncSchedules(self._drafts, self._sender("schedules"), self.enqueue)

    def _sender(self, purpose: str) -> SyncSender:
        from trioq.client.sync_sender import SyncSender

        return SyncSender(lambda: self._store(purpose), self._patience_s)

    def _store(self, purpose: str) -> ClientStore:
        return way(self._connector).store(purpose, call_s=self._call_s)

    def send(
        self,
        jobs: Sequence[NewJob],
        within_s: float = math.inf,
        full_timeout_s: float = math.inf,
        waiting: Waiting | None = None,
    ) -> list[SyncHandle]:
        """Queue one batch of jobs that are made already.

        Args:
          jobs: As :meth:`enqueue_many` makes them.
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


def connect_sync(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
    patience: Seconds | None = None,
) -> SyncClient:
    """A client for ordinary code, by a configuration (or its file), or by a URL and a namespace.

    Nothing is connected, and no embedded server is started, before it is needed, so a program may
    make one where it is loaded. Close it at its end, or use it in a ``with`` statement, which opens
    what it leads to at once. Threads and forked children may share it.

    Args:
      config, url, namespace: A configuration, or its file; or a URL and a namespace instead.
      patience: Seconds after which a call has ended where Redis doesn't answer, or a timedelta:
          it connects, waits, and tries again for no longer, nor for its turn behind others that
          share the client. Default: ten seconds to try, and for each try what the configuration
          says. Who waits for a job's end, or for room in a queue, has a timeout for that.

    Raises:
      ConfigError: The configuration is wrong.
    """
    made, knows_queues = configured(config, url, namespace)
    patience_s = patience_of(patience)
    return SyncClient(
        open_later(made), Drafts(made, knows_queues), Tracing.open(made), patience_s=patience_s
    )
