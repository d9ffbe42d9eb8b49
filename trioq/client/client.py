"""Enqueue jobs from a loop, trio's or asyncio's: one client for both.

What differs between them is its :mod:`~trioq.client.runtime`. Nothing here loads either.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Never, TypeVar, overload
from uuid import UUID

from trioq.client.cancel import WAIT_S, CancelOutcome, Wish
from trioq.client.ends import JobEnd, job_end, name_job
from trioq.client.enqueues import Enqueues
from trioq.client.handle import Handle
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
from trioq.client.room import Room
from trioq.client.runtime import Ends, Runtime
from trioq.client.status import LOOK_S, Status, status
from trioq.client.what import asked_of, handler_of, many, name_of
from trioq.client.wishes import Wishes
from trioq.core import arguments, valid
from trioq.core.arguments import INHERIT, Inherit, Keep, Seconds, When
from trioq.core.call import Call
from trioq.core.calls import End, MustWait, NewJob
from trioq.core.current import waits_here
from trioq.core.same import IdDead, OnConflict, Same
from trioq.errors import StoreBusy, StoreClosed, StoreUnreachable, WaitTimeout
from trioq.observe.tracing import Tracing

if TYPE_CHECKING:
    from trioq.client.schedules import Schedules
    from trioq.handler import Handler
    from trioq.store.inspect import Explanation

R = TypeVar("R")


class Client:
    """Enqueues from trio, or from asyncio. Several tasks of one loop may share one: what they
    enqueue at once goes together."""

    def __init__(self, runtime: Runtime, drafts: Drafts, tracing: Tracing) -> None:
        self._runtime = runtime
        self._drafts = drafts
        self._tracing = tracing
        self._outbox, self._waits = runtime.outbox, runtime.waits
        self._wishes = Wishes(runtime.sender("wish"), runtime.waits)
        self._enqueues = Enqueues(runtime, self._wishes, Room.of(drafts.config))

    @cached_property
    def schedules(self) -> Schedules:
        """Those that this program puts, and what there is of all."""
        from trioq.client.schedules import Schedules

        return Schedules(self._drafts, self._runtime, self.enqueue)

    @overload
    async def enqueue(
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
    ) -> Handle[R]: ...
    @overload
    async def enqueue(
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
    ) -> Handle: ...
    async def enqueue(
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
    ) -> Handle:
        """Queue one job.

        Args:
          what: ``handler.call(…)``, or a handler's name with its ``payload``.
          queue: Default: the handler's queue, else ``default_queue``. For a handler's name, the
              configuration's ``app`` is imported once to know it; where that can't be, there
              is a warning, and the job goes to ``default_queue``.
          delay: Seconds until it is ready, or a timedelta. Like all that follows it goes before
              what ``what.with_options(…)`` says; 0 is now, None says nothing.
          at: Instead, when it is ready, by the server's clock: an aware datetime. One that has
              passed is now.
          id: The caller's own id, a text or a UUID. While a job with this id lives, and for
              ``id_retention`` after it ended, another enqueue is answered with that job and
              changes nothing, unless ``on_conflict`` says otherwise. Default: what the handler's
              ``id_from`` makes of the payload; else there is none.
          max_attempts, timeout: For this job, above what its handler says; a timeout in
              seconds, or as a timedelta.
          result: For how long what its handler returns is kept after its end, above what the
              handler says: seconds, a timedelta or a text such as ``"1h"``.
          deadline: When it is to be done: an aware datetime; or from now on, seconds, a timedelta
              or a text such as ``"1h"``. If its handler hasn't begun by then, or is to be tried
              again later, or hasn't returned, the job ends as cancelled, with the reason
              ``deadline``. Engines go by their own clocks. What a handler enqueues has the
              handler's deadline where this says nothing; None: it has none.
          expires: Likewise, but only for its starts: it isn't begun after that, nor tried
              again, and is cancelled with the reason ``expired``; what runs goes on.
          fair_key: Whose turn it is: the keys of a queue take turns, whoever has how many jobs
              there. A text or a whole number, of at most 256 bytes as JSON; ``""`` is a key like
              any other, and 7 another one than ``"7"``. Default: the field that the queue's
              ``fair`` names; a job that has neither shares one more key with all such jobs.
          weight: How many turns its key has where another has one, from 0.01 to 100, as far as
              this job counts. Default: what the queue's ``fair_weights`` say, else 1. Of a job
              whose payload gives it no key it says nothing.
          full_timeout: Where the queue is full, and its ``when_full`` is ``wait``: seconds to wait
              for room, or a timedelta; 0: don't; None: as long as it takes. Who waits longer
              goes first, over all clients.
          on_conflict: What happens where another job has the id. ``existing``, the default:
              nothing changes. ``raise``: IdTaken. ``replace``: one that waits gets this payload,
              these options and this time, has all its attempts again, and stays in its place;
              where it runs, nothing changes.
              ``again``: likewise, but one that runs is run once more after its end, with the
              newest payload, however often that was asked for. ``supersede``: likewise, and the
              one that runs is asked to end, as by :meth:`cancel`, also where its next run waits
              already. Where it has ended and
              the id is remembered, nothing changes.
          debounce: The job is ready so long after the last of several enqueues with its id, and
              has that one's payload: seconds, a timedelta or a text such as ``"2s"``. One that
              comes while it runs is run afterwards, as by ``again``.
          max_wait: With ``debounce``: but no later than so long after the first of them.
          cooldown: The id isn't free sooner than so long after the last enqueue with it.
          id_retention: For how long the id is remembered after its job's end; 0: not at all.
              Default: the configuration's, but 0 where ``replace``, ``again``, ``supersede``,
              ``debounce`` or ``cooldown`` is asked for.
          id_dead: Whether a dead job keeps its id from this one (``block``), or loses it to this
              one (``free``). Default: ``free`` where ``replace``, ``again``, ``supersede`` or
              ``debounce`` is asked for, else ``block``.

        Returns:
          The handle of the job; ``happened`` says what came of the enqueue.

        Raises:
          PayloadRejected, QueueUnknown, QueueFull: It can't be queued; nothing was written.
          IdTaken, IdMismatch: Another job has the id, and that is an error, or it can't become this
              one, as it has another handler or queue or waits with another fair key.
          TypeError: An argument is of the wrong kind, or contradicts another; the message names it.
          EnqueueUnknown: No answer in 10 s: it may or may not be queued, or have replaced a job.
          RecordUnreadable: What is stored of the job with the id tells neither queue nor name.
          StoreUnreachable, StoreBusy, StoreRefused: Nothing was written. ``StoreClosed``, one of
              the first kind, comes at once where the client has been closed.

        Cancellation:
          At once; while it waits for room, within 0.1 s. The job may or may not be queued;
          enqueue again with the same ``id``.
        """
        given = {
            "queue": queue, "delay": delay, "at": at, "id": id,
            "max_attempts": max_attempts, "timeout": timeout, "result": result,
            "deadline": deadline, "expires": expires, "fair_key": fair_key, "weight": weight,
            "full_timeout": full_timeout, "on_conflict": on_conflict, "debounce": debounce,
            "max_wait": max_wait, "cooldown": cooldown, "id_retention": id_retention,
            "id_dead": id_dead, **unknown,
        }  # fmt: skip
        return await self._enqueue(what, payload, **asked_of(what, given))

    async def _enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None,
        *,
        within_s: float = math.inf,
        queue: str | None = None,
        full_timeout: Seconds | None = None,
        on_conflict: OnConflict | None = None,
        debounce: Keep | None = None,
        max_wait: Keep | None = None,
        cooldown: Keep | None = None,
        id_retention: Keep | None = None,
        id_dead: IdDead | None = None,
        **options: Any,
    ) -> Handle:
        patience_s = min(arguments.patience(full_timeout, "full_timeout"), within_s)
        same = Same.said(
            on_conflict=on_conflict, debounce=debounce, max_wait=max_wait,
            cooldown=cooldown, id_retention=id_retention, id_dead=id_dead,
        )  # fmt: skip
        if isinstance(what, str) and self._drafts.must_import(what, queue):
            await self._runtime.in_thread(self._drafts.handler_queues.of, what)
        with self._tracing.sending(name_of(what)) as sending:
            job = self._drafts.draft(
                what, payload, queue=queue, same=same,
                trace=sending.headers, **options,
            )  # fmt: skip
            if same.is_plain:
                enqueued = await self._enqueues.queued([job], within_s, patience_s)
                made: Handle = handles(Handle, self, [job], enqueued)[0]
            else:
                known = self._drafts.expected.get
                met = await self._enqueues.met(job, same, known, within_s, patience_s)
                made = met_by(Handle, self, job, met, same.mode)
            sending.sent([made.uid], {job.queue})
        return made

    async def enqueue_many(
        self,
        calls: Iterable[Call[R]],
        *,
        queue: str | None = None,
        deadline: When | Inherit | None = INHERIT,
        expires: When | None = None,
        fair_key: str | int | None = None,
        weight: float | None = None,
        full_timeout: Seconds | None = None,
    ) -> list[Handle[R]]:
        """Queue many jobs, in batches of 500 or 1 MiB.

        Each batch is queued whole or not at all; an error leaves the earlier ones queued. While
        one is under way the calls of the next are taken, and an error in them is told when it
        is answered.

        Args:
          calls: Each may have an id, a delay and other options of its own: see
              :meth:`trioq.Call.with_options`.
          queue, deadline, expires, fair_key, weight: Of all of them, as of :meth:`enqueue`,
              whatever a call asks for itself.
          full_timeout: For all of them together, as of :meth:`enqueue`. A batch goes when there is
              room for all of it; more jobs than a queue's ``max_length`` never fit in one.

        Cancellation:
          At once. The batch under way may or may not be queued, the earlier ones are.
        """
        patience_s = arguments.patience(full_timeout, "full_timeout")
        ends = self._runtime.now() + patience_s
        made: list[Handle[R]] = []
        queues: set[str] = set()
        with self._tracing.sending(None) as sending:
            batches = drafted(
                many(calls), self._drafts, sending.headers, queue=queue, deadline=deadline,
                expires=expires, fair_key=fair_key, weight=weight,
            )  # fmt: skip
            batch, before, enqueued = following(batches), list[NewJob](), NOTHING
            while isinstance(batch, list):
                part = await self._outbox.start(batch, self._enqueues.who(batch, patience_s))
                try:
                    # While the server is busy.
                    made += handles(Handle, self, before, enqueued)
                    queues |= {job.queue for job in batch}
                    before, after = batch, following(batches)
                except BaseException:
                    self._outbox.leave(part)
                    raise
                try:
                    enqueued = all_taken(batch, await self._outbox.finish(part))
                except MustWait as full:
                    left_s = ends - self._runtime.now()
                    enqueued = await self._enqueues.when_there_is_room(batch, full, left_s)
                except StoreUnreachable as error:
                    raise_told(error, batch)
                batch = after
            made += handles(Handle, self, before, enqueued)
            if batch is not None:
                raise batch
            sending.sent([handle.uid for handle in made], queues)
        return made

    @overload
    async def call(
        self, what: Call[R], payload: None = None, *, timeout: Seconds, **options: Any
    ) -> R: ...
    @overload
    async def call(
        self,
        what: str,
        payload: Mapping[str, Any] | None = None,
        *,
        timeout: Seconds,
        **options: Any,
    ) -> Any: ...
    async def call(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        timeout: Seconds,
        **options: Any,
    ) -> Any:
        """Queue one job, wait for it, and return what its handler returned: of a handler that is
        named, as plain JSON.

        Args:
          timeout: Seconds for all of it, or a timedelta; a request that Redis doesn't answer
              isn't broken off for it. The result is kept for a minute longer.
          what, payload, options: As of :meth:`enqueue`.

        Raises:
          WaitTimeout: It hasn't ended in this time. It goes on: its ``uid`` is the error's.
          EnqueueUnknown: No answer in this time, or in 10 s: it may or may not be queued.
          JobDied, JobCancelled, …: There is no result.
          PayloadRejected, …: As :meth:`enqueue`.

        Cancellation: at once. The job, if it is queued by then, goes on.
        """
        wait_s = arguments.seconds("timeout", timeout, valid.DELAY_S)
        ends = self._runtime.now() + wait_s
        options = asked_of(what, options)
        options.setdefault("result", wait_s + CALLED_S)
        handle = await self._enqueue(what, payload, within_s=wait_s, **options)
        return await handle.result(max(0.0, ends - self._runtime.now()))

    async def wait(self, handle: Handle[R], timeout: Seconds | None = None) -> JobEnd[R]:
        """Wait for the end of a job; see :meth:`~trioq.client.handle.Handle.wait`."""
        try:
            with waits_here([handle.queue]):
                end = await self._waits.end_of(handle.uid, handle.id, arguments.patience(timeout))
        except WaitTimeout as error:
            name_job(error, handle.uid, handle.name)
            raise
        return await self.told(handle, end)

    def ends_of(self, handles: Sequence[Handle[Any]], timeout: Seconds | None = None) -> Ends:
        """The ends of jobs as they come; see :func:`~trioq.client.as_done.as_done`."""
        jobs = [(handle.uid, handle.id) for handle in handles]
        return self._waits.ends_of(jobs, arguments.patience(timeout))

    @overload
    async def handle(self, id_or_uid: str | UUID) -> Handle[Any]: ...
    @overload
    async def handle(
        self, id_or_uid: str | UUID, *, of: Handler[..., ..., Any, R]
    ) -> Handle[R]: ...
    async def handle(self, id_or_uid: str | UUID, *, of: Any = None) -> Handle[Any]:
        """The handle of a job that was enqueued elsewhere, or long ago.

        Args:
          id_or_uid: The caller's own id, or the uid.
          of: The job's handler: what it returns then comes back as its type, and its registered
              errors as themselves.

        Raises:
          JobUnknown: There is no such job, or it has ended and nothing is remembered of it.
          ValueError: The job is another handler's than ``of``.
          StoreUnreachable, StoreBusy, StoreRefused: Nobody can be asked.

        Cancellation: at once.
        """
        asked = arguments.id_or_uid(id_or_uid)
        expected = None if of is None else handler_of(of)
        view = await self._wishes.find(asked)
        return found(Handle, self, asked, view, expected, drafts=self._drafts)

    async def cancel(
        self,
        job: str | UUID | Handle[Any],
        reason: str = "",
        *,
        wait: Seconds | None = WAIT_S,
    ) -> CancelOutcome:
        """Have a job end, wherever it is; once it is asked to, it never runs again.

        A job that waits, also for its time or behind a door, is cancelled at once. The handler of
        one that runs sees a cancellation, and has ``cancel_grace`` to clean up; if it returns
        nevertheless, the job is done. Doing it twice is harmless: the first one counts.

        Args:
          job: Its handle, its caller's own id, or its uid.
          reason: Why, for its handler and for whoever waits for it; 200 characters are kept.
          wait: Seconds to wait for its end if it runs, or a timedelta; 0: don't; None: as long as
              it takes.

        Raises:
          StoreUnreachable: No answer in 10 s; with ``sent``, it may have been cancelled.
          StoreBusy, StoreRefused: Nothing was changed.
          RecordUnreadable: What is stored of it says neither queue nor name.

        Cancellation: at once; the job may be cancelled, or will be.
        """
        wish = Wish.checked(reason, wait)
        if not isinstance(job, Handle):
            view = await self._wishes.find(arguments.id_or_uid(job))
            if view is None:
                return CancelOutcome.unknown
            job = Handle(view.uid, view.callers_id)
        return await self._wishes.cancel(job.uid, job.id, wish, self._drafts.expected.get)

    async def status(self, handle: Handle[Any]) -> Status:
        """Where a job is now, and what became of it so far: what ``trioq job`` shows.

        Raises:
          StoreUnreachable, StoreBusy, StoreRefused: Nobody can be asked.

        Cancellation: at once.
        """
        return status(handle.uid, await self._wishes.find(handle.uid))

    async def explain(self, job: str | UUID | Handle[Any]) -> Explanation:
        """Why a job doesn't run now: what ``trioq explain`` shows.

        Args:
          job: Its handle, the caller's own id, or its uid.

        Returns:
          The job's state, and the reasons, of which there is at least one: what has to pass first
          comes first. Each is a word (``why``), a sentence (``says``) and data.

        Raises:
          TypeError, ValueError: ``job`` isn't one.
          StoreUnreachable, StoreBusy, StoreRefused: Nobody can be asked.

        Cancellation: at once.
        """
        id = job.uid if isinstance(job, Handle) else arguments.id_or_uid(job)
        return await self._wishes.explain(id)

    async def follow(self, handle: Handle[Any]) -> AsyncIterator[Status]:
        """A status now, and another whenever it has changed, until the job has ended: the last one
        says how. It looks each second, and the job's engine tells how far it is as often.

        While Redis doesn't answer it waits.

        Raises:
          StoreClosed, StoreRefused: Nobody can be asked.

        Cancellation: at once.
        """
        last: Status | None = None
        while last is None or not last.has_ended:
            try:
                now: Status | None = status(
                    handle.uid, await self._wishes.look(handle.uid, handle.id)
                )
            except StoreClosed:
                raise
            except (StoreUnreachable, StoreBusy):
                now = last
            if now is not None and now != last:
                last = now
                yield now
            if last is None or not last.has_ended:
                await self._runtime.sleep(LOOK_S)

    async def told(self, handle: Handle[R], end: End) -> JobEnd[R]:
        """All that is to be known of an ``end``: that of the job of this ``handle``."""
        lines = await self._waits.history(handle.uid) if end.state == "dead" else None
        told = job_end(
            handle.uid, end, lines,
            expected=self._drafts.expected.get(handle.name),
            wants_result=self._drafts.wants_result(handle),
        )  # fmt: skip
        name_job(told.error, handle.uid, handle.name)
        return told
