"""What one holds of a job that was enqueued: its name on the server, and how to ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Generic

import attrs

from trioq.client.ends import JobEnd
from trioq.core.job import Uid
from trioq.core.values import value

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from trioq.client.cancel import CancelOutcome
    from trioq.client.conflict import Happened
    from trioq.client.status import Status
    from trioq.core.arguments import Seconds

    # Handles of several handlers, one beside the other, are handles of what any of them returns.
    R_co = TypeVar("R_co", default=Any, covariant=True)
else:
    from typing import TypeVar

    R_co = TypeVar("R_co", covariant=True)


@value  # and not frozen by attrs: it is made for each job of many
class _Handle(Generic[R_co]):
    """What an enqueue made, or found."""

    uid: Uid
    id: str | None = None
    existing: str | None = None
    """None: queued. Otherwise the state of the job that had this id already:
    ``live`` (scheduled, ready or running), ``dead``, ``done`` or ``cancelled``."""
    name: str = attrs.field(default="", eq=False)
    """The handler's; empty where nobody has looked."""
    queue: str = attrs.field(default="", eq=False)
    _client: Any = attrs.field(default=None, eq=False, repr=False)
    _wants_result: bool | None = attrs.field(default=None, eq=False, repr=False)
    """Whether whoever enqueued it asked for one; None: the handler decides."""
    _happened: Happened | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def is_new(self) -> bool:
        """Whether this call queued it."""
        return self.existing is None

    @property
    def happened(self) -> Happened:
        """What came of the enqueue: ``queued``, or ``existing``, if nothing did, as that job has
        the id; by ``on_conflict`` also ``replaced``, if that job waits, and has the new payload;
        ``again``, if this one waits for the end of the one that ran; ``superseded``, if that was
        asked to end, and this one waits for it, new or replaced."""
        return self._happened or ("queued" if self.existing is None else "existing")


@value
class Handle(_Handle[R_co]):
    """What an enqueue made, or found: from trio, or from asyncio."""

    async def wait(self, timeout: Seconds | None = None) -> JobEnd[R_co]:
        """Wait until the job has ended. It is told, not asked for; many waits share a connection.

        Args:
          timeout: Seconds, or a timedelta; 0 only looks. None: for as long as it takes, also
              while Redis is away.

        Raises:
          WaitTimeout: It hasn't ended in this time. It goes on.
          StoreClosed, StoreRefused: Nobody can be told.

        Cancellation: at once; the job goes on.
        """
        end: JobEnd[R_co] = await self._client.wait(self, timeout)
        return end

    async def result(self, timeout: Seconds | None = None) -> R_co:
        """Wait until the job has ended, and return what its handler returned.

        Raises:
          JobDied, JobCancelled, NoResultKept, …: There is none, as in
              :meth:`~trioq.client.ends.JobEnd.result`. Else as :meth:`wait`.

        Cancellation: at once; the job goes on.
        """
        return (await self.wait(timeout)).result()

    async def cancel(self, reason: str = "", wait: Seconds | None = 5.0) -> CancelOutcome:
        """Have the job end, wherever it is; see :meth:`~trioq.client.client.Client.cancel`."""
        told: CancelOutcome = await self._client.cancel(self, reason, wait=wait)
        return told

    async def status(self) -> Status:
        """Where the job is now; see :meth:`~trioq.client.client.Client.status`."""
        told: Status = await self._client.status(self)
        return told

    def follow(self) -> AsyncIterator[Status]:
        """Its status whenever that changes, until the job has ended; see
        :meth:`~trioq.client.client.Client.follow`."""
        statuses: AsyncIterator[Status] = self._client.follow(self)
        return statuses


@value
class SyncHandle(_Handle[R_co]):
    """What an enqueue made, or found: from ordinary code."""

    def wait(self, timeout: Seconds | None = None) -> JobEnd[R_co]:
        """Wait until the job has ended; see :meth:`Handle.wait`."""
        end: JobEnd[R_co] = self._client.wait(self, timeout)
        return end

    def result(self, timeout: Seconds | None = None) -> R_co:
        """What its handler returned; see :meth:`Handle.result`."""
        return self.wait(timeout).result()

    def cancel(self, reason: str = "", wait: Seconds | None = 5.0) -> CancelOutcome:
        """Have the job end, wherever it is; see :meth:`~trioq.client.client.Client.cancel`."""
        told: CancelOutcome = self._client.cancel(self, reason, wait=wait)
        return told

    def status(self) -> Status:
        """Where the job is now; see :meth:`~trioq.client.client.Client.status`."""
        told: Status = self._client.status(self)
        return told

    def follow(self) -> Iterator[Status]:
        """Its status whenever that changes, until the job has ended; see
        :meth:`~trioq.client.client.Client.follow`."""
        statuses: Iterator[Status] = self._client.follow(self)
        return statuses
