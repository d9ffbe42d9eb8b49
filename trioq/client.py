"""Enqueue jobs: from trio with :func:`connect`, from ordinary code with :func:`connect_sync`.

A client numbers its writes and sends one at a time, so that a request whose answer was
lost can be sent again without queueing anything twice.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import random
from typing import Any

import attrs
import trio

from trioq.app import Call
from trioq.core.codec import encode, encode_payload
from trioq.core.config import Config, check
from trioq.core.job import NO_HEADERS, Headers, Options, Record, Uid, new_uid
from trioq.engine.bridge import ThreadCaller
from trioq.errors import (
    EnqueueUnknown,
    PayloadRejected,
    QueueFull,
    QueueUnknown,
    StoreBusy,
    StoreError,
    StoreUnreachable,
)
from trioq.observe.tracing import Tracing
from trioq.settings import from_url, load
from trioq.store.connect import Connector, open_store
from trioq.store.protocol import Enqueued, NewJob
from trioq.store.redis import RedisStore

#: Jobs, and bytes, in one request.
BATCH_JOBS = 500
BATCH_BYTES = 1 << 20

#: How long an enqueue tries to get an answer.
PATIENCE_S = 10.0

#: Wherever queues aren't configured, these names will do.
QUEUE_NAME = "[A-Za-z0-9_.-]{1,64}"

#: What Redis says when waiting a little helps.
_SHORT = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN")


@attrs.frozen
class Handle:
    """What an enqueue made, or found."""

    uid: Uid
    id: str | None
    existing: str | None = None
    """None: queued. Otherwise the state of the job that had this id already:
    ``live`` (scheduled, ready or running), ``dead``, ``done`` or ``cancelled``."""

    @property
    def is_new(self) -> bool:
        """Whether this call queued it."""
        return self.existing is None


@attrs.define
class Drafts:
    """Turns calls into jobs, by the configuration where one is known."""

    config: Config
    knows_queues: bool

    def draft(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None,
        *,
        queue: str | None,
        delay: float,
        id: str | None,
        max_attempts: int | None,
        timeout: float | None,
        trace: Headers,
    ) -> NewJob:
        """One job, checked.

        Raises:
          PayloadRejected, QueueUnknown: Nothing can be queued like this.
        """
        if isinstance(what, Call):
            if payload is not None:
                raise TypeError("a call has its payload already")
            name, payload, queue = what.name, what.payload, queue or what.queue
        else:
            name = what
            command = self.config.commands.get(name)
            queue = queue or (command.queue if command else None)
        return self.job(
            name,
            encode_payload(dict(payload or {}), self.config.max_payload_bytes),
            queue=queue,
            delay_s=delay,
            id=id,
            options=Options(max_attempts, timeout),
            trace=trace,
        )

    def job(
        self,
        name: str,
        payload: bytes,
        *,
        queue: str | None,
        delay_s: float = 0.0,
        id: str | None = None,
        options: Options | None = None,
        trace: Headers = NO_HEADERS,
    ) -> NewJob:
        """One job whose payload is encoded already."""
        queue = queue or self.config.default_queue
        known = [q.name for q in self.config.queues]
        if self.knows_queues and queue not in known:
            raise QueueUnknown(f"no queue {queue!r} is configured; there are {', '.join(known)}")
        if not re.fullmatch(QUEUE_NAME, queue):
            raise QueueUnknown(f"not a queue's name: {queue!r}")
        if not name or len(name) > 200 or not name.isprintable():
            raise PayloadRejected(f"not a job name: {name!r}")
        if id is not None and not (0 < len(id) <= 500 and _is_text(id)):
            raise PayloadRejected(f"an id is a text of 1 to 500 characters, not {id[:50]!r}")
        if not 0 <= delay_s < 100 * 365 * 86400:
            raise PayloadRejected(f"not a delay in seconds: {delay_s!r}")
        options = options or Options()
        if options.max_attempts is not None and options.max_attempts < 1:
            raise PayloadRejected(f"not a number of attempts: {options.max_attempts!r}")
        if options.timeout_s is not None and not 0 < options.timeout_s < math.inf:
            raise PayloadRejected(f"not a timeout in seconds: {options.timeout_s!r}")
        uid, now_ms, delay_ms = new_uid(), time.time_ns() // 1_000_000, round(delay_s * 1000)
        record = Record(
            uid=uid,
            name=name,
            queue=queue,
            payload=payload,
            id=id,
            enqueued_ms=now_ms,
            options=options,
            trace=trace,
            due_ms=now_ms + delay_ms if delay_ms else 0,
        )
        stored, big = encode(record)
        return NewJob(uid, queue, stored, big, delay_ms, id)


def _is_text(text: str) -> bool:
    """Whether it can be sent: half a surrogate pair can't."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def batches(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    """Batches bounded in jobs and in bytes."""
    batch: list[NewJob] = []
    size = 0
    for job in jobs:
        more = len(job.stored) + len(job.big)
        if batch and (len(batch) >= BATCH_JOBS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(job)
        size += more
    if batch:
        yield batch


def handles(jobs: Sequence[NewJob], enqueued: Enqueued) -> list[Handle]:
    """What became of these jobs.

    Raises:
      QueueFull: They were refused by an earlier send of this request, whose answer was lost.
    """
    if enqueued.taken < len(jobs):
        raise QueueFull("the queue is full")
    made = []
    for i, job in enumerate(jobs):
        other = enqueued.existing.get(i)
        made.append(Handle(other.uid, job.id, other.state) if other else Handle(job.uid, job.id))
    return made


@attrs.define
class Numbering:
    """One sender: numbers its writes, and knows when to try an unanswered one again."""

    sender: str = attrs.field(factory=lambda: secrets.token_hex(16))
    number: int = 0

    def next(self) -> int:
        self.number += 1
        return self.number


@attrs.define
class Patience:
    """Decides after each failure of one request whether to send it again."""

    ends: float
    """By the clock that :meth:`pause_s` is told the time of."""
    uids: Sequence[Uid] = ()
    """The jobs of an enqueue, of which nobody knows if it isn't answered."""
    maybe_sent: bool = False
    tries: int = 0

    def pause_s(self, error: StoreError, now: float) -> float:
        """Seconds to wait before the next try; raises where there is none.

        "No" is only known to be no where no earlier try may have arrived.
        """
        if isinstance(error, StoreUnreachable):
            self.maybe_sent |= error.sent
            is_over = now >= self.ends
        else:
            is_over = now >= self.ends or not _passes(error)
        if is_over and self.maybe_sent and self.uids:
            raise EnqueueUnknown(self.uids) from error
        if is_over:
            raise error
        self.tries += 1
        return min(1.0, 0.02 * 2.0 ** min(self.tries, 8)) * random()


def _passes(error: StoreError) -> bool:
    """Whether it's worth waiting for an end of this."""
    return isinstance(error, StoreBusy) and str(error).startswith(_SHORT)


@attrs.define
class _Sender:
    """What one process has of a client: a connection, numbers of its own, one turn at a time."""

    store: RedisStore
    numbering: Numbering = attrs.field(factory=Numbering)
    turn: threading.Lock = attrs.field(factory=threading.Lock)
    pid: int = attrs.field(factory=os.getpid)


class SyncClient:
    """Enqueues from ordinary code. Blocks; several threads may share one, and forked children."""

    def __init__(self, connector: Connector, drafts: Drafts, tracing: Tracing) -> None:
        self._connector = connector
        self._drafts = drafts
        self._tracing = tracing
        self._sender = _Sender(connector.store("client"))

    @property
    def sender(self) -> str:
        """What the server knows this client by."""
        return self._sender.numbering.sender

    def enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        delay: float = 0.0,
        id: str | None = None,
        max_attempts: int | None = None,
        timeout: float | None = None,
    ) -> Handle:
        """Queue one job; see :meth:`Client.enqueue`."""
        with self._tracing.sending(name_of(what)) as sending:
            job = self._drafts.draft(
                what, payload, queue=queue, delay=delay, id=id,
                max_attempts=max_attempts, timeout=timeout, trace=sending.headers,
            )  # fmt: skip
            made = self.send([job])
            sending.sent([job.uid], {job.queue})
        return made[0]

    def enqueue_many(self, calls: Iterable[Call], *, queue: str | None = None) -> list[Handle]:
        """Queue many jobs, in batches; see :meth:`Client.enqueue_many`."""
        made: list[Handle] = []
        queues: set[str] = set()
        with self._tracing.sending(None) as sending:
            drafts = (_plain(self._drafts, call, queue, sending.headers) for call in calls)
            for batch in batches(drafts):
                made += self.send(batch)
                queues |= {job.queue for job in batch}
            sending.sent([handle.uid for handle in made], queues)
        return made

    def send(self, jobs: Sequence[NewJob]) -> list[Handle]:
        """Queue one batch of jobs that are made already."""
        if self._sender.pid != os.getpid():
            # A forked child that went on with its parent's numbers would be told "again" of what
            # the parent has sent, and its own jobs would be lost.
            self._sender = _Sender(self._connector.store("client"))
        sender = self._sender
        with sender.turn:
            number = sender.numbering.next()
            patience = Patience(time.monotonic() + PATIENCE_S, [job.uid for job in jobs])
            while True:
                try:
                    sender.store.lane.arm()
                    enqueued = sender.store.enqueue(sender.numbering.sender, number, jobs)
                except StoreError as error:
                    time.sleep(patience.pause_s(error, time.monotonic()))
                else:
                    return handles(jobs, enqueued)


