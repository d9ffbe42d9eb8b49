"""What a job is: as it is enqueued, as it is stored, and as its handler sees it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

import attrs

from trioq.core.values import value

Uid = str
"""32 hex digits, time-ordered, made by the client that enqueues, never reused."""

Headers = Mapping[str, str]
"""Where in a trace something belongs: ``traceparent``, ``tracestate``, ``baggage`` (W3C)."""

NO_HEADERS: Headers = {}


@value
class Options:
    """What one call asks for itself; None leaves it to the handler, the queue, the engine."""

    max_attempts: int | None = None
    timeout_s: float | None = None
    result_s: float | None = None
    """For how long what its handler returns is kept."""


@value
class Record:
    """A job as it is stored: written once by the client, never rewritten."""

    uid: Uid
    name: str
    """Which handler runs it."""
    queue: str
    payload: bytes
    """A JSON object, exactly as it was enqueued."""
    id: str | None = None
    """The caller's own id, unique in the namespace while the job lives."""
    enqueued_ms: int = 0
    """By the client's clock; for people to read, nothing is decided by it."""
    options: Options = Options()
    trace: Headers = attrs.field(default=NO_HEADERS, hash=False)
    """Of the enqueue, if that was traced."""
    due_ms: int = 0
    """When it is to run, by the client's clock, if it was enqueued with a delay; 0: at once."""

    @property
    def wanted_ms(self) -> int:
        """From when on somebody waits for it."""
        return self.due_ms or self.enqueued_ms


@attrs.frozen
class Job:
    """What a handler is told about the job it runs.

    Inject it by annotating the first parameter ``job: trioq.Job``, or ask
    :func:`trioq.current_job`.
    """

    uid: Uid
    name: str
    queue: str
    payload: dict[str, Any]
    attempt: int = 1
    """The number of this run, from 1; runs that were released or snoozed don't count."""
    max_attempts: int = 1
    id: str | None = None
    """The caller's id, if the job was enqueued with one."""
    token: str = ""
    """Names this claim of this job and no other: a fencing token for the handler's own writes."""
    enqueued_ms: int = 0
    trace: Headers = NO_HEADERS
    """W3C headers of this run: send them along with whatever the handler asks of others."""


class UidSource:
    """Makes uids that are unique without asking anybody and ordered by time.

    48 bits of milliseconds, 16 bits of a counter, 64 random bits of the process: the
    layout follows UUID version 7 (RFC 9562). After a fork the child draws new bits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Draw new random bits, as a forked child must."""
        self._lock = threading.Lock()
        self._process = secrets.token_hex(8)
        self._last = 0
        """Milliseconds, and in its last 16 bits the count."""

    def __call__(self) -> Uid:
        with self._lock:
            return f"{self._next(1):016x}{self._process}"

    def many(self, count: int) -> list[Uid]:
        """So many, one after the other."""
        with self._lock:
            first, process = self._next(count), self._process
        return [f"{n:016x}{process}" for n in range(first, first + count)]

    def _next(self, count: int) -> int:
        """The first of so many numbers, which nobody else gets."""
        # With more than 65,536 in one millisecond, or a clock set back, the count runs on into
        # the time.
        now, following = time.time_ns() // 1_000_000 << 16, self._last + 1
        first = now if now > following else following
        self._last = first + count - 1
        return first


new_uid = UidSource()
