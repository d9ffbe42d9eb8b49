"""What one wants of jobs that there are, from ordinary code: that they end, or to know where they
are. See :mod:`trioq.client.cancel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trioq.client.cancel import CancelOutcome, Wish, ended, is_told, outcome, over
from trioq.client.sync_sender import SyncSender
from trioq.client.sync_waits import SyncWaits
from trioq.core.call import Expected
from trioq.core.calls import CancelWord, Enqueued, Enqueuer, NewJob, Replaced, Replacing, Taking
from trioq.core.job import Record, Uid
from trioq.errors import WaitTimeout

if TYPE_CHECKING:
    from trioq.store.inspect import Explanation, JobView


class SyncWishes:
    """The wishes of all threads that share a client, also of forked children.

    Args:
      waits: Of the same client.
    """

    def __init__(self, sender: SyncSender, waits: SyncWaits) -> None:
        self._sender = sender
        self._waits = waits

    def find(self, id_or_uid: str) -> JobView | None:
        """A job, wherever it is; None: nobody knows it.

        Raises:
          StoreUnreachable, StoreBusy, StoreRefused: Nobody can be asked.
        """
        return self._sender.ask(lambda store: store.find(id_or_uid))

    def record(self, uid: Uid, within_s: float) -> Record | None:
        """A job's record; None: the job is gone."""
        return self._sender.ask_within(within_s, lambda store: store.record(uid))

    def replace(self, replacing: Replacing, within_s: float) -> Replaced:
        """Have a job that waits be another."""
        return self._sender.send_within(
            within_s, lambda store, sender, number: store.replace(sender, number, replacing)
        )

    def stop(
        self,
        uid: Uid,
        wish: Wish,
        expected: Callable[[str], Expected | None],
        within_s: float,
    ) -> CancelWord | None:
        """Ask a job to end, and don't wait for that. None: it is gone.

        Args:
          expected: What is known here of a handler.
        """
        record = self.record(uid, within_s)
        if record is None:
            return None
        unwanted = wish.of(record, expected(record.name))
        (word,) = self._sender.send_within(
            within_s, lambda store, sender, number: store.cancel(sender, number, [unwanted])
        )
        return word

    def take(self, job: NewJob, taking: Taking, who: Enqueuer | None, within_s: float) -> Enqueued:
        """Enqueue a job that takes its id from another one.

        Args:
          who: Waits for room where there is none.
        """
        return self._sender.send_within(
            within_s,
            lambda store, sender, number: store.enqueue(
                sender, number, [job], who=who, taking=taking
            ),
        )

    def explain(self, id_or_uid: str) -> Explanation:
        """Why a job doesn't run now."""
        return self._sender.ask(lambda store: store.explain(id_or_uid))

    def look(self, uid: Uid, id: str | None) -> JobView | None:
        """The same for whoever looks again and again; its engine tells more often meanwhile."""
        return self._sender.ask(lambda store: store.look(uid, id))

    def cancel(
        self,
        uid: Uid,
        id: str | None,
        wish: Wish,
        expected: Callable[[str], Expected | None],
    ) -> CancelOutcome:
        """See :meth:`trioq.client.client.Client.cancel`.

        Args:
          expected: What is known here of a handler.
        """
        # Registered before it is cancelled: its end is then kept for long enough to be told.
        name = self._waits.name
        (end,) = self._sender.ask(lambda store: store.wait_for(name, [(uid, id)]))
        record = None
        if end.state == "live":
            record = self._sender.ask(lambda store: store.record(uid))
        if record is None:
            return over(end, self.find(uid))
        unwanted = wish.of(record, expected(record.name))
        (word,) = self._sender.send(
            lambda store, sender, number: store.cancel(sender, number, [unwanted])
        )
        if is_told(word, wish.wait_s):
            return outcome(word)
        try:
            return ended(word, self._waits.end_of(uid, id, wish.wait_s))
        except WaitTimeout:
            return outcome(word)