class Client:
    """Enqueues from trio. Several tasks may share one; calls go one after the other."""

    def __init__(
        self, store: RedisStore, drafts: Drafts, tracing: Tracing, deadline_s: float
    ) -> None:
        self._caller = ThreadCaller(store, deadline_s)
        self._drafts = drafts
        self._tracing = tracing
        self._numbering = Numbering()
        self._turn = trio.Lock()

    async def enqueue(
        self,
        what: Call | str,
        payload: Mapping[str, Any] | None = None,
        *,
        queue: str | None = None,
        delay: float = 0.0,
        id: str | None = None,
        max_attempts: int | None = None,
        timeout: float | None = None,
    ) -> Handle:
        """Queue one job.

        Args:
          what: ``handler.call(…)``, or a handler's name with its ``payload``.
          queue: Default: the handler's queue, else ``default_queue``.
          delay: Seconds until it is ready.
          id: The caller's own id. While a job with this id lives, and for ``id_retention``
              after it ended, another enqueue is answered with that job and changes nothing.
          max_attempts, timeout: For this job, above what its handler says.

        Raises:
          PayloadRejected, QueueUnknown, QueueFull: It can't be queued; nothing was written.
          EnqueueUnknown: No answer in 10 s: it may or may not be queued.
          StoreUnreachable, StoreBusy, StoreRefused: Nothing was written.

        Cancellation:
          At once. The job may or may not be queued; enqueue again with the same ``id``.
        """
        with self._tracing.sending(name_of(what)) as sending:
            job = self._drafts.draft(
                what, payload, queue=queue, delay=delay, id=id,
                max_attempts=max_attempts, timeout=timeout, trace=sending.headers,
            )  # fmt: skip
            made = await self._send([job])
            sending.sent([job.uid], {job.queue})
        return made[0]

    async def enqueue_many(
        self, calls: Iterable[Call], *, queue: str | None = None
    ) -> list[Handle]:
        """Queue many jobs, in batches of 500 or 1 MiB.

        Each batch is queued whole or not at all; an error leaves the earlier ones queued.
        """
        made: list[Handle] = []
        queues: set[str] = set()
        with self._tracing.sending(None) as sending:
            drafts = (_plain(self._drafts, call, queue, sending.headers) for call in calls)
            for batch in batches(drafts):
                made += await self._send(batch)
                queues |= {job.queue for job in batch}
            sending.sent([handle.uid for handle in made], queues)
        return made

    async def _send(self, jobs: Sequence[NewJob]) -> list[Handle]:
        async with self._turn:
            number = self._numbering.next()
            patience = Patience(trio.current_time() + PATIENCE_S, [job.uid for job in jobs])
            store = self._caller.store
            while True:
                try:
                    enqueued = await self._caller.call(
                        store.enqueue, self._numbering.sender, number, jobs
                    )
                except StoreError as error:
                    await trio.sleep(patience.pause_s(error, trio.current_time()))
                else:
                    return handles(jobs, enqueued)


