"""What an async client needs of the loop that it is used in, trio's or asyncio's.

The clients are one: signatures, checks and answers are those of
:class:`~trioq.client.client.Client`. What differs is how one waits for a thread, for another task,
or for a time; that is here, and is made by :mod:`.task_runtime` and :mod:`.loop_runtime`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from trioq.client.outbox import Part
from trioq.client.resend import Question, Write
from trioq.core.calls import End, Enqueued, Enqueuer, NewJob
from trioq.core.job import Uid

T = TypeVar("T")


class Outgoing(Protocol):
    """Sends the jobs of several tasks: together, where they meet."""

    async def send(
        self, jobs: Sequence[NewJob], within_s: float = ..., who: Enqueuer | None = None
    ) -> Enqueued:
        """Queue these jobs, all or none; see :meth:`~trioq.client.sync_outbox.SyncOutbox.send`.

        Cancellation: at once. What isn't under way by then is never queued.
        """

    async def start(self, jobs: Sequence[NewJob], who: Enqueuer | None = None) -> Part:
        """Begin to queue these jobs; see :meth:`~trioq.client.sync_outbox.SyncOutbox.start`."""

    async def finish(self, part: Part, ends: float = ...) -> Enqueued:
        """What became of jobs that were started; see :meth:`send`."""

    def leave(self, part: Part) -> None:
        """Nobody waits for it any longer."""


class Ends(Protocol):
    """The ends of jobs as they come, each with the job's place among those that were asked for."""

    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> tuple[int, End]: ...
    def close(self) -> None:
        """Wait no longer."""


class Waiting(Protocol):
    """The waits of all tasks that share a client: :class:`~trioq.client.sync_waits.SyncWaits`."""

    @property
    def name(self) -> str:
        """By which the server knows who is to be told."""

    async def end_of(self, uid: Uid, id: str | None, timeout_s: float = ...) -> End:
        """Wait for the end of a job. Cancellation: at once, and nothing is left behind."""

    def ends_of(self, jobs: Sequence[tuple[Uid, str | None]], timeout_s: float = ...) -> Ends:
        """The ends of jobs as they come."""

    async def history(self, uid: Uid) -> bytes | None:
        """The errors of a job."""

    async def room(self, queue: str, uid: Uid, ends: float) -> bool:
        """Wait, in line, for room in a queue. True: it is worth trying; False: the time is over."""


class Sender(Protocol):
    """Sends numbered writes, and asks: :class:`~trioq.client.sync_sender.SyncSender`."""

    async def send(self, write: Write[T]) -> T:
        """Send one write until it is answered, or for ten seconds.

        Cancellation: at once. The write may have been executed, or may be, as long as no other
        follows it.
        """

    async def ask(self, question: Question[T]) -> T:
        """Ask the store something, which may be asked twice."""

    async def send_within(self, within_s: float, write: Write[T]) -> T:
        """As :meth:`send`, with no other try after so many seconds."""

    async def ask_within(self, within_s: float, question: Question[T]) -> T:
        """As :meth:`ask`, likewise."""


class Runtime(Protocol):
    """One client's."""

    @property
    def outbox(self) -> Outgoing: ...
    @property
    def waits(self) -> Waiting: ...
    def sender(self, purpose: str) -> Sender: ...
    def now(self) -> float:
        """By the loop's clock, in seconds."""

    async def sleep(self, seconds: float) -> None: ...
    async def in_thread(self, function: Callable[[str], T], argument: str) -> T:
        """Call what may take long."""
