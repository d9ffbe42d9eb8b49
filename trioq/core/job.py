"""What a job is: as it is enqueued, as it is stored, and as its handler sees it."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic

import attrs

from trioq.core.board import Board, said
from trioq.core.clients_here import clients_here
from trioq.core.forked import in_each_fork
from trioq.core.formats import note
from trioq.core.shared import NoDeps, Shared
from trioq.core.values import value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    import trioq

    # Not Any: type checkers would know nothing of a handler that takes a plain Job.
    D_co = TypeVar("D_co", covariant=True, default=object)
else:  # before Python 3.13 it has no default
    from typing import TypeVar

    D_co = TypeVar("D_co", covariant=True)

Uid = str
"""32 hex digits, time-ordered, made by the client that enqueues, never reused."""

Headers = Mapping[str, str]
"""Where in a trace something belongs: ``traceparent``, ``tracestate``, ``baggage`` (W3C)."""

NO_HEADERS: Headers = {}

_making = threading.Lock()

#: What the ids of jobs look like that schedules have made: ``Schedule.id_of``.
_OF_A_TICK = re.compile(r"schedule:[^:]+:([0-9]{1,15})")


@value
class Options:
    """What one call asks for itself; None leaves it to the handler, the queue, the engine."""

    max_attempts: int | None = None
    timeout_s: float | None = None
    result_s: float | None = None
    """For how long what its handler returns is kept."""
    deadline_ms: int | None = None
    """Epoch: it doesn't start after this, and what runs is cancelled then."""
    expires_ms: int | None = None
    """Epoch: it doesn't start after this."""

    @property
    def has_limits(self) -> bool:
        """Whether there is a time after which it doesn't start."""
        return self.deadline_ms is not None or self.expires_ms is not None


NO_OPTIONS = Options()


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
    options: Options = NO_OPTIONS
    trace: Headers = attrs.field(default=NO_HEADERS, hash=False)
    """Of the enqueue, if that was traced."""
    due_ms: int = 0
    """When it is to run, by the client's clock, if it was enqueued with a delay; 0: at once."""

    @property
    def wanted_ms(self) -> int:
        """From when on somebody waits for it."""
        return self.due_ms or self.enqueued_ms


class _Sharing:
    """Beside a job's fields, so that one whose handler shares nothing doesn't pay for it."""

    __slots__ = ("_shared",)

    _shared: Shared
    """What its handler shares with others; unset: nothing."""

    def _share(self, shared: Shared) -> None:
        """Have its handler find this."""
        object.__setattr__(self, "_shared", shared)


@attrs.frozen
class Job(_Sharing, Generic[D_co]):
    """What a handler is told about the job it runs.

    Inject it by annotating the first parameter ``job: trioq.Job``, or ask
    :func:`trioq.current_job`. ``trioq.Job[Deps]`` says of what type :attr:`deps` is.
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
    deadline_ms: int | None = None
    """Epoch; see :attr:`deadline`."""
    _noted: bytes | str = attrs.field(default=b"", eq=False, repr=False)
    """What an earlier attempt has said last."""
    _board: Board | None = attrs.field(default=None, init=False, eq=False, repr=False)
    """What this one says; there only if it says anything."""

    @property
    def deadline(self) -> datetime | None:
        """When this run is cancelled by its job's deadline, in UTC; None: it has none.

        What the handler enqueues has the same deadline, unless it says otherwise.
        """
        if self.deadline_ms is None:
            return None
        return datetime.fromtimestamp(self.deadline_ms / 1000, UTC)

    @property
    def tick(self) -> datetime | None:
        """For which tick of its schedule this is, in UTC, however late it runs.

        None: no schedule has made it, or one that was run by hand.
        """
        found = _OF_A_TICK.fullmatch(self.id or "")
        return datetime.fromtimestamp(int(found[1]) / 1000, UTC) if found else None

    @property
    def deps(self) -> D_co:
        """What the handlers of its app share: what ``App(lifespan=…)`` has given to this engine.

        Raises:
          LookupError: The app has no lifespan.
        """
        shared = getattr(self, "_shared", None)
        if shared is None:
            raise NoDeps(
                f"job.deps: the app of {self.name!r} has no lifespan:"
                " trioq.App(lifespan=…) says what its handlers share"
            )
        deps: D_co = shared.deps
        return deps

    @property
    def client(self) -> trioq.Client:
        """The client of the engine that runs this, for ``async def`` handlers, of trio and of
        asyncio alike: to enqueue other jobs, to wait for them, to cancel them.

        All jobs of an engine share it: there is nothing to open and nothing to close.

        Raises:
          BadHandler: It is asked for in a thread, or in a loop that the handler has started.
          LookupError: No engine runs this.
          StoreClosed: The engine has ended.
        """
        client: trioq.Client = clients_here("job.client").client
        return client

    @property
    def sync_client(self) -> trioq.SyncClient:
        """The same for ``def`` handlers, and for threads. While it waits it can't be cancelled.

        Raises:
          BadHandler: It is asked for in a loop, which it would block.
          LookupError, StoreClosed: As of :attr:`client`.
        """
        client: trioq.SyncClient = clients_here("job.sync_client").sync_client
        return client

    def progress(self, fraction: float, text: str = "", data: Any = None) -> None:
        """Say how far this run is. It costs microseconds: the last of it is sent now and then.

        While somebody looks (``handle.follow()``, ``trioq job --follow``, ``trioq top``) that is
        once a second, else every 10 s. If the run doesn't succeed, the last of it is there for
        the next one (:attr:`previous`); it is kept with a dead job, and goes with any other.

        Args:
          fraction: From 0 to 1.
          text: For people; at most 500 characters.
          data: For programs: anything that JSON holds, at most 4 kB of it.

        Raises:
          ValueError: It is none of these; what was said before stands.
        """
        self._on_board().said = said(fraction, text, data)

    def log(self, text: str) -> None:
        """Put a line, or several, to the log of this attempt. It is sent as progress is.

        The last 200 lines or 16 kB are kept, of a line 2,000 characters. Of an attempt that
        failed the last 4 kB stay in the job's history.
        """
        self._on_board().log(text if isinstance(text, str) else str(text))

    @property
    def previous(self) -> note.Progress | None:
        """What an earlier run of this job has said last; None: nothing that is known.

        Of a run that failed, was released or snoozed it is the last; of one whose engine crashed,
        or couldn't reach Redis, what it had said up to 10 s before.
        """
        noted = note.decode(self._noted) if self._noted else None
        return None if noted is None else noted.progress

    def _on_board(self) -> Board:
        if self._board is None:
            with _making:  # a handler may have threads
                if self._board is None:
                    object.__setattr__(self, "_board", Board())
        assert self._board is not None
        return self._board


class UidSource:
    """Makes uids that are unique without asking anybody and ordered by time.

    48 bits of milliseconds, 16 bits of a counter, 64 random bits of the process: the
    layout follows UUID version 7 (RFC 9562). After a fork the child draws new bits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.renew()
        in_each_fork(self.renew)

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