def name_of(what: Call | str) -> str:
    """The name of the job that this makes."""
    return what.name if isinstance(what, Call) else what


def _plain(drafts: Drafts, call: Call, queue: str | None, trace: Headers) -> NewJob:
    return drafts.draft(
        call, None, queue=queue, delay=0.0, id=None, max_attempts=None, timeout=None, trace=trace
    )


def configured(
    config: Config | str | Path | None, url: str | None, namespace: str | None
) -> tuple[Config, bool]:
    """The configuration, and whether it says which queues there are."""
    if (config is None) == (url is None):
        raise TypeError("connect takes a configuration or a url")
    if url is not None:
        made = from_url(url, namespace=namespace)
        return made, bool(made.queues)
    if namespace is not None:
        raise TypeError("the namespace is in the configuration")
    if isinstance(config, Config):
        check(config)
        return config, True
    assert config is not None
    return load(config), True


@asynccontextmanager
async def connect(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
) -> AsyncIterator[Client]:
    """Open a client: by a configuration (or its file), or by a URL and a namespace.

    Raises:
      ConfigError: The configuration is wrong.
      StoreRefused: The embedded server can't be started.
    """
    made, knows_queues = configured(config, url, namespace)
    tracing = await trio.to_thread.run_sync(Tracing.open, made)
    connector = await trio.to_thread.run_sync(open_store, made)
    try:
        redis = made.redis
        deadline_s = redis.connect_timeout_s + redis.read_timeout_s
        drafts = Drafts(made, knows_queues)
        yield Client(connector.store("client"), drafts, tracing, deadline_s)
    finally:
        connector.close()


@contextmanager
def connect_sync(
    config: Config | str | Path | None = None,
    *,
    url: str | None = None,
    namespace: str | None = None,
) -> Iterator[SyncClient]:
    """Open a client for ordinary code; see :func:`connect`."""
    made, knows_queues = configured(config, url, namespace)
    tracing = Tracing.open(made)
    connector = open_store(made)
    try:
        yield SyncClient(connector, Drafts(made, knows_queues), tracing)
    finally:
        connector.close()
