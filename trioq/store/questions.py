"""What clients ask of a store, and what each answer promises: nothing changes by it.

:class:`~trioq.store.redis.RedisStore` answers by :mod:`trioq.store.inspect`, which it loads when
the first one is asked: that takes as long as loading all the rest of a client, most of which never
ask.
:class:`~trioq.store.memory.MemoryStore` answers from the model (:mod:`.memory_questions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from trioq.core.job import Record, Uid

if TYPE_CHECKING:
    from trioq.store.inspect import Explanation, JobView, ScheduleView


class Questions(Protocol):
    """All of them. They block, and may be asked twice."""

    def find(self, id_or_uid: str) -> JobView | None:
        """A job by its caller's id or its uid, wherever it is; None: nobody knows it."""

    def look(self, uid: Uid, id: str | None) -> JobView | None:
        """The same for whoever looks again and again: without a payload that lies apart, and its
        engine tells more often meanwhile.

        Args:
          id: The caller's, if it is known: of what has ended it may be all that is remembered.
        """

    def record(self, uid: Uid) -> Record | None:
        """A job that hasn't been forgotten, as it was enqueued; None: it has.

        Raises:
          RecordUnreadable: It isn't a job that this version can read.
        """

    def explain(self, id_or_uid: str) -> Explanation:
        """Why a job doesn't run now."""

    def jobs(self) -> list[JobView]:
        """All that are known, in the order in which they were made: those that live, those that are
        dead, and of those that have ended the ones that a summary is kept of. For tests: there is
        no bound. A payload that lies apart isn't fetched.
        """

    def schedule_views(self, names: Sequence[str] | None = None) -> list[ScheduleView]:
        """These schedules that there are, or all, by name."""

    def now_ms(self) -> int:
        """The store's time, epoch."""
