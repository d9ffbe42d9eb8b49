"""Turns calls into jobs, checked before anything is sent, and answers into handles."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from trioq.app import Call
from trioq.core.calls import Enqueued, NewJob
from trioq.core.config import Config
from trioq.core.formats.payload import encode as encode_payload
from trioq.core.formats.record import encode
from trioq.core.job import NO_HEADERS, Headers, Options, Record, Uid, new_uid
from trioq.errors import PayloadRejected, QueueFull, QueueUnknown

#: Jobs, and bytes, in one request.
BATCH_JOBS = 500
BATCH_BYTES = 1 << 20

#: Wherever queues aren't configured, these names will do.
QUEUE_NAME = "[A-Za-z0-9_.-]{1,64}"

_NO_OPTIONS = Options()


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
    _queues: dict[str, None] = attrs.field(init=False)
    """The configured ones, in their order."""

    @_queues.default
    def _look_up_queues(self) -> dict[str, None]:
        return dict.fromkeys(queue.name for queue in self.config.queues)

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
            options=_NO_OPTIONS
            if max_attempts is None and timeout is None
            else Options(max_attempts, timeout),
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
        options: Options = _NO_OPTIONS,
        trace: Headers = NO_HEADERS,
    ) -> NewJob:
        """One job whose payload is encoded already."""
        queue = queue or self.config.default_queue
        if self.knows_queues:
            if queue not in self._queues:
                known = ", ".join(self._queues)
                raise QueueUnknown(f"no queue {queue!r} is configured; there are {known}")
        elif not re.fullmatch(QUEUE_NAME, queue):
            raise QueueUnknown(f"not a queue's name: {queue!r}")
        if not name or len(name) > 200 or not name.isprintable():
            raise PayloadRejected(f"not a job name: {name!r}")
        if id is not None and not (0 < len(id) <= 500 and _is_text(id)):
            raise PayloadRejected(f"an id is a text of 1 to 500 characters, not {id[:50]!r}")
        if not 0 <= delay_s < 100 * 365 * 86400:
            raise PayloadRejected(f"not a delay in seconds: {delay_s!r}")
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
